//! A follower to copy: a storage engine that follows a log, in under 150 lines.
//!
//! `engine.rs` is the engine, and `follower.rs` the process that runs it. The other files test
//! them: a parent writes the logs, kills the process with SIGKILL at random instants, checks what
//! it left, and starts it again.
//!
//! ```sh
//! cargo run --locked --release -p minimal-follower
//! ```

mod engine;
mod follower;
mod leader;
mod mutant;
mod run;
mod verify;

use std::process::ExitCode;

fn main() -> ExitCode {
    run::main()
}
