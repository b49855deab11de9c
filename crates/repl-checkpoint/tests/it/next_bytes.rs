//! The bytes to store next, for engines that commit the marks with their data.

mod unchanged;

use std::collections::BTreeMap;
use std::sync::{Barrier, Mutex};

use proptest::collection::vec;
use proptest::prelude::*;
use repl_checkpoint::{Checkpoint, CheckpointBytes, JsonCodec, StoreId, UnsealError};
use repl_core::{Advance, AppliedSet, NewShard, ReplicationState, SeqNo, SeqRange, ShardId};

use crate::support::{header, marks};

const ONE: ShardId = ShardId(1);
const TWO: ShardId = ShardId(2);

fn next<R>(stored: &[u8], moves: impl FnOnce(&ReplicationState) -> R) -> (Vec<u8>, R) {
    ReplicationState::next_checkpoint_bytes(stored, moves).unwrap()
}

/// The shards that bytes hold.
fn held(bytes: &[u8]) -> Vec<(u64, SeqNo)> {
    let (_, found) = Checkpoint::unseal(&JsonCodec, StoreId::UNNAMED, bytes).unwrap();
    found.shards.iter().map(|s| (s.shard.0, s.mark)).collect()
}

#[test]
fn the_next_bytes_are_the_stored_ones_with_the_moves_added() {
    let stored = ReplicationState::new(&[ONE, TWO]).to_checkpoint_bytes();
    let (stored, moved) = next(&stored, |marks| marks.advance(ONE, 7));
    assert_eq!(moved, Advance::Advanced { from: 0 });
    let (stored, moved) = next(&stored, |marks| (marks.advance(TWO, 3), marks.applied_seqno(ONE)));
    assert_eq!(moved, (Advance::Advanced { from: 0 }, Some(7)));
    assert_eq!(held(&stored), [(1, 7), (2, 3)]);
}

#[test]
fn a_segment_that_the_stored_bytes_hold_moves_nothing_and_changes_no_byte() {
    let stored = ReplicationState::new(&[ONE]).to_checkpoint_bytes();
    let (stored, _) = next(&stored, |marks| marks.advance(ONE, 7));
    let (again, moved) = next(&stored, |marks| marks.advance(ONE, 7));
    assert_eq!((again, moved), (stored, Advance::Stale { at: 7 }));
}

#[test]
fn shards_are_added_reset_and_removed_in_the_stored_bytes() {
    let stored = ReplicationState::new(&[ONE]).to_checkpoint_bytes();
    let add = NewShard::new(TWO).with_mark(5);
    let begin = |marks: &ReplicationState| marks.add_shard(add.clone()).unwrap().incarnation();
    let (stored, added) = next(&stored, begin);
    assert_eq!(held(&stored), [(1, 0), (2, 5)]);
    let (stored, reset) = next(&stored, |marks| {
        marks.reset_shard(NewShard::new(TWO).with_mark(3));
        marks.shard(TWO).unwrap().incarnation()
    });
    assert_eq!(held(&stored), [(1, 0), (2, 3)]);
    let (stored, _) = next(&stored, |marks| marks.remove_shard(TWO).is_some());
    assert_eq!(held(&stored), [(1, 0)]);
    // No incarnation is used twice, from transaction to transaction.
    let (stored, again) = next(&stored, begin);
    assert!(added < reset && reset < again);
    assert_eq!(held(&stored), [(1, 0), (2, 5)]);
}

#[test]
fn ranges_completed_out_of_order_are_kept_until_the_mark_passes_them() {
    let stored = ReplicationState::new(&[ONE]).to_checkpoint_bytes();
    let complete = |stored: &[u8], range: std::ops::RangeInclusive<u64>| {
        next(stored, |marks| marks.shard(ONE).unwrap().complete(range)).0
    };
    let set = |stored: &[u8]| next(stored, |marks| marks.shard(ONE).unwrap().applied_set()).1;
    let stored = complete(&stored, 5..=6);
    let stored = complete(&stored, 2..=3);
    let ranges = [SeqRange::new(2, 3), SeqRange::new(5, 6)];
    assert_eq!(set(&stored), AppliedSet::new(0, ranges));
    let stored = complete(&stored, 1..=1);
    assert_eq!(set(&stored), AppliedSet::new(3, [SeqRange::new(5, 6)]));
    let (stored, _) = next(&stored, |marks| marks.advance(ONE, 4));
    assert_eq!(set(&stored), AppliedSet::new::<u64>(6, []));
}

#[test]
fn damaged_bytes_are_refused_and_nothing_is_moved() {
    let (whole, _) =
        next(&ReplicationState::new(&[ONE]).to_checkpoint_bytes(), |marks| marks.advance(ONE, 42));
    let refused = |bytes: &[u8]| {
        let moves = |_: &ReplicationState| panic!("moved on damage");
        ReplicationState::next_checkpoint_bytes::<()>(bytes, moves).unwrap_err()
    };
    assert!(matches!(refused(b""), UnsealError::Empty));
    for length in 0..whole.len() {
        assert!(refused(&whole[..length]).is_damage());
    }
    for bit in 0..whole.len() * 8 {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(refused(&bytes).is_damage());
    }
    assert!(refused(&[&whole[..], b"\n"].concat()).is_damage());
    let named = marks(&[(1, 42)]).seal(&JsonCodec, header(1)).unwrap();
    assert!(matches!(refused(&named), UnsealError::OtherStore { .. }));
}

#[derive(Debug, Clone, Copy)]
enum Move {
    Advance(ShardId, SeqNo),
    Complete(ShardId, SeqNo, SeqNo),
    Add(ShardId, SeqNo),
    Reset(ShardId, SeqNo),
    Remove(ShardId),
}

