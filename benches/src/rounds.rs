//! Contenders that alternate (A B A B), so that a drift in machine speed affects all alike.

use std::time::Duration;

use criterion::{Bencher, Criterion};

/// The number of rounds. `cargo xtask bench` takes the median of the ratios of all rounds.
pub const ROUNDS: u32 = 9;

/// The number of rounds of saves to a server, which vary by a fifth from one second to the next.
pub const ROUNDS_OF_SERVERS: u32 = 27;

/// The number of rounds of short saves to a disk: its speed drifts within a second.
pub const ROUNDS_OF_SAVES: u32 = 45;

/// The number of rounds of work measured over many sizes, where neighbouring sizes reveal outliers.
pub const ROUNDS_OVER_SIZES: u32 = 5;

/// A contender: its name and its bench.
pub type Contender<'a> = (&'a str, Box<dyn FnMut(&mut Bencher<'_>) + 'a>);

/// Boxes a contender.
pub fn contender<'a>(name: &'a str, bench: impl FnMut(&mut Bencher<'_>) + 'a) -> Contender<'a> {
    (name, Box::new(bench))
}

/// Measures contenders in [`ROUNDS`] rounds, as `work/contender/round`.
pub fn rounds(c: &mut Criterion, work: &str, contenders: Vec<Contender<'_>>) {
    rounds_of(c, ROUNDS, work, contenders);
}

/// Measures contenders at one size in [`ROUNDS_OVER_SIZES`] rounds, as `work_size/contender/round`.
/// `cargo xtask bench` draws them over the sizes.
pub fn rounds_at(c: &mut Criterion, work: &str, size: u64, contenders: Vec<Contender<'_>>) {
    rounds_of(c, ROUNDS_OVER_SIZES, &format!("{work}_{size}"), contenders);
}

/// Measures contenders in a number of rounds, as `work/contender/round`.
///
/// Without `--bench`, as in `cargo test --benches`, criterion runs each once and measures nothing:
/// one round is enough.
pub fn rounds_of(c: &mut Criterion, rounds: u32, work: &str, mut contenders: Vec<Contender<'_>>) {
    let measured = std::env::args().any(|argument| argument == "--bench");
    for round in 0..if measured { rounds } else { 1 } {
        for (name, bench) in &mut contenders {
            let mut group = c.benchmark_group(work);
            group.bench_function(format!("{name}/{round}"), bench);
            group.finish();
        }
    }
}

/// Short measurements, as there are many rounds.
pub fn criterion() -> Criterion {
    Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(60))
        .measurement_time(Duration::from_millis(200))
        .without_plots()
        .configure_from_args()
}

/// Longer measurements, as saves to a server take milliseconds.
pub fn criterion_of_servers() -> Criterion {
    criterion().measurement_time(Duration::from_secs(1))
}

/// Shorter measurements and the fewest samples that criterion accepts, for work measured over many
/// sizes or in many rounds.
pub fn criterion_over_sizes() -> Criterion {
    Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(30))
        .measurement_time(Duration::from_millis(100))
        .without_plots()
        .configure_from_args()
}
