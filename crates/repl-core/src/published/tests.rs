//! What a thread keeps of a state: roots that are cached, and leases.

use super::*;
use crate::cell::Cell;
use crate::ids::ShardId;
use crate::index::Parts;
use crate::slabs::{Place, Slab, Slabs};

/// A root of that many shards, all in one cell.
fn root(shards: usize, slab: &Slab) -> Root {
    let entries = (0..shards).map(|shard| (ShardId(shard as u64), Place::new(1, 0)));
    let mut slabs = Slabs::default();
    slabs.set([(1, Arc::clone(slab))]);
    Root { index: Parts::of(entries.collect::<Vec<_>>().into_iter()).index(), slabs }
}

fn slab() -> Slab {
    std::iter::once(Cell::vacant()).collect()
}

fn finds(published: &Published) -> bool {
    published.find(|root| root.index.find(ShardId(0), Some)).is_some()
}

#[test]
fn a_large_root_is_taken_back_and_a_smaller_one_stays_cached() {
    for (shards, left) in [(LARGE - 1, 2), (LARGE, 1), (LARGE + 1, 1)] {
        let slab = slab();
        let published = Published::new(root(shards, &slab));
        assert!((0..3).all(|_| finds(&published)));
        drop(published);
        assert_eq!(Arc::strong_count(&slab), left, "{shards} shards");
    }
}

#[test]
fn a_thread_caches_one_root_of_each_of_four_states() {
    let states: Vec<_> = (0..4).map(|_| (slab(), slab())).collect();
    let published = states.iter().map(|(slab, _)| Published::new(root(1, slab)));
    let published: Vec<Published> = published.collect();
    assert!(published.iter().all(finds));
    for (published, (_, newer)) in published.iter().zip(&states) {
        published.replace(root(1, newer));
    }
    assert!(published.iter().all(finds));
    // The newer roots are cached, and the older ones are gone.
    drop(published);
    for (slab, newer) in &states {
        assert_eq!((Arc::strong_count(slab), Arc::strong_count(newer)), (1, 2));
    }
    let fifth = Published::new(root(1, &slab()));
    assert!(finds(&fifth));
    let cached = states.iter().filter(|(_, newer)| Arc::strong_count(newer) == 2);
    assert_eq!(cached.count(), 3);
}

#[test]
fn leases_of_threads_that_have_ended_are_dropped_and_no_others() {
    let published = Published::new(root(LARGE, &slab()));
    assert!(finds(&published));
    let count = || locked(&published.leases, |leases| leases.len());
    std::thread::scope(|s| {
        assert!(s.spawn(|| finds(&published)).join().is_ok_and(|found| found));
        assert_eq!(count(), 2);
        let third = s.spawn(|| {
            let alive = |leases: &mut Vec<Weak<Lease>>| {
                leases.iter().filter(|lease| lease.strong_count() > 0).count()
            };
            (finds(&published), locked(&published.leases, alive))
        });
        assert!(third.join().is_ok_and(|found| found == (true, 2)));
        assert_eq!(count(), 2);
    });
}

#[test]
fn a_thread_has_one_lease_of_a_state() {
    let slab = slab();
    let published = Published::new(root(LARGE, &slab));
    for _ in 0..3 {
        assert!(finds(&published));
        published.replace(root(LARGE, &slab));
    }
    assert!(finds(&published));
    assert_eq!(locked(&published.leases, |leases| leases.len()), 1);
    // What the thread held is gone: two roots are left, the published one and the leased one.
    published.end_leases();
    assert!(finds(&published));
    assert_eq!(locked(&published.leases, |leases| leases.len()), 1);
}
