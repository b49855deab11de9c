//! Fuzz targets for all that reads bytes from outside: checkpoint files, payloads, directories.
//!
//! Each target is a function of the fuzzer's bytes that panics where a promise does not hold. Where
//! what is right is not plain, it is worked out a second time, by the docs and not by the code. The
//! programs in `fuzz_targets` hand libFuzzer's bytes to them; `cargo xtask fuzz` runs them.

#![forbid(unsafe_code)]
#![warn(missing_docs)]
#![expect(clippy::missing_panics_doc, reason = "to panic is how a target fails")]

mod checkpoints;
mod choices;
mod envelope;
mod expected;
mod follower;
mod format;
mod payloads;
mod planted;
mod recovery;
mod round_trip;
mod slots;

pub use envelope::envelope;
pub use payloads::{bincode, json};
pub use recovery::recovery;
pub use round_trip::round_trip;
pub use slots::slots;
