//! For how long a log has been ahead of a mark.

use std::time::Duration;

use crate::ids::SeqNo;

/// The fewest samples: the first one, the newest one, and some between them.
const FEWEST: usize = 8;

/// Tells for how long a log has been ahead of a mark: the lag in time.
///
/// It has no clock. A sample says where the log ended, and when: the [`Duration`] since any instant,
/// which is the same one for all calls. That is the start of the process, for example, or the Unix
/// epoch if the leader sends its time along.
///
/// The lag of a mark is the time since the first sample that is above the mark. So it is never too
/// long, and too short by at most the time between that sample and the one before it.
///
/// The number of samples is bounded. Once there are more, the sample is dropped whose loss changes a
/// lag by the smallest share. So older samples are farther apart. With 64 of them, taken once a
/// second for a day, no lag is short by more than a quarter.
///
/// ```
/// use std::time::Duration;
/// use repl_core::LagClock;
///
/// let seconds = Duration::from_secs;
/// let mut clock = LagClock::new(64);
/// clock.sample(10, seconds(100)); // the log ended at segment 10
/// clock.sample(12, seconds(101));
/// clock.sample(12, seconds(102));
/// assert_eq!(clock.lag(12, seconds(105)), Some(seconds(0)));
/// assert_eq!(clock.lag(11, seconds(105)), Some(seconds(4)));
/// assert_eq!(clock.lag(3, seconds(105)), Some(seconds(5))); // or more: nothing is known of before
/// ```
#[derive(Debug, Clone)]
pub struct LagClock {
    /// Ascending in both, in the seqno strictly.
    samples: Vec<(SeqNo, Duration)>,
    max_samples: usize,
}

impl LagClock {
    /// Creates a clock without samples that keeps at most `max_samples`, or 8 if that is less.
    ///
    /// A sample takes 24 bytes. Memory is allocated as samples come.
    pub const fn new(max_samples: usize) -> Self {
        let max_samples = if max_samples < FEWEST { FEWEST } else { max_samples };
        LagClock { samples: Vec::new(), max_samples }
    }

    /// Records that the log ended at segment `last` at a time.
    ///
    /// A log that has not grown adds no sample. One that was cut drops those above its new end. A
    /// time before that of an earlier sample counts as that one. O(samples) at most.
    pub fn sample(&mut self, last: SeqNo, at: Duration) {
        let at = self.samples.last().map_or(at, |(_, newest)| at.max(*newest));
        let kept = self.samples.partition_point(|(seqno, _)| *seqno <= last);
        self.samples.truncate(kept);
        if self.samples.last().is_some_and(|(seqno, _)| *seqno == last) {
            return;
        }
        self.samples.push((last, at));
        if self.samples.len() > self.max_samples {
            self.drop_one();
        }
    }

    /// Returns for how long the log has been ahead of a mark; zero if it is not.
    ///
    /// `None` if there is no sample. A mark below the first sample is behind for at least the time
    /// since that one. O(log samples).
    pub fn lag(&self, mark: SeqNo, now: Duration) -> Option<Duration> {
        self.samples.last()?;
        let above = self.samples.partition_point(|(seqno, _)| *seqno <= mark);
        let since = self.samples.get(above).map_or(now, |(_, at)| *at);
        Some(now.saturating_sub(since))
    }

    /// Drops the sample whose loss makes a lag short by the smallest share, but neither the first nor
    /// the newest one.
    fn drop_one(&mut self) {
        let newest = self.samples.last().map_or(Duration::ZERO, |(_, at)| *at);
        let share = |around: &[(SeqNo, Duration)]| match around {
            [(_, before), _, (_, after)] => {
                let (gap, age) = (after.saturating_sub(*before), newest.saturating_sub(*before));
                if gap.is_zero() { 0.0 } else { gap.div_duration_f64(age) }
            }
            _ => 1.0,
        };
        let shares = self.samples.windows(3).map(share).enumerate();
        if let Some((before, _)) = shares.min_by(|(_, a), (_, b)| a.total_cmp(b)) {
            self.samples.remove(before + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400;

    fn after(max_samples: usize, seconds: u64) -> LagClock {
        let mut clock = LagClock::new(max_samples);
        (1..=seconds).for_each(|second| clock.sample(second, Duration::from_secs(second)));
        clock
    }

    #[test]
    fn the_number_of_samples_is_bounded() {
        for (max_samples, kept) in [(0, 8), (8, 8), (64, 64), (5000, 1000)] {
            assert_eq!(after(max_samples, 1000).samples.len(), kept, "{max_samples}");
        }
    }

    #[test]
    fn with_64_samples_of_a_day_no_lag_is_short_by_more_than_a_quarter() {
        let (clock, now) = (after(64, DAY), Duration::from_secs(DAY));
        for mark in 0..DAY - 1 {
            let lag = clock.lag(mark, now).unwrap().as_secs_f64();
            let known = Duration::from_secs(DAY - mark - 1).as_secs_f64();
            assert!(lag <= known && lag >= known * 0.75, "{mark}: {lag} of {known}");
        }
    }

    #[test]
    fn samples_of_one_instant_are_dropped_first() {
        let mut clock = LagClock::new(8);
        for seqno in 1..=4 {
            clock.sample(seqno, Duration::from_secs(seqno));
        }
        (5..=100).for_each(|seqno| clock.sample(seqno, Duration::from_secs(5)));
        for (mark, seconds) in [(0, 4), (1, 3), (2, 2), (3, 1)] {
            assert_eq!(clock.lag(mark, Duration::from_secs(5)), Some(Duration::from_secs(seconds)));
        }
    }
}
