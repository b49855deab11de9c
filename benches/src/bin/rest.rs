//! Measures the CPU time of background checkpointers while nothing changes, and of those that poll
//! for `or_after` while a mark moves now and then. Prints one JSON line for each group.
//!
//! Linux only, as it reads how long each thread has run.
#![expect(clippy::print_stdout, reason = "its output")]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use benches::nowhere::Nowhere;
use benches::{dense_ids, state_of};
use repl_checkpoint::{BackgroundCheckpointer, BincodeCodec, OnCorrupt, Schedule, recover};
use repl_core::{ReplicationState, ShardId};

type Fallible<T> = Result<T, Box<dyn Error>>;

const MEASURED: Duration = Duration::from_secs(20);
const TENTH: Duration = Duration::from_millis(100);
const SECOND: Duration = Duration::from_secs(1);
const OVER_SIZES: [u64; 4] = [1024, 16_384, 131_072, 1_048_576];

fn main() -> Fallible<()> {
    let mut idle = Vec::new();
    for (every, interval) in [("100 ms", TENTH), ("1 s", SECOND)] {
        for _ in 0..300 {
            idle.push((every, 16, Checkpoints::start(16, Schedule::every(interval))?));
        }
    }
    for shards in OVER_SIZES {
        idle.push(("size", shards, Checkpoints::start(shards, Schedule::every(TENTH))?));
    }
    let peers: Vec<(u64, PathBuf)> =
        OVER_SIZES.into_iter().map(|n| Ok((n, polls(n)?))).collect::<Fallible<_>>()?;
    let polling = Schedule::every(SECOND).or_after(1 << 40);
    let polling = [16, 65_536].map(|shards| Ok((shards, Checkpoints::start(shards, polling)?)));
    let polling = polling.into_iter().collect::<Fallible<Vec<_>>>()?;
    for (_, _, checkpoints) in &idle {
        checkpoints.rest()?;
    }
    let read = || -> Fallible<Vec<u64>> {
        let idle = idle.iter().map(|(_, _, checkpoints)| &checkpoints.thread);
        let polling = polling.iter().map(|(_, checkpoints)| &checkpoints.thread);
        let threads = idle.chain(peers.iter().map(|(_, thread)| thread)).chain(polling);
        threads.map(|thread| thread_time(thread)).collect()
    };
    let (before, began) = (read()?, Instant::now());
    let mut seqno = 1 << 20;
    while began.elapsed() < MEASURED {
        thread::sleep(TENTH);
        seqno += 1;
        for (_, checkpoints) in &polling {
            checkpoints.state.advance(ShardId(1), seqno);
        }
    }
    let (after, wall) = (read()?, began.elapsed());
    let mut ran = after.iter().zip(&before).map(|(after, before)| after - before);
    let percent = |ns: u64| Duration::from_nanos(ns).as_secs_f64() / wall.as_secs_f64() * 100.0;
    for every in ["100 ms", "1 s"] {
        let ns: u64 = ran.by_ref().take(300).sum();
        let percent = percent(ns);
        println!("{{\"rest\":300,\"every\":\"{every}\",\"shards\":16,\"percent\":{percent:.4}}}");
    }
    for (contender, ns) in ["ours", "polls"].into_iter().flat_map(|c| OVER_SIZES.map(|n| (c, n))) {
        let (contender, shards, percent) = (contender, ns, percent(ran.next().ok_or("too few")?));
        // An axis with powers of ten has no 0.
        let shown = percent.max(0.0001);
        println!(
            "{{\"plot\":\"rest\",\"contender\":\"{contender}\",\"size\":{shards},\
             \"value\":{shown:.4}}}"
        );
        if (contender, shards) == ("ours", 1_048_576) {
            println!(
                "{{\"rest\":1,\"every\":\"100 ms\",\"shards\":{shards},\"percent\":{percent:.4}}}"
            );
        }
    }
    for ((shards, _), ns) in polling.iter().zip(ran) {
        println!("{{\"polling\":{shards},\"percent\":{:.3}}}", percent(ns));
    }
    Ok(())
}

/// A background checkpointer.
struct Checkpoints {
    state: Arc<ReplicationState>,
    background: BackgroundCheckpointer,
    thread: PathBuf,
}

impl Checkpoints {
    fn start(shards: u64, when: Schedule) -> Fallible<Self> {
        let recovered = recover(Nowhere, BincodeCodec, &dense_ids(shards), OnCorrupt::Fail)?;
        let (send, thread) = mpsc::channel();
        let flush = move |_: &mut _| {
            let _ = send.send(this_thread());
            Ok(())
        };
        let background = recovered.checkpointer.spawn(when, flush, |_| {})?;
        background.save_now();
        Ok(Checkpoints { state: recovered.state, background, thread: thread.recv()?? })
    }

    /// Waits until the thread sleeps: then its last success is the time of the call.
    fn rest(&self) -> Fallible<()> {
        let began = Instant::now();
        let floors = self.background.floors();
        loop {
            let asked = Instant::now();
            if floors.health().last_success.is_some_and(|at| at >= asked) {
                return Ok(());
            }
            if began.elapsed() > Duration::from_secs(60) {
                return Err("a background checkpointer does not come to rest".into());
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Starts a thread that compares snapshots ten times a second.
fn polls(shards: u64) -> Fallible<PathBuf> {
    let (send, this) = mpsc::channel();
    thread::spawn(move || {
        let _ = send.send(this_thread());
        let state = state_of(&dense_ids(shards));
        let mut last = state.snapshot();
        loop {
            thread::sleep(TENTH);
            let now = state.snapshot();
            if now != last {
                last = now;
            }
        }
    });
    Ok(this.recv()??)
}

fn this_thread() -> std::io::Result<PathBuf> {
    Ok(Path::new("/proc").join(std::fs::read_link("/proc/thread-self")?).join("schedstat"))
}

/// How long a thread has run, in nanoseconds.
fn thread_time(thread: &Path) -> Fallible<u64> {
    let times = std::fs::read_to_string(thread)?;
    Ok(times.split(' ').next().ok_or("no time")?.parse()?)
}
