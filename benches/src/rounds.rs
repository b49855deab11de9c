//! Contenders in turn: A B A B, so that a machine whose speed drifts slows all of them alike.

use std::time::Duration;

use criterion::{Bencher, Criterion};

/// How often each contender has its turn. `cargo xtask bench` takes the median over the rounds of
/// each round's ratio.
pub const ROUNDS: u32 = 9;

/// How often where the same work is measured over many sizes: the neighbouring sizes show which
/// figure is an outlier.
pub const ROUNDS_OVER_SIZES: u32 = 5;

/// A contender: its name, and what it does.
pub type Contender<'a> = (&'a str, Box<dyn FnMut(&mut Bencher<'_>) + 'a>);

/// Boxes a contender.
pub fn contender<'a>(name: &'a str, bench: impl FnMut(&mut Bencher<'_>) + 'a) -> Contender<'a> {
    (name, Box::new(bench))
}

/// Measures the contenders of one kind of work in [`ROUNDS`] turns, as `work/contender/round`.
pub fn rounds(c: &mut Criterion, work: &str, contenders: Vec<Contender<'_>>) {
    rounds_of(c, ROUNDS, work, contenders);
}

/// Measures the contenders of one kind of work at one of several sizes in [`ROUNDS_OVER_SIZES`]
/// turns, as `work_size/contender/round`: `cargo xtask bench` draws them over the sizes.
pub fn rounds_at(c: &mut Criterion, work: &str, size: u64, contenders: Vec<Contender<'_>>) {
    rounds_of(c, ROUNDS_OVER_SIZES, &format!("{work}_{size}"), contenders);
}

/// Measures the contenders of one kind of work in so many turns, as `work/contender/round`.
pub fn rounds_of(c: &mut Criterion, rounds: u32, work: &str, mut contenders: Vec<Contender<'_>>) {
    for round in 0..rounds {
        for (name, bench) in &mut contenders {
            let mut group = c.benchmark_group(work);
            group.bench_function(format!("{name}/{round}"), bench);
            group.finish();
        }
    }
}

/// Short turns: the rounds make up for it.
pub fn criterion() -> Criterion {
    Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(60))
        .measurement_time(Duration::from_millis(200))
        .without_plots()
        .configure_from_args()
}

/// Shorter turns and as few samples as criterion takes: for work that is measured over many sizes.
pub fn criterion_over_sizes() -> Criterion {
    Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(30))
        .measurement_time(Duration::from_millis(100))
        .without_plots()
        .configure_from_args()
}
