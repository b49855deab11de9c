//! The claims about concurrency, in every interleaving and every outcome of the memory model that
//! loom can find: `RUSTFLAGS="--cfg loom" cargo test -p repl-core --test loom --release`.
//!
//! What is published is an atomic of its own, read and written with `Relaxed`: it brings no order,
//! so whoever sees it owes that to the mark. The twins at the end are marks with one weaker step
//! each; a model that cannot tell them from the real one would prove nothing.
//!
//! Loom tries the other order of two accesses only where the later thread's last access to the same
//! place is not its own. `advance` reads the mark before it raises it, which hides from loom that
//! somebody else has read it before. So threads take turns ([`turn`]): accesses with no order that
//! every thread makes to one place, around each step whose place in the whole matters.
#![cfg(loom)]
#![expect(
    clippy::unwrap_used,
    reason = "in a model a panic is how a claim is refuted, in closures and helpers as well"
)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Once};

use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;
use repl_core::{Advance, Incarnation, NewShard, ReplicationState, Shard, ShardId};

const SHARD: ShardId = ShardId(7);
const OTHER: ShardId = ShardId(8);

std::thread_local! {
    /// Models run on one thread of the system, one after the other.
    static TURNS: std::cell::RefCell<Option<Arc<AtomicU64>>> = const { std::cell::RefCell::new(None) };
}

/// Checks `model` in every interleaving.
fn check(model: impl Fn() + Sync + Send + 'static) {
    loom::model(move || {
        let turns = Arc::new(AtomicU64::new(0));
        TURNS.set(Some(Arc::clone(&turns)));
        model();
        TURNS.set(None);
    });
}

/// A place where any other thread may come first. Relaxed, so it orders nothing else.
fn turn() {
    let turns = TURNS.with_borrow(Clone::clone);
    turns.unwrap().fetch_add(1, Ordering::Relaxed);
}

/// `f`, with a turn before and after.
fn step<R>(f: impl FnOnce() -> R) -> R {
    turn();
    let result = f();
    turn();
    result
}

fn data() -> Arc<AtomicU64> {
    Arc::new(AtomicU64::new(0))
}

fn one_shard() -> (Arc<ReplicationState>, Shard) {
    let state = Arc::new(ReplicationState::new(&[SHARD]));
    let shard = state.shard(SHARD).unwrap();
    (state, shard)
}

/// Writes `data`, then advances to `to`.
fn apply(data: &Arc<AtomicU64>, shard: &Shard, to: u64) -> thread::JoinHandle<Advance> {
    let (data, shard) = (Arc::clone(data), shard.clone());
    thread::spawn(move || {
        data.store(to, Ordering::Relaxed);
        step(|| shard.advance(to))
    })
}

#[test]
fn a_mark_publishes_what_was_written_before_the_advance() {
    check(|| {
        let (_state, shard) = one_shard();
        let written = data();
        let applier = apply(&written, &shard, 1);
        if step(|| shard.applied()) == 1 {
            assert_eq!(written.load(Ordering::Relaxed), 1);
        }
        assert_eq!(applier.join().unwrap(), Advance::Moved { from: 0 });
    });
}

#[test]
fn a_later_advance_continues_what_an_earlier_one_published() {
    check(|| {
        let (_state, shard) = one_shard();
        let (first, second) = (data(), data());
        let to_1 = apply(&first, &shard, 1);
        let to_2 = apply(&second, &shard, 2);
        let mark = step(|| shard.applied());
        let saw_first = first.load(Ordering::Relaxed) == 1;
        let saw_second = second.load(Ordering::Relaxed) == 2;
        let (to_1, to_2) = (to_1.join().unwrap(), to_2.join().unwrap());
        assert!(mark < 2 || saw_second, "a mark of 2 without its data");
        assert!(mark != 1 || saw_first, "a mark of 1 without its data");
        if mark == 2 && to_2 == (Advance::Moved { from: 1 }) {
            assert_eq!(to_1, Advance::Moved { from: 0 });
            assert!(saw_first, "a mark of 2 without the data of the advance to 1 under it");
        }
    });
}