fn make(state: &ReplicationState, step: Move) {
    match step {
        Move::Advance(shard, to) => drop(state.advance(shard, to)),
        Move::Complete(shard, first, more) => {
            state.shard(shard).inspect(|shard| shard.complete(first..=first + more));
        }
        Move::Add(shard, at) => drop(state.add_shard(NewShard::new(shard).with_mark(at))),
        Move::Reset(shard, at) => drop(state.reset_shard(NewShard::new(shard).with_mark(at))),
        Move::Remove(shard) => drop(state.remove_shard(shard)),
    }
}

fn moves() -> impl Strategy<Value = Move> {
    let shard = || (1..4_u64).prop_map(ShardId);
    let seqno = || 0..30_u64;
    prop_oneof![
        3 => (shard(), seqno()).prop_map(|(shard, to)| Move::Advance(shard, to)),
        3 => (shard(), seqno(), 0..3_u64).prop_map(|(shard, first, more)| {
            Move::Complete(shard, first, more)
        }),
        1 => (shard(), seqno()).prop_map(|(shard, at)| Move::Add(shard, at)),
        1 => (shard(), seqno()).prop_map(|(shard, at)| Move::Reset(shard, at)),
        1 => shard().prop_map(Move::Remove),
    ]
}

proptest! {
    #[test]
    fn after_any_moves_they_are_the_bytes_of_a_state_that_made_them(steps in vec(moves(), 0..40)) {
        let state = ReplicationState::new(&[ONE, TWO]);
        let mut stored = state.to_checkpoint_bytes();
        for step in steps {
            make(&state, step);
            (stored, ()) = next(&stored, |marks| make(marks, step));
            prop_assert_eq!(&stored, &state.to_checkpoint_bytes());
        }
    }
}

const APPLIERS: std::ops::RangeInclusive<u64> = 1..=4;

/// A database of rows, and the marks as bytes. A commit is atomic.
struct Database {
    /// How often each segment was applied.
    rows: BTreeMap<(ShardId, SeqNo), u32>,
    marks: Vec<u8>,
}

impl Database {
    fn new(live: &ReplicationState) -> Mutex<Self> {
        Mutex::new(Database { rows: BTreeMap::new(), marks: live.to_checkpoint_bytes() })
    }

    fn apply(&mut self, shard: ShardId, seqno: SeqNo) {
        *self.rows.entry((shard, seqno)).or_default() += 1;
    }

    /// What a process does that starts after a crash: it applies what the marks lack.
    fn replay(&mut self) {
        let ids: Vec<_> = APPLIERS.map(ShardId).collect();
        let recovered = ReplicationState::from_checkpoint_bytes(&self.marks, &ids).unwrap();
        for shard in ids {
            if recovered.applied_seqno(shard) < Some(1) {
                self.apply(shard, 1);
            }
        }
    }
}

/// Segment 1 of each shard is applied by its own thread, all at once; then a crash. Returns how
/// often each was applied.
fn side_by_side(
    transaction: impl Fn(&Mutex<Database>, &ReplicationState, &Barrier, ShardId) + Sync,
) -> Vec<u32> {
    let live = ReplicationState::new(&APPLIERS.map(ShardId).collect::<Vec<_>>());
    let database = Database::new(&live);
    let all_began = Barrier::new(APPLIERS.count());
    std::thread::scope(|s| {
        for shard in APPLIERS.map(ShardId) {
            let (transaction, database, live, all_began) =
                (&transaction, &database, &live, &all_began);
            s.spawn(move || {
                transaction(database, live, all_began, shard);
                live.advance(shard, 1);
            });
        }
    });
    assert!(live.snapshot().iter().all(|(_, mark)| mark == 1), "the live state shows no loss");
    let mut database = database.into_inner().unwrap();
    database.replay();
    database.rows.into_values().collect()
}

/// What the documentation warns of.
#[test]
fn bytes_made_from_clones_of_the_live_state_lose_the_marks_of_the_others() {
    let mut applied = side_by_side(|database, live, all_began, shard| {
        let marks = live.clone();
        marks.advance(shard, 1);
        all_began.wait();
        let mut database = database.lock().unwrap();
        database.apply(shard, 1);
        database.marks = marks.to_checkpoint_bytes();
    });
    applied.sort_unstable();
    assert_eq!(applied, [1, 2, 2, 2], "only the last commit counts");
}

#[test]
fn bytes_made_from_the_stored_ones_lose_no_mark() {
    let applied = side_by_side(|database, _, all_began, shard| {
        all_began.wait();
        let mut database = database.lock().unwrap();
        let (marks, moved) = next(&database.marks, |marks| marks.advance(shard, 1));
        assert!(moved.is_advanced());
        database.apply(shard, 1);
        database.marks = marks;
    });
    assert_eq!(applied, [1, 1, 1, 1]);
}

/// A commit took effect, and its applier was not told; the live state does not show it.
#[test]
fn a_commit_in_doubt_is_not_applied_again() {
    let live = ReplicationState::new(&[ONE]);
    let database = Database::new(&live);
    let commit = || {
        let mut database = database.lock().unwrap();
        let (marks, moved) = next(&database.marks, |marks| marks.advance(ONE, 1));
        if moved.is_advanced() {
            database.apply(ONE, 1);
            database.marks = marks;
        }
    };
    commit();
    assert_eq!(live.applied_seqno(ONE), Some(0));
    commit();
    live.advance(ONE, 1);
    assert_eq!(database.into_inner().unwrap().rows[&(ONE, 1)], 1);
}
