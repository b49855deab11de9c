//! The set of applied seqnos, vs rangemap's `RangeInclusiveSet`: insert, list what is missing, look
//! up.
#![expect(clippy::unwrap_used, reason = "a bench may stop")]

use std::hint::black_box;

use benches::rounds::{contender, criterion, rounds};
use criterion::{BatchSize, Bencher, Criterion, criterion_group, criterion_main};
use rangemap::RangeInclusiveSet;
use repl_core::AppliedSet;

/// The numbers of ranges above the mark.
const RANGES: [u64; 3] = [10, 100, 1000];

/// The number of look-ups in one iteration, so that the loop of the harness costs nothing.
const BATCH: u64 = 256;

/// Between the first seqnos of two ranges: two seqnos are applied, four are missing.
const STEP: u64 = 6;

fn first(range: u64) -> u64 {
    range * STEP + 3
}

fn ours(ranges: u64) -> AppliedSet {
    AppliedSet::new(0, (0..ranges).map(|range| first(range)..=first(range) + 1))
}

fn theirs(ranges: u64) -> RangeInclusiveSet<u64> {
    let mut set: RangeInclusiveSet<u64> =
        (0..ranges).map(|range| first(range)..=first(range) + 1).collect();
    set.insert(0..=0);
    set
}

/// Half as many seqnos as there are ranges, in no order: a third each that extends a range, begins
/// one, or lies in one.
fn inserted(ranges: u64) -> Vec<u64> {
    let ranges = u32::try_from(ranges).unwrap();
    let shuffled = |i: u32| u64::from(i.wrapping_mul(7919) % ranges);
    (0..ranges / 2).map(|i| first(shuffled(i)) + [2, 3, 1][(i % 3) as usize]).collect()
}

/// Inserts into a copy of `set`, made outside the measurement.
fn inserts<S: Clone>(
    set: S,
    seqnos: Vec<u64>,
    insert: impl Fn(&mut S, u64),
) -> impl FnMut(&mut Bencher<'_>) {
    move |b| {
        let fill = |set: &mut S| seqnos.iter().for_each(|seqno| insert(set, *seqno));
        b.iter_batched_ref(|| set.clone(), fill, BatchSize::SmallInput);
    }
}

fn insert(c: &mut Criterion) {
    for ranges in RANGES {
        let seqnos = inserted(ranges);
        let rangemap =
            |set: &mut RangeInclusiveSet<u64>, seqno: u64| set.insert(black_box(seqno)..=seqno);
        let contenders = vec![
            contender(
                "ours",
                inserts(ours(ranges), seqnos.clone(), |set, seqno| set.insert(black_box(seqno))),
            ),
            contender("rangemap", inserts(theirs(ranges), seqnos, rangemap)),
        ];
        rounds(c, &format!("set_insert_{ranges}"), contenders);
    }
}

fn missing(c: &mut Criterion) {
    for ranges in RANGES {
        let (ours, theirs, last) = (ours(ranges), theirs(ranges), first(ranges));
        let contenders = vec![
            contender("ours", |b| {
                b.iter(|| {
                    ours.missing(black_box(last)).map(|gap| gap.last() - gap.first()).sum::<u64>()
                });
            }),
            contender("rangemap", |b| {
                b.iter(|| {
                    let all = 0..=black_box(last);
                    theirs.gaps(&all).map(|gap| gap.end() - gap.start()).sum::<u64>()
                });
            }),
        ];
        rounds(c, &format!("set_missing_{ranges}"), contenders);
    }
}

fn contains(c: &mut Criterion) {
    for ranges in RANGES {
        let (ours, theirs, last) = (ours(ranges), theirs(ranges), first(ranges));
        let found = |contains: &dyn Fn(u64) -> bool| {
            (0..BATCH).filter(|i| contains(black_box(i * 7919 % last))).count()
        };
        let contenders = vec![
            contender("ours", |b| b.iter(|| found(&|seqno| ours.contains(seqno)))),
            contender("rangemap", |b| b.iter(|| found(&|seqno| theirs.contains(&seqno)))),
        ];
        rounds(c, &format!("set_contains_{ranges}"), contenders);
    }
}

criterion_group! { name = benches; config = criterion(); targets = insert, missing, contains }
criterion_main!(benches);
