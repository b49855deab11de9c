//! The instants at which a child is killed: spread over the run, each random within its share.

use std::time::{Duration, Instant};

use crate::rng::Rng;

/// A due kill waits a random time up to this. Kills that are due together then hit the child at its
/// start, in a base copy or in a save.
const WAITS_UP_TO: Duration = Duration::from_millis(60);

/// The kills of one child.
#[derive(Debug)]
pub(crate) struct Kills {
    /// The fraction of the run after which each kill is due; the next one is last.
    fractions: Vec<f64>,
    at: Option<Instant>,
    rng: Rng,
}

impl Kills {
    pub(crate) fn new(count: u64, seed: u64, child: u64) -> Kills {
        let mut rng = Rng::new(seed, &[child]);
        let mut fractions: Vec<f64> = (0..count)
            .map(|i| {
                let within = if i == 0 { 0.0 } else { fraction(rng.below(1000), 1000) };
                fraction(i, count) + within * fraction(1, count) * 0.95
            })
            .collect();
        fractions.reverse();
        Kills { fractions, at: None, rng }
    }

    pub(crate) fn are_done(&self) -> bool {
        self.fractions.is_empty()
    }

    /// Whether to kill now, when the fraction `over` of the run is over. Each kill is due once.
    pub(crate) fn is_due(&mut self, over: f64) -> bool {
        if self.fractions.last().is_none_or(|fraction| *fraction > over) {
            return false;
        }
        let rng = &mut self.rng;
        let at = *self.at.get_or_insert_with(|| {
            let micros = u64::try_from(WAITS_UP_TO.as_micros()).unwrap_or(0);
            Instant::now() + Duration::from_micros(rng.below(micros))
        });
        if Instant::now() < at {
            return false;
        }
        self.fractions.pop();
        self.at = None;
        true
    }
}

#[expect(clippy::cast_precision_loss, reason = "small numbers")]
fn fraction(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}
