//! The instants at which a child is killed.

use std::time::{Duration, Instant};

/// The kills of a run, spread over the first nine tenths of its work.
///
/// Each is due at a random point of its share of the work, and happens a random time later. Some
/// then hit the next child at its start. The first one may do so always.
#[derive(Debug)]
pub struct Kills {
    rng: fastrand::Rng,
    /// The fraction of the work after which each kill is due. The next one is the last.
    fractions: Vec<f64>,
    waits_up_to: Duration,
    at: Option<Instant>,
    killed: u64,
}

impl Kills {
    /// Returns `count` kills. A kill that is due waits a random time up to `waits_up_to`.
    pub fn new(mut rng: fastrand::Rng, count: u64, waits_up_to: Duration) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let fraction = |kill: u64, within: f64| 0.9 * (kill as f64 + within) / count as f64;
        let within = |kill: u64| if kill == 0 { 0.0 } else { 0.9 };
        let fractions = (0..count).rev().map(|kill| fraction(kill, within(kill) * rng.f64()));
        Kills { fractions: fractions.collect(), rng, waits_up_to, at: None, killed: 0 }
    }

    /// Returns whether to kill the child now, with the fraction `done` of the work done. True once
    /// per kill.
    pub fn is_due(&mut self, done: f64) -> bool {
        if self.fractions.last().is_none_or(|fraction| done < *fraction) {
            return false;
        }
        let (rng, longest) = (&mut self.rng, self.waits_up_to);
        let wait = || Instant::now() + longest.mul_f64(rng.f64());
        if *self.at.get_or_insert_with(wait) > Instant::now() {
            return false;
        }
        self.at = None;
        self.fractions.pop();
        self.killed += 1;
        true
    }

    /// Returns how often [`is_due`](Kills::is_due) was true.
    pub fn killed(&self) -> u64 {
        self.killed
    }

    /// Returns whether no kill is left.
    pub fn are_done(&self) -> bool {
        self.fractions.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng;

    #[test]
    fn each_kill_is_due_once_in_the_first_nine_tenths() {
        let mut kills = Kills::new(rng(&[7]), 50, Duration::ZERO);
        let due: Vec<u32> =
            (0..2000).filter(|done| kills.is_due(f64::from(*done) / 2000.0)).collect();
        assert_eq!((due.len(), kills.killed(), kills.are_done()), (50, 50, true));
        assert_eq!(due[0], 0, "the first is due at the start");
        for (share, due) in (0..).zip(&due) {
            let first = share * 36;
            assert!((first..first + 36).contains(due), "kill {share} at {due}");
        }
    }

    #[test]
    fn a_kill_waits_a_random_time() {
        let mut kills = Kills::new(rng(&[7]), 1, Duration::from_secs(1000));
        assert!(!kills.is_due(0.1));
        assert!(kills.at.is_some_and(|at| at > Instant::now()));
    }

    #[test]
    fn without_kills_none_is_due() {
        assert!(!Kills::new(rng(&[7]), 0, Duration::ZERO).is_due(1.0));
    }
}
