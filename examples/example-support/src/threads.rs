//! Threads that end together, or wait.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::error::Error;

/// What a thread of [`run_all`] does.
pub type Work<'a> = Box<dyn FnOnce() -> Result<(), Error> + Send + 'a>;

/// Does each work on a thread of its own. If one fails or panics, `stop` must end the others.
/// Returns the first error.
pub fn run_all<'a>(
    works: impl IntoIterator<Item = Work<'a>>,
    stop: impl Fn() + Sync,
) -> Result<(), Error> {
    let guard = |work: Work<'a>| {
        let worked = catch_unwind(AssertUnwindSafe(work));
        let worked = worked.unwrap_or_else(|_| Err("a thread panicked".into()));
        worked.inspect_err(|_| stop())
    };
    thread::scope(|scope| {
        let spawn = |work| scope.spawn(|| guard(work));
        let threads: Vec<_> = works.into_iter().map(spawn).collect();
        threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| "cannot stop")?)
    })
}

/// Joins the threads that have ended. Returns the first error.
pub fn join_ended(threads: &mut Vec<JoinHandle<Result<(), Error>>>) -> Result<(), Error> {
    let mut ended = threads.extract_if(.., |thread| thread.is_finished());
    ended.try_for_each(|thread| thread.join().map_err(|_| "a thread panicked")?)
}

/// Tries for so long, every few milliseconds, until there is a value.
pub fn try_for<T>(
    patience: Duration,
    mut attempt: impl FnMut() -> Result<Option<T>, Error>,
) -> Result<Option<T>, Error> {
    let deadline = Instant::now() + patience;
    loop {
        match attempt()? {
            None if Instant::now() < deadline => thread::sleep(Duration::from_millis(4)),
            tried => return Ok(tried),
        }
    }
}

/// Locks a mutex, also after a panic: a thread that panics ends the program.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const FAILS: fn() -> Result<(), Error> = || Err("broken".into());
    const PANICS: fn() -> Result<(), Error> = || panic!("on purpose");
    const WITHIN: Duration = Duration::from_secs(20);

    #[test]
    fn an_error_or_a_panic_of_a_thread_is_returned() {
        let ended = |work: fn() -> Result<(), Error>| {
            let mut threads = vec![thread::spawn(work)];
            while !threads.is_empty() {
                join_ended(&mut threads).map_err(|e| e.to_string())?;
            }
            Ok(())
        };
        assert_eq!(ended(|| Ok(())), Ok(()));
        assert_eq!(ended(FAILS), Err("broken".to_owned()));
        assert_eq!(ended(PANICS), Err("a thread panicked".to_owned()));
    }

    #[test]
    fn an_error_or_a_panic_of_a_thread_stops_the_others_and_is_returned() {
        for (work, error) in [(FAILS, "broken"), (PANICS, "a thread panicked")] {
            let (stop, stopped) = mpsc::channel();
            let waits: Work<'_> = Box::new(move || Ok(stopped.recv_timeout(WITHIN)?));
            let ended = run_all([waits, Box::new(work)], || stop.send(()).unwrap());
            assert_eq!(ended.unwrap_err().to_string(), error);
        }
    }
}
