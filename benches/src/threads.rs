//! Two threads pinned to cores.
//!
//! Otherwise their placement changes from run to run, and waking a thread on another core takes
//! many times as long as on the same one.

use std::hint::spin_loop;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use crossbeam_utils::CachePadded;

/// The cores of two threads. Ignored on systems other than Linux, and with a single core.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cores {
    /// Both on the same core.
    One,
    /// Each on its own core.
    Two,
}

/// Runs both at once, and returns the result of the first.
///
/// # Panics
/// If either panics.
pub fn pair<T: Send>(
    cores: Cores,
    first: impl FnOnce() -> T + Send,
    second: impl FnOnce() + Send,
) -> T {
    let result = thread::scope(|s| {
        s.spawn(|| {
            pin(usize::from(cores == Cores::Two));
            second();
        });
        let first = s.spawn(|| {
            pin(0);
            first()
        });
        first.join()
    });
    result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Pins the calling thread to one of the cores that it may use.
#[cfg(target_os = "linux")]
fn pin(number: usize) {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

    let Ok(allowed) = sched_getaffinity(None) else { return };
    if let Some(core) = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core)).nth(number) {
        let mut only = CpuSet::new();
        only.set(core);
        // If this fails, the times vary more.
        let _ = sched_setaffinity(None, &only);
    }
}

#[cfg(not(target_os = "linux"))]
fn pin(_: usize) {}

/// A reusable barrier for two threads.
#[derive(Debug, Default)]
pub struct Meeting(CachePadded<AtomicU64>);

impl Meeting {
    /// Waits for the other thread. `number` is 1 at the first meeting, then 2, and so on.
    pub fn meet(&self, number: u64) {
        const SPINS: u32 = 10_000;
        self.0.fetch_add(1, Ordering::AcqRel);
        for spin in 0_u32.. {
            if self.0.load(Ordering::Acquire) >= 2 * number {
                return;
            }
            if spin < SPINS {
                spin_loop();
            } else {
                thread::yield_now(); // the other thread may need this core
            }
        }
    }
}
