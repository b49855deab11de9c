//! How long the follower tries again.

use std::time::{Duration, Instant};

use example_support::{chain, send};

use crate::events::Event;
use crate::failure::Failure;

/// For how long the server may be away.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Waits longer and longer between tries, and not for ever. Progress makes it new.
#[derive(Debug)]
pub(crate) struct Patience {
    wait: Duration,
    /// Set by the first failure since there was progress.
    until: Option<Instant>,
}

impl Patience {
    pub(crate) fn new() -> Self {
        Patience { wait: Duration::from_millis(20), until: None }
    }

    /// Waits, or returns the failure if a retry has no use.
    pub(crate) async fn retry(&mut self, failure: Failure) -> Result<(), Failure> {
        let is_first = self.until.is_none();
        let Some(wait) = self.wait(Instant::now()).filter(|_| failure.is_retried()) else {
            return Err(failure);
        };
        if is_first {
            eprintln!("follower: {}: trying again", chain(&failure));
        }
        send(Event::Reconnected);
        tokio::time::sleep(wait).await;
        Ok(())
    }

    /// Returns how long to wait after a failure, or `None` if it lasts too long.
    fn wait(&mut self, now: Instant) -> Option<Duration> {
        if now >= *self.until.get_or_insert(now + PATIENCE) {
            return None;
        }
        let wait = self.wait;
        self.wait = (wait * 2).min(Duration::from_secs(1));
        Some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_without_a_failure_does_not_use_patience_up() {
        let (mut patience, start) = (Patience::new(), Instant::now());
        let hour = start + Duration::from_secs(3600);
        assert_eq!(patience.wait(hour), Some(Duration::from_millis(20)));
        assert_eq!(patience.wait(hour + PATIENCE / 2), Some(Duration::from_millis(40)));
        assert_eq!(patience.wait(hour + PATIENCE), None);
    }
}
