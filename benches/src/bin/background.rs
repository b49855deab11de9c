//! Measures the CPU time of background checkpoints, ten per second, while every mark moves.
//!
//! Prints one JSON line per size and codec. `percent_in_the_store` is the share of it in
//! `FileStore::save`, nearly all of it in the kernel: create, write, sync, rename, sync the
//! directory, remove. Linux only, as it reads the CPU clock of a thread.
#![expect(clippy::print_stdout, reason = "its output")]

use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use benches::dense_ids;
use repl_checkpoint::{
    BincodeCodec, Candidates, CheckpointStore, Codec, FileStore, JsonCodec, LoadError, OnCorrupt,
    Save, SaveError, Schedule, StoreId, recover,
};

const SECONDS: u64 = 5;

fn main() -> Result<(), Box<dyn Error>> {
    for shards in [1024, 65_536] {
        measure(shards, JsonCodec)?;
        measure(shards, BincodeCodec)?;
    }
    Ok(())
}

/// The CPU time of the calling thread in nanoseconds; 0 on other systems.
///
/// One system call of about a microsecond. Reading `/proc/thread-self/schedstat` takes about 50,
/// which would be a tenth of what is measured.
#[cfg(target_os = "linux")]
fn thread_time() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).map_or(0, |time| time.as_nanos().try_into().unwrap_or(0))
}

#[cfg(not(target_os = "linux"))]
fn thread_time() -> u64 {
    0
}

/// A store, and how long its saves have run in all.
struct Timed {
    store: FileStore,
    nanoseconds: Arc<AtomicU64>,
}

impl CheckpointStore for Timed {
    fn store_id(&self) -> StoreId {
        self.store.store_id()
    }

    fn load(&mut self) -> Result<Candidates<'_>, LoadError> {
        self.store.load()
    }

    fn save(&mut self, save: Save<'_>) -> Result<(), SaveError> {
        let began = thread_time();
        let saved = self.store.save(save);
        self.nanoseconds.fetch_add(thread_time() - began, Ordering::Relaxed);
        saved
    }

    fn max_torn(&self) -> usize {
        self.store.max_torn()
    }
}

/// What the checkpointer's thread has run when a save's flush is called.
struct Reading {
    at: Instant,
    thread: u64,
    store: u64,
}

fn measure(shards: u64, codec: impl Codec + 'static) -> Result<(), Box<dyn Error>> {
    let name = codec.name();
    // Beside this program: the folder for temporary files may lie in memory.
    let here = std::env::current_exe()?;
    let dir = tempfile::tempdir_in(here.parent().ok_or("this program has no folder")?)?;
    let ids = dense_ids(shards);
    let in_store = Arc::new(AtomicU64::new(0));
    let store = FileStore::open(dir.path(), StoreId::UNNAMED)?;
    let store = Timed { store, nanoseconds: Arc::clone(&in_store) };
    let recovered = recover(store, codec, &ids, OnCorrupt::Fail)?;
    let readings = Arc::new(Mutex::new(Vec::new()));
    let flush = {
        let readings = Arc::clone(&readings);
        move |_: &mut _| {
            if let Ok(mut readings) = readings.lock() {
                let store = in_store.load(Ordering::Relaxed);
                readings.push(Reading { at: Instant::now(), thread: thread_time(), store });
            }
            Ok(())
        }
    };
    let when = Schedule::every(Duration::from_millis(100));
    let background = recovered.checkpointer.spawn(when, flush, |_| {})?;
    let start = Instant::now();
    for seqno in 1.. {
        for id in &ids {
            recovered.state.advance(*id, seqno);
        }
        std::thread::sleep(Duration::from_millis(10));
        if start.elapsed() > Duration::from_secs(SECONDS) {
            break;
        }
    }
    background.close().wait()?;
    let readings = readings.lock().map_err(|_| "a flush panicked")?;
    let (first, last) = readings.first().zip(readings.last()).ok_or("no checkpoint was taken")?;
    if last.thread == first.thread {
        return Err("this system does not say how long a thread has run".into());
    }
    let wall = last.at.duration_since(first.at).as_secs_f64();
    let percent_of = |ns: u64| Duration::from_nanos(ns).as_secs_f64() / wall * 100.0;
    let percent = percent_of(last.thread - first.thread);
    let in_the_store = percent_of(last.store - first.store);
    let saves = f64::from(u32::try_from(readings.len() - 1)?) / wall;
    println!(
        "{{\"shards\":{shards},\"codec\":\"{name}\",\"saves_a_second\":{saves:.1},\
         \"percent_of_a_core\":{percent:.2},\"percent_in_the_store\":{in_the_store:.2}}}"
    );
    Ok(())
}
