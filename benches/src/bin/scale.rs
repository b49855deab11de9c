//! Measures single changes of the shards of a state, the removal of many, and whether resident
//! memory grows when states are dropped. Prints one JSON line for each.
#![expect(clippy::print_stdout, reason = "its output")]

use std::error::Error;
use std::fs;
use std::hint::black_box;
use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use benches::{random, state_of, wide_ids};
use repl_core::{NewShard, ReplicationState, ShardId};

type Done = Result<(), Box<dyn Error>>;

const MILLION: u64 = 1 << 20;

fn main() -> Done {
    resident()?; // first, as memory that others have freed may be used again
    for shards in [1024, 65_536, MILLION] {
        changes(shards)?;
    }
    removals()
}

/// The times of adding, resetting and removing one shard of many, at random ids.
fn changes(shards: u64) -> Done {
    const WARM_UP: usize = 2000;
    const CYCLES: usize = 10_000;
    let mut ids = wide_ids(shards);
    let state = state_of(&ids);
    let mut number = random();
    let mut all_times = ["add", "reset", "remove"].map(|kind| (kind, Vec::new()));
    for _ in 0..WARM_UP + CYCLES {
        let new = NewShard::new(ShardId(number()));
        let mut place = || usize::try_from(number() % shards);
        let (reset, removed) = (ids[place()?], std::mem::replace(&mut ids[place()?], new.shard));
        let timed = |change: &dyn Fn() -> bool| {
            let began = Instant::now();
            let changed = change();
            (began.elapsed(), changed)
        };
        let of = [
            timed(&|| state.add_shard(new.clone()).is_ok()),
            timed(&|| state.reset_shard(NewShard::new(reset).with_mark(5)).is_some()),
            timed(&|| state.remove_shard(removed).is_some()),
        ];
        for ((time, changed), (kind, times)) in of.into_iter().zip(&mut all_times) {
            times.push(time);
            if !changed {
                return Err(format!("nothing to {kind}").into());
            }
        }
    }
    for (kind, mut times) in all_times {
        times.drain(..WARM_UP);
        times.sort_unstable();
        let mean = times.iter().sum::<Duration>() / u32::try_from(CYCLES)?;
        let [mean, most, slowest] =
            [mean, times[CYCLES * 999 / 1000], times[CYCLES - 1]].map(|time| time.as_nanos());
        println!(
            "{{\"change\":\"{kind}\",\"shards\":{shards},\"mean_ns\":{mean},\
             \"p999_ns\":{most},\"slowest_ns\":{slowest}}}"
        );
    }
    Ok(())
}

/// Removes many shards in one call, and one by one.
fn removals() -> Done {
    const REMOVED: usize = 32_000;
    let ids = wide_ids(MILLION);
    let mut number = random();
    let mut some: Vec<ShardId> =
        ids.iter().copied().filter(|_| number() % MILLION < 2 * REMOVED as u64).collect();
    some.truncate(REMOVED);
    let of = |name: &str, remove: &dyn Fn(&ReplicationState) -> usize| -> Done {
        let state = state_of(&ids);
        let began = Instant::now();
        let removed = remove(&state);
        let time = began.elapsed().as_nanos();
        if removed != REMOVED {
            return Err(format!("{removed} shards were removed").into());
        }
        println!(
            "{{\"removal\":\"{name}\",\"removed\":{removed},\"shards\":{MILLION},\"ns\":{time}}}"
        );
        Ok(())
    };
    of("in one call", &|state| state.remove_shards(&some).len())?;
    of("one by one", &|state| some.iter().filter_map(|id| state.remove_shard(*id)).count())
}

/// Makes and drops states while threads that have looked up in them live on.
fn resident() -> Done {
    const THREADS: usize = 8;
    let ids = Arc::new(wide_ids(MILLION));
    let looked_up = Arc::new(Barrier::new(THREADS + 1));
    let mut states = Vec::new();
    for _ in 0..THREADS {
        let (send, state) = mpsc::channel::<Arc<ReplicationState>>();
        let (ids, looked_up) = (Arc::clone(&ids), Arc::clone(&looked_up));
        states.push(send);
        thread::spawn(move || {
            while let Ok(state) = state.recv() {
                for id in ids.iter().step_by(1000) {
                    black_box(state.applied_seqno(*id));
                }
                drop(state);
                looked_up.wait();
            }
        });
    }
    let before = resident_bytes()?;
    let make_and_drop = || -> Result<u64, Box<dyn Error>> {
        let state = Arc::new(ReplicationState::new(&ids));
        for thread in &states {
            thread.send(Arc::clone(&state))?;
        }
        looked_up.wait();
        resident_bytes()
    };
    // The allocator keeps some of what is freed, and large vectors too once it has seen some. The
    // states after the second can use it.
    make_and_drop()?;
    let with = make_and_drop()? - before;
    for _ in 0..3 {
        make_and_drop()?;
    }
    let more = resident_bytes()?.saturating_sub(before + with);
    println!("{{\"resident\":{with},\"more\":{more},\"shards\":{MILLION},\"threads\":{THREADS}}}");
    Ok(())
}

fn resident_bytes() -> Result<u64, Box<dyn Error>> {
    let pages = fs::read_to_string("/proc/self/statm")?;
    let resident = pages.split(' ').nth(1).ok_or("no resident pages")?;
    Ok(resident.parse::<u64>()? * 4096)
}