#[test]
fn who_moves_the_mark_on_sees_what_is_under_it() {
    check(|| {
        let (_state, shard) = one_shard();
        let first = data();
        let to_1 = apply(&first, &shard, 1);
        if step(|| shard.advance(2)) == (Advance::Moved { from: 1 }) {
            assert_eq!(first.load(Ordering::Relaxed), 1);
        }
        to_1.join().unwrap();
    });
}

#[test]
fn the_mark_never_falls_and_ends_at_the_maximum() {
    check(|| {
        let (_state, shard) = one_shard();
        let advancers = [1, 2].map(|to| {
            let shard = shard.clone();
            thread::spawn(move || {
                let outcome = step(|| shard.advance(to));
                assert!(
                    step(|| shard.applied()) >= to,
                    "fell below what this thread had advanced to"
                );
                outcome
            })
        });
        let (earlier, later) = (step(|| shard.applied()), step(|| shard.applied()));
        assert!(earlier <= later, "fell from {earlier} to {later}");
        let outcomes = advancers.map(|a| a.join().unwrap());
        assert_eq!(step(|| shard.applied()), 2);
        let possible = [
            [Advance::Moved { from: 0 }, Advance::Moved { from: 1 }],
            [Advance::AlreadyApplied { at: 2 }, Advance::Moved { from: 0 }],
        ];
        assert!(possible.contains(&outcomes), "{outcomes:?}");
    });
}

#[test]
fn one_of_two_advances_to_the_same_seqno_moves_the_mark() {
    check(|| {
        let (_state, shard) = one_shard();
        let advancers = [(); 2].map(|()| {
            let shard = shard.clone();
            thread::spawn(move || step(|| shard.advance(1)))
        });
        let mut outcomes = advancers.map(|a| a.join().unwrap());
        outcomes.sort_by_key(|outcome| *outcome == Advance::AlreadyApplied { at: 1 });
        assert_eq!(outcomes, [Advance::Moved { from: 0 }, Advance::AlreadyApplied { at: 1 }]);
    });
}

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
            matches!(by_handle, Advance::Removed | Advance::Moved { .. })
                || by_handle == (Advance::AlreadyApplied { at: 6 }),
            "{by_handle:?}"
        );
        let by_id = by_id.join().unwrap();
        assert!(
            matches!(by_id, Advance::Removed | Advance::UnknownShard | Advance::Moved { .. }),
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
        let new = step(|| state.reset_shard(NewShard::new(SHARD).at(5))).unwrap();
        assert!(new.incarnation() > old.incarnation());
        assert_eq!(old.advance(60), Advance::Removed);
        racing.join().unwrap();
        let by_id = by_id.join().unwrap();
        let expected = if by_id == (Advance::Moved { from: 5 }) { 7 } else { 5 };
        assert_eq!(new.applied(), expected, "by id: {by_id:?}");
        assert_eq!(state.applied_seqno(SHARD), Some(expected));
    });
}

#[test]
fn who_is_told_removed_finds_the_new_life() {
    check(|| {
        let (state, old) = one_shard();
        let applier = thread::spawn({
            let (state, old) = (Arc::clone(&state), old.clone());
            move || {
                if step(|| old.advance(3)) == Advance::Removed {
                    let new = state.shard(SHARD).unwrap();
                    assert!(new.incarnation() > old.incarnation());
                    assert_eq!(new.advance(3), Advance::Moved { from: 1 });
                }
            }
        });
        step(|| state.reset_shard(NewShard::new(SHARD).at(1))).unwrap();
        applier.join().unwrap();
    });
}

/// The reader has the old table at hand; the one who tells it has none, and takes the newest.
#[test]
fn whom_a_reader_of_the_new_table_tells_finds_it_too() {
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
        state.reset_shard(NewShard::new(SHARD).at(1)).unwrap();
        reader.join().unwrap();
        teller.join().unwrap();
    });
}

#[test]
fn who_is_told_removed_finds_no_shard_after_a_removal() {
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
        assert_ne!(a, b, "two lives with one incarnation");
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
            thread::spawn(move || step(|| state.add_shard(NewShard::new(OTHER).at(mark))).is_ok())
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
        assert_eq!(step(|| shard.advance(1)), Advance::Moved { from: 0 });
        assert_eq!(step(|| state.advance(SHARD, 2)), Advance::Moved { from: 1 });
        changer.join().unwrap();
        assert_eq!(state.applied_seqno(SHARD), Some(2));
    });
}

