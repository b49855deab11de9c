//! Shards that are added, removed and reset.

use std::sync::Arc;

use loom_models::{Incarnation, NewShard, ReplicationState, Shard, ShardId};

use crate::{Advance, OTHER, Ordering, SHARD, check, check_within, data, one_shard, step, thread};

#[test]
fn after_a_removal_every_advance_on_an_old_handle_says_removed() {
    check(|| {
        let (state, old) = one_shard();
        let by_handle = thread::spawn({
            let old = old.clone();
            move || step(|| old.advance(5))
        });
        let by_id = thread::spawn({
            let state = Arc::clone(&state);
            move || step(|| state.advance(SHARD, 6))
        });
        step(|| state.remove_shard(SHARD)).unwrap();
        assert_eq!(old.advance(9), Advance::Removed);
        assert_eq!(old.advance_from(8, 9), Advance::Removed);
        assert_eq!(state.advance(SHARD, 9), Advance::UnknownShard);
        let by_handle = by_handle.join().unwrap();
        assert!(
            matches!(by_handle, Advance::Removed | Advance::Advanced { .. })
                || by_handle == (Advance::Stale { at: 6 }),
            "{by_handle:?}"
        );
        let by_id = by_id.join().unwrap();
        assert!(
            matches!(by_id, Advance::Removed | Advance::UnknownShard | Advance::Advanced { .. }),
            "{by_id:?}"
        );
        assert!(old.applied() < 9);
    });
}

#[test]
fn an_old_handle_never_raises_the_new_cell() {
    check(|| {
        let (state, old) = one_shard();
        let racing = thread::spawn({
            let old = old.clone();
            move || step(|| old.advance(50))
        });
        let by_id = thread::spawn({
            let state = Arc::clone(&state);
            move || step(|| state.advance(SHARD, 7))
        });
        let new = step(|| state.reset_shard(NewShard::new(SHARD).with_mark(5))).unwrap();
        assert!(new.incarnation() > old.incarnation());
        assert_eq!(old.advance(60), Advance::Removed);
        racing.join().unwrap();
        let by_id = by_id.join().unwrap();
        let expected = if by_id == (Advance::Advanced { from: 5 }) { 7 } else { 5 };
        assert_eq!(new.applied(), expected, "by id: {by_id:?}");
        assert_eq!(state.applied_seqno(SHARD), Some(expected));
    });
}

#[test]
fn a_thread_that_sees_removed_finds_the_new_incarnation() {
    check(|| {
        let (state, old) = one_shard();
        let applier = thread::spawn({
            let (state, old) = (Arc::clone(&state), old.clone());
            move || {
                if step(|| old.advance(3)) == Advance::Removed {
                    let new = state.shard(SHARD).unwrap();
                    assert!(new.incarnation() > old.incarnation());
                    assert_eq!(new.advance(3), Advance::Advanced { from: 1 });
                }
            }
        });
        step(|| state.reset_shard(NewShard::new(SHARD).with_mark(1))).unwrap();
        applier.join().unwrap();
    });
}

/// The reader has the old table in its cache; the thread that informs it has none, and takes the
/// newest.
#[test]
fn a_thread_informed_by_a_reader_of_the_new_table_finds_it_too() {
    check(|| {
        let (state, old) = one_shard();
        let told = data();
        let is_new = move |shard: &Shard| shard.incarnation() > old.incarnation();
        let reader = thread::spawn({
            let (state, told, is_new) = (Arc::clone(&state), Arc::clone(&told), is_new.clone());
            move || {
                state.applied_seqno(SHARD).unwrap();
                if step(|| told.load(Ordering::Acquire)) == 1 {
                    assert!(is_new(&state.shard(SHARD).unwrap()), "back in time");
                }
            }
        });
        let teller = thread::spawn({
            let state = Arc::clone(&state);
            move || {
                if is_new(&step(|| state.shard(SHARD)).unwrap()) {
                    told.store(1, Ordering::Release);
                }
            }
        });
        state.reset_shard(NewShard::new(SHARD).with_mark(1)).unwrap();
        reader.join().unwrap();
        teller.join().unwrap();
    });
}

#[test]
fn a_thread_that_sees_removed_finds_no_shard_after_a_removal() {
    check(|| {
        let (state, old) = one_shard();
        let applier = thread::spawn({
            let (state, old) = (Arc::clone(&state), old.clone());
            move || {
                if step(|| old.advance(3)) == Advance::Removed {
                    assert!(state.shard(SHARD).is_none());
                    assert_eq!(state.advance(SHARD, 4), Advance::UnknownShard);
                }
            }
        });
        step(|| state.remove_shard(SHARD)).unwrap();
        applier.join().unwrap();
    });
}

