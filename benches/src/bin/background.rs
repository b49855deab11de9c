//! How much of a core background checkpointing takes, ten times a second, while every mark moves:
//! prints one JSON line a size. Linux only: the thread's own time is the scheduler's figure.
#![expect(clippy::print_stdout, reason = "its output")]

use std::convert::Infallible;
use std::error::Error;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use benches::dense_ids;
use repl_checkpoint::{
    BincodeCodec, Codec, FileStore, JsonCodec, OnCorrupt, Schedule, StoreId, recover,
};

const SECONDS: u64 = 5;

fn main() -> Result<(), Box<dyn Error>> {
    for shards in [1024, 65_536] {
        measure(shards, JsonCodec)?;
        measure(shards, BincodeCodec)?;
    }
    Ok(())
}

/// Nanoseconds that the calling thread has run.
fn thread_time() -> Option<u64> {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    stat.split(' ').next()?.parse().ok()
}

fn measure(shards: u64, codec: impl Codec + 'static) -> Result<(), Box<dyn Error>> {
    let name = codec.name();
    // Beside this program: the folder for temporary files may lie in memory.
    let here = std::env::current_exe()?;
    let dir = tempfile::tempdir_in(here.parent().ok_or("this program has no folder")?)?;
    let ids = dense_ids(shards);
    let store = FileStore::open(dir.path(), StoreId::UNNAMED)?;
    let recovered = recover(store, codec, &ids, OnCorrupt::Fail)?;
    let times = Arc::new(Mutex::new(Vec::new()));
    let flush = {
        let times = Arc::clone(&times);
        move |_: &mut _| {
            if let Ok(mut times) = times.lock() {
                times.push((Instant::now(), thread_time()));
            }
            Ok::<(), Infallible>(())
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
    background.close()?;
    let times = times.lock().map_err(|_| "a flush panicked")?;
    let (first, last) = times.first().zip(times.last()).ok_or("no checkpoint was taken")?;
    let (began, ended) = first.1.zip(last.1).ok_or("no /proc/thread-self/schedstat here")?;
    let wall = last.0.duration_since(first.0).as_secs_f64();
    let percent = Duration::from_nanos(ended - began).as_secs_f64() / wall * 100.0;
    let saves = f64::from(u32::try_from(times.len() - 1)?) / wall;
    println!(
        "{{\"shards\":{shards},\"codec\":\"{name}\",\"saves_a_second\":{saves:.1},\
         \"percent_of_a_core\":{percent:.2}}}"
    );
    Ok(())
}
