//! At which instants is a child killed? Spread over the run, and random within their share of it.

use std::time::{Duration, Instant};

use crate::rng::Rng;

/// After its turn has come a kill waits a random time up to this, so that kills that come due
/// together meet the child at its start, in a base copy or in a save.
const WAITS_UP_TO: Duration = Duration::from_millis(60);

/// The kills of one child.
#[derive(Debug)]
pub(crate) struct Kills {
    /// How much of the run is over when the turn of each comes, the next one last.
    turns: Vec<f64>,
    due: Option<Instant>,
    rng: Rng,
}

impl Kills {
    pub(crate) fn new(count: u64, seed: u64, child: u64) -> Kills {
        let mut rng = Rng::new(seed, &[child]);
        let mut turns: Vec<f64> = (0..count)
            .map(|i| {
                let within = if i == 0 { 0.0 } else { fraction(rng.below(1000), 1000) };
                fraction(i, count) + within * fraction(1, count) * 0.95
            })
            .collect();
        turns.reverse();
        Kills { turns, due: None, rng }
    }

    pub(crate) fn are_done(&self) -> bool {
        self.turns.is_empty()
    }

    /// Whether to kill now, with so much of the run over; each kill is due once.
    pub(crate) fn is_due(&mut self, over: f64) -> bool {
        if self.turns.last().is_none_or(|turn| *turn > over) {
            return false;
        }
        let rng = &mut self.rng;
        let due = *self.due.get_or_insert_with(|| {
            let micros = u64::try_from(WAITS_UP_TO.as_micros()).unwrap_or(0);
            Instant::now() + Duration::from_micros(rng.below(micros))
        });
        if Instant::now() < due {
            return false;
        }
        self.turns.pop();
        self.due = None;
        true
    }
}

#[expect(clippy::cast_precision_loss, reason = "small numbers")]
fn fraction(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}