#[test]
fn a_snapshot_never_pairs_an_old_incarnation_with_a_new_mark() {
    check(|| {
        let (state, old) = one_shard();
        let advancer = thread::spawn({
            let state = Arc::clone(&state);
            move || step(|| state.advance(SHARD, 100))
        });
        let changer = thread::spawn({
            let state = Arc::clone(&state);
            move || {
                let new = step(|| state.reset_shard(NewShard::new(SHARD).at(10))).unwrap();
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
        assert!(possible.contains(&entry.mark), "{entry:?}");
        assert!(entry.incarnation < snapshot.next_incarnation());
        let hit_by_id = advancer.join().unwrap();
        if entry.incarnation != Incarnation(0) && entry.mark == 100 {
            assert!(matches!(hit_by_id, Advance::Moved { from: 10 | 11 }), "{hit_by_id:?}");
        }
        changer.join().unwrap();
    });
}

/// The mark of src/mark.rs with its steps exchangeable.
struct Twin {
    seqno: AtomicU64,
    load: Ordering,
    raise: fn(&AtomicU64, u64),
}

impl Twin {
    fn new(load: Ordering, raise: fn(&AtomicU64, u64)) -> Arc<Self> {
        Arc::new(Twin { seqno: AtomicU64::new(0), load, raise })
    }

    fn applied(&self) -> u64 {
        self.seqno.load(self.load)
    }
}

fn raise(seqno: &AtomicU64, to: u64) {
    seqno.fetch_max(to, Ordering::AcqRel);
}

fn relaxed_raise(seqno: &AtomicU64, to: u64) {
    seqno.fetch_max(to, Ordering::Relaxed);
}

fn plain_store(seqno: &AtomicU64, to: u64) {
    if seqno.load(Ordering::Acquire) < to {
        seqno.store(to, Ordering::Release);
    }
}

fn publication_of(load: Ordering, raise: fn(&AtomicU64, u64)) {
    check(move || {
        let twin = Twin::new(load, raise);
        let written = data();
        let applier = thread::spawn({
            let (twin, written) = (Arc::clone(&twin), Arc::clone(&written));
            move || {
                written.store(1, Ordering::Relaxed);
                step(|| (twin.raise)(&twin.seqno, 1));
            }
        });
        if step(|| twin.applied()) == 1 {
            assert_eq!(written.load(Ordering::Relaxed), 1);
        }
        applier.join().unwrap();
    });
}

fn monotony_of(raise: fn(&AtomicU64, u64)) {
    check(move || {
        let twin = Twin::new(Ordering::Acquire, raise);
        let advancers = [1, 2].map(|to| {
            let twin = Arc::clone(&twin);
            thread::spawn(move || step(|| (twin.raise)(&twin.seqno, to)))
        });
        let (earlier, later) = (step(|| twin.applied()), step(|| twin.applied()));
        assert!(earlier <= later);
        for advancer in advancers {
            advancer.join().unwrap();
        }
        assert_eq!(step(|| twin.applied()), 2);
    });
}

/// Whether loom refutes the model; its panic is expected and kept off the test's output.
fn loom_rejects(model: impl FnOnce()) -> bool {
    std::thread_local! {
        static SILENT: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
    }
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !SILENT.get() {
                usual(info);
            }
        }));
    });
    SILENT.set(true);
    let result = catch_unwind(AssertUnwindSafe(model));
    SILENT.set(false);
    result.is_err()
}

#[test]
fn the_twin_without_a_weakness_passes() {
    publication_of(Ordering::Acquire, raise);
    monotony_of(raise);
}

#[test]
fn a_relaxed_mark_publishes_nothing() {
    assert!(loom_rejects(|| publication_of(Ordering::Acquire, relaxed_raise)));
    assert!(loom_rejects(|| publication_of(Ordering::Relaxed, raise)));
}

#[test]
fn a_plain_store_lets_the_mark_fall() {
    assert!(loom_rejects(|| monotony_of(plain_store)));
}