#[test]
fn no_add_is_lost_where_two_threads_add_at_once() {
    check(|| {
        let (state, shard) = one_shard();
        let adders = [OTHER, ShardId(9)].map(|id| {
            let state = Arc::clone(&state);
            thread::spawn(move || {
                step(|| state.add_shard(NewShard::new(id))).unwrap().incarnation()
            })
        });
        step(|| shard.advance(4));
        let [a, b] = adders.map(|a| a.join().unwrap());
        assert_ne!(a, b, "two incarnations with one number");
        let snapshot = step(|| state.snapshot());
        let shards: Vec<_> = snapshot.iter().collect();
        assert_eq!(shards, [(SHARD, 4), (OTHER, 0), (ShardId(9), 0)]);
        assert_eq!(snapshot.next_incarnation(), Incarnation(3));
    });
}

#[test]
fn one_of_two_adds_of_the_same_shard_wins() {
    check(|| {
        let (state, _) = one_shard();
        let adders = [10, 20].map(|mark| {
            let state = Arc::clone(&state);
            thread::spawn(move || {
                step(|| state.add_shard(NewShard::new(OTHER).with_mark(mark))).is_ok()
            })
        });
        let [ten, twenty] = adders.map(|a| a.join().unwrap());
        assert!(ten ^ twenty);
        assert_eq!(state.applied_seqno(OTHER), Some(if ten { 10 } else { 20 }));
    });
}

#[test]
fn adding_and_removing_lose_no_advance() {
    check(|| {
        let (state, shard) = one_shard();
        let changer = thread::spawn({
            let state = Arc::clone(&state);
            move || {
                step(|| state.add_shard(NewShard::new(OTHER))).unwrap();
                step(|| state.remove_shard(OTHER)).unwrap();
            }
        });
        assert_eq!(step(|| shard.advance(1)), Advance::Advanced { from: 0 });
        assert_eq!(step(|| state.advance(SHARD, 2)), Advance::Advanced { from: 1 });
        changer.join().unwrap();
        assert_eq!(state.applied_seqno(SHARD), Some(2));
    });
}

/// Two preemptions find marks that are read by id after the incarnations, and a mark that is set
/// after the index leads to its cell.
#[test]
fn a_snapshot_never_pairs_an_old_incarnation_with_a_new_mark() {
    check_within(2, || {
        let (state, old) = one_shard();
        let advancer = thread::spawn({
            let state = Arc::clone(&state);
            move || step(|| state.advance(SHARD, 100))
        });
        let changer = thread::spawn({
            let state = Arc::clone(&state);
            move || {
                let new = step(|| state.reset_shard(NewShard::new(SHARD).with_mark(10))).unwrap();
                step(|| new.advance(11));
            }
        });
        step(|| old.advance(2));
        let snapshot = step(|| state.snapshot());
        let entry = snapshot.entry(SHARD).unwrap();
        let possible: &[u64] = match entry.incarnation {
            Incarnation(0) => &[0, 2, 100],
            _ => &[10, 11, 100],
        };
        assert!(possible.contains(&entry.mark()), "{entry:?}");
        assert!(entry.incarnation < snapshot.next_incarnation());
        let hit_by_id = advancer.join().unwrap();
        if entry.incarnation != Incarnation(0) && entry.mark() == 100 {
            assert!(matches!(hit_by_id, Advance::Advanced { from: 10 | 11 }), "{hit_by_id:?}");
        }
        changer.join().unwrap();
    });
}

#[test]
fn a_shard_that_stays_is_found_while_others_come_and_go() {
    check(|| {
        let state = Arc::new(ReplicationState::new(&[OTHER, SHARD]));
        let changer = thread::spawn({
            let state = Arc::clone(&state);
            move || {
                step(|| state.remove_shard(OTHER)).unwrap();
                step(|| state.add_shard(NewShard::new(ShardId(9)).with_mark(3))).unwrap();
            }
        });
        assert_eq!(step(|| state.advance(SHARD, 1)), Advance::Advanced { from: 0 });
        let added = step(|| state.applied_seqno(ShardId(9)));
        assert!([None, Some(3)].contains(&added), "{added:?}");
        assert_eq!(step(|| state.applied_seqno(SHARD)), Some(1));
        changer.join().unwrap();
        assert_eq!(state.applied_seqno(OTHER), None);
        assert_eq!(state.applied_seqno(ShardId(9)), Some(3));
    });
}

/// A state of three shards is a large one here: threads lease its root, and a removal takes it away.
#[test]
fn a_look_up_whose_root_is_taken_away_finds_the_shard_in_the_new_one() {
    check(|| {
        let state = Arc::new(ReplicationState::new(&[OTHER, SHARD, ShardId(9)]));
        assert_eq!(state.applied_seqno(SHARD), Some(0)); // leased
        let remover = thread::spawn({
            let state = Arc::clone(&state);
            move || step(|| state.remove_shard(OTHER)).unwrap()
        });
        assert_eq!(step(|| state.advance(SHARD, 1)), Advance::Advanced { from: 0 });
        assert_eq!(step(|| state.applied_seqno(SHARD)), Some(1));
        remover.join().unwrap();
    });
}
