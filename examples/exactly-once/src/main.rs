//! Four threads commit data and marks side by side in one database, exactly once.
//!
//! Each thread applies the log of one shard to SQLite. The marks of all shards are bytes in the
//! database, and each transaction changes them together with its data. SIGKILL ends the process at
//! random instants, and it is started again. In the end each segment has taken effect exactly once.
//!
//! ```sh
//! cargo run --locked --release -p exactly-once
//! ```
//!
//! # Steps of the applier process
//! 1. Read the stored bytes, and make the live state of them.
//! 2. A thread begins a transaction, and reads the stored bytes *in it*.
//! 3. It adds its own move to them, with `CheckpointBytes::next_checkpoint_bytes`. If the stored
//!    mark is there already, an earlier commit took effect: nothing is written.
//! 4. It works on the segment, and writes its effect.
//! 5. It writes the next bytes.
//! 6. It commits. After a conflict, or a commit in doubt, it goes back to step 2.
//! 7. Only after the commit does the live state advance.
//! 8. Other threads delete the segments up to `Floors::of_durable`: those that the live state has
//!    reached.
//!
//! # Why each segment is applied exactly once
//! A transaction that read the stored bytes commits only if no other has changed them since. SQLite
//! refuses it otherwise (`SQLITE_BUSY_SNAPSHOT`), so the commits act as if they ran one after the
//! other. The transactions begin as readers, so that they do run side by side. With `BEGIN
//! IMMEDIATE` they would wait for each other, and would not conflict.
//!
//! So the stored marks are always those of the data beside them, and they alone decide whether a
//! segment is applied. That settles a commit in doubt as well: step 2 reads whether it took effect.
//!
//! The live state never decides. It may be behind the stored marks, after a commit and before step
//! 7, so bytes that are made from it would take back the marks of other threads
//! (`--mutant clone-live-state`). It is never ahead of them, as it would allow the deletion of a
//! segment that a crash brings back as not applied (`--mutant advance-before-commit`).

mod applier;
mod database;
mod log;
mod run;
mod verify;

use std::process::ExitCode;

fn main() -> ExitCode {
    run::main()
}
