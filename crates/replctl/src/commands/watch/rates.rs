//! How fast marks move, over the last looks.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use repl_core::{ShardId, Snapshot};

/// The looks that a rate is taken over: saves are further apart than looks, so that one pair shows
/// nothing or too much.
const LOOKS: usize = 8;

/// Marks at a time.
pub(super) struct Sample {
    pub(super) at: Instant,
    pub(super) marks: Arc<Snapshot>,
}

/// The last looks at one store.
#[derive(Default)]
pub(super) struct Rates(VecDeque<Sample>);

impl Rates {
    pub(super) fn add(&mut self, sample: Sample) {
        if self.0.len() == LOOKS {
            self.0.pop_front();
        }
        self.0.push_back(sample);
    }

    /// Segments a second of one shard; `None` before the second look.
    pub(super) fn of(&self, shard: ShardId) -> Option<f64> {
        self.rate(|marks| marks.mark(shard))
    }

    /// Of all shards together.
    pub(super) fn all(&self) -> Option<f64> {
        self.rate(|marks| Some(marks.marks().iter().fold(0, |all, mark| mark.saturating_add(all))))
    }

    fn rate(&self, mark: impl Fn(&Snapshot) -> Option<u64>) -> Option<f64> {
        let (first, last) = (self.0.front()?, self.0.back()?);
        let time = last.at.duration_since(first.at).as_secs_f64();
        if self.0.len() < 2 || time <= 0.0 {
            return None;
        }
        Some(difference(mark(&first.marks)?, mark(&last.marks)?) / time)
    }
}

#[expect(clippy::cast_precision_loss, reason = "a rate")]
fn difference(from: u64, to: u64) -> f64 {
    if to >= from { (to - from) as f64 } else { -((from - to) as f64) }
}

/// The seconds after which nothing is left of `lag`, if one side moves on at `rate` and the other
/// at `other`; `None` if that is never.
pub(super) fn time_to_catch_up(lag: u64, rate: f64, other: f64) -> Option<f64> {
    let gained = rate - other;
    match lag {
        0 => Some(0.0),
        _ if gained > 0.0 => Some(difference(0, lag) / gained),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn rates(marks: &[u64]) -> Rates {
        let (mut rates, began) = (Rates::default(), Instant::now());
        for (i, mark) in (0..).zip(marks) {
            let marks = Arc::new(Snapshot::from_iter([(ShardId(1), *mark), (ShardId(2), 0)]));
            rates.add(Sample { at: began + Duration::from_secs(i), marks });
        }
        rates
    }

    #[test]
    fn a_rate_is_taken_over_the_last_looks() {
        assert_eq!(rates(&[5]).of(ShardId(1)), None);
        assert_eq!(rates(&[5, 8]).of(ShardId(1)), Some(3.0));
        assert_eq!(rates(&[5, 8]).of(ShardId(2)), Some(0.0));
        assert_eq!(rates(&[5, 5, 9]).all(), Some(2.0));
        assert_eq!(rates(&[9, 5]).all(), Some(-4.0));
        let longer: Vec<u64> = (0..20).map(|i| if i < 12 { 0 } else { i }).collect();
        assert_eq!(rates(&longer).all(), Some(1.0), "older looks are dropped");
    }

    #[test]
    fn the_time_to_catch_up_needs_a_faster_rate() {
        assert_eq!(time_to_catch_up(10, 7.0, 5.0), Some(5.0));
        assert_eq!(time_to_catch_up(10, 5.0, 5.0), None);
        assert_eq!(time_to_catch_up(0, 1.0, 5.0), Some(0.0));
    }
}
