//! Measures with dhat what an apply window adds to the memory of a shard: with ten seqnos in flight
//! while two million go through it, and when it is idle again after as many in flight as it allows.
//! Prints one JSON line for each capacity.
#![expect(clippy::print_stdout, reason = "its output")]

use std::error::Error;

use repl_core::{ApplyWindow, ReplicationState, ShardId};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

const IN_FLIGHT: u64 = 10;
const THROUGH: u64 = 2_000_000;

fn main() -> Result<(), Box<dyn Error>> {
    let profiler = dhat::Profiler::builder().testing().build();
    for capacity in [16, 1024, 16_384, 1 << 40] {
        let (in_flight, idle) = of(capacity)?;
        println!(
            "{{\"window_capacity\":{capacity},\"bytes_in_flight\":{in_flight},\
             \"bytes_idle\":{idle}}}"
        );
    }
    drop(profiler);
    Ok(())
}

/// The most that a window of this capacity adds with ten seqnos in flight, and what it adds after.
fn of(capacity: u64) -> Result<(usize, usize), Box<dyn Error>> {
    let allocated = || dhat::HeapStats::get().curr_bytes;
    let shard = ReplicationState::single().shard(ShardId::SINGLE).ok_or("not tracked")?;
    let mut claims = Vec::with_capacity(usize::try_from(IN_FLIGHT)?);
    let (before, mut most) = (allocated(), 0);
    let window = ApplyWindow::new(shard.clone(), capacity)?;
    let mut above = |mark: u64| -> Result<(), Box<dyn Error>> {
        for seqno in mark + 1..=mark + IN_FLIGHT {
            claims.push(window.try_claim(seqno)?);
        }
        most = most.max(allocated() - before);
        while let Some(claim) = claims.pop() {
            claim.complete()?; // from the highest down
            most = most.max(allocated() - before);
        }
        Ok(())
    };
    above(0)?;
    for mark in (IN_FLIGHT..THROUGH).step_by(usize::try_from(IN_FLIGHT)?) {
        above(mark)?;
    }
    // As far above the mark as the window allows.
    above(shard.applied() + capacity - IN_FLIGHT)?;
    let last = shard.applied() + capacity.min(100_000);
    (shard.applied() + 1..=last).rev().try_for_each(|seqno| window.complete(seqno).map(|_| ()))?;
    let idle = allocated() - before;
    drop(window);
    Ok((most, idle))
}
