//! Two threads on cores of their choice: where the system puts them otherwise changes from run to
//! run, and a wake-up of another core takes many times as long as one of the same.

use std::hint::spin_loop;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use crossbeam_utils::CachePadded;

/// Where two threads run; elsewhere than on Linux, and with a single core, where the system puts
/// them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cores {
    /// Both on one.
    One,
    /// Each on its own.
    Two,
}

/// Runs both, and returns what the first gives.
///
/// # Panics
/// Where one of them panics.
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

/// Keeps the calling thread on one of the cores that it may use.
#[cfg(target_os = "linux")]
fn pin(number: usize) {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

    let Ok(allowed) = sched_getaffinity(None) else { return };
    if let Some(core) = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core)).nth(number) {
        let mut only = CpuSet::new();
        only.set(core);
        // Where it is refused, the figures vary more.
        let _ = sched_setaffinity(None, &only);
    }
}

#[cfg(not(target_os = "linux"))]
fn pin(_: usize) {}

/// Where two threads meet, again and again.
#[derive(Debug, Default)]
pub struct Meeting(CachePadded<AtomicU64>);

impl Meeting {
    /// Waits for the other thread; `number` counts from 1 on.
    pub fn meet(&self, number: u64) {
        const SPINS: u32 = 10_000;
        self.0.fetch_add(1, Ordering::AcqRel);
        for turn in 0_u32.. {
            if self.0.load(Ordering::Acquire) >= 2 * number {
                return;
            }
            if turn < SPINS {
                spin_loop();
            } else {
                thread::yield_now(); // the other one may need this core
            }
        }
    }
}
