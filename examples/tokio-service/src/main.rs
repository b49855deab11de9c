//! A service under tokio: it applies logs to data in memory, and answers clients.
//!
//! Each shard has a log, a map in memory, and an applier, which is a task. A flush writes the maps
//! to files. SIGKILL ends the process at random instants, SIGTERM ends it in order, and each time it
//! is started again. In the end the data of each shard is equal to its log.
//!
//! ```sh
//! cargo run --locked --release -p tokio-service
//! ```
//!
//! # Steps
//! *Start* (`Service::start`): 1. read the list of shards. 2. Recover the marks of the shards in the
//! list. 3. Drop the orphans: the list says that they are removed. 4. Read the data of each shard,
//! and start its applier after the mark.
//!
//! *Apply* (`Replica::apply`): 1. wait for the next segment. 2. Change the map. 3. Advance the mark.
//! There is no await from 2 to 3, so an aborted applier leaves no segment half applied.
//!
//! *Read* (`clients.rs`): 1. write, and get the seqno of the write. 2. Wait for it, with a timeout.
//! 3. Read.
//!
//! *Checkpoint* (`Service::checkpoint`): 1. begin, which takes the marks. 2. Await the flush of all
//! shards. 3. Save the marks. 4. Delete the segments up to the retention floors.
//!
//! *Change the shards* (`Service::change`): 1. the list is made durable with the new shard, and
//! without the removed one. 2. Only then the state changes. After a crash between the two, a new
//! shard begins at mark 0, and a removed one is an orphan. In the other order a checkpoint without a
//! shard of the list could follow, and its log no longer begins at segment 1
//! (`--mutant state-before-list`). 3. Once no checkpoint names the removed shard, its data and log
//! are deleted; not earlier, as a crash could bring its mark back (`--mutant drop-data-early`).
//! 4. Then the list forgets it. A number is never used for a second shard.
//!
//! *Shut down* (`Service::shut_down`): 1. stop the appliers. 2. Take a last checkpoint. 3. Close the
//! state, which ends the waits of clients. The next start then applies no segment again.

mod clients;
mod log;
mod replica;
mod rig;
mod service;
mod shards;
mod verify;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// What the parent starts the service with.
#[derive(Debug, Serialize, Deserialize)]
struct Task {
    dir: PathBuf,
    seed: u64,
    /// Start no clients and change no shards.
    idle: bool,
    mutant: Option<Mutant>,
}

/// A deliberately wrong service that the check must detect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
enum Mutant {
    /// Saves the marks before the data is flushed.
    SaveBeforeFlush,
    /// Changes the state before the list of shards.
    StateBeforeList,
    /// Deletes the data of a removed shard while a checkpoint still names it.
    DropDataEarly,
    /// Reads without waiting for the write.
    ReadWithoutWaiting,
    /// Takes no last checkpoint.
    ShutdownWithoutSave,
}

fn main() -> ExitCode {
    rig::main()
}
