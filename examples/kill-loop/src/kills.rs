//! The instants at which a child is killed.

use std::time::{Duration, Instant};

use crate::random::below;

/// The kills of a run, spread over the first nine tenths of its work.
///
/// Each is due at a random point of its share of the work, and happens a random time later. Some
/// then hit the next child at its start. The first one may do so always.
#[derive(Debug)]
pub struct Kills {
    seed: u64,
    count: u64,
    from: u64,
    until: u64,
    waits_up_to: Duration,
    killed: u64,
    at: Option<Instant>,
}

impl Kills {
    /// Returns `count` kills between the units of work `from` and `until`. A kill that is due waits
    /// a random time up to `waits_up_to`.
    pub fn new(seed: u64, count: u64, from: u64, until: u64, waits_up_to: Duration) -> Self {
        Kills { seed, count, from, until, waits_up_to, killed: 0, at: None }
    }

    /// Returns whether to kill the child now, with `done` units of work done. True once per kill.
    pub fn is_due(&mut self, done: u64) -> bool {
        let (kill, seed) = (self.killed, self.seed);
        if kill >= self.count || done >= self.until {
            return false;
        }
        let within = if kill == 0 { 0 } else { below(900, &[seed, kill, 5]) };
        let parts = (kill * 1000 + within) * 9 / 10;
        let work = self.until.saturating_sub(self.from);
        if done < self.from + work * parts / (self.count * 1000) {
            return false;
        }
        let micros = u64::try_from(self.waits_up_to.as_micros()).unwrap_or(u64::MAX);
        let wait = Duration::from_micros(below(micros, &[seed, kill, 6]));
        if *self.at.get_or_insert_with(|| Instant::now() + wait) > Instant::now() {
            return false;
        }
        self.at = None;
        self.killed += 1;
        true
    }

    /// Returns how often [`is_due`](Kills::is_due) was true.
    pub fn killed(&self) -> u64 {
        self.killed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kill_is_due_once_in_the_first_nine_tenths() {
        let mut kills = Kills::new(7, 50, 1000, 3000, Duration::from_nanos(1));
        let due: Vec<u64> = (1000..3000).filter(|done| kills.is_due(*done)).collect();
        assert_eq!((due.len(), kills.killed()), (50, 50));
        assert_eq!(due[0], 1000, "the first is due at the start");
        for (share, due) in (0..).zip(&due) {
            let first = 1000 + share * 36;
            assert!((first..first + 36).contains(due), "kill {share} at {due}");
        }
    }

    #[test]
    fn a_kill_waits_a_random_time() {
        let mut kills = Kills::new(7, 1, 0, 10, Duration::from_secs(1000));
        assert!(!kills.is_due(1));
        assert!(kills.at.is_some_and(|at| at > Instant::now()));
    }

    #[test]
    fn no_kill_is_due_without_kills_or_after_the_end() {
        assert!(!Kills::new(7, 0, 0, 10, Duration::ZERO).is_due(5));
        assert!(!Kills::new(7, 3, 0, 10, Duration::ZERO).is_due(10));
    }
}
