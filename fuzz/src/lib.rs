//! Fuzz targets for all code that reads untrusted bytes (checkpoint files, payloads, directories),
//! and for the verdict on what was read.
//!
//! Each target is a function of the fuzzer's bytes that panics if a guarantee does not hold. Where
//! the expected result is not obvious, the target computes it independently, from the docs instead
//! of the code. The programs in `fuzz_targets` pass libFuzzer's bytes to the targets.
//! `cargo xtask fuzz` runs them.

#![forbid(unsafe_code)]
#![warn(missing_docs)]
#![expect(clippy::missing_panics_doc, reason = "a target fails by a panic")]

mod chains;
mod checkpoints;
mod choices;
mod deltas;
mod envelope;
mod expected;
mod follower;
mod format;
mod payloads;
mod peeked;
mod planted;
mod reconcile;
mod records;
mod recovery;
mod round_trip;
mod slot;
mod slots;
mod sound;

pub use deltas::deltas;
pub use envelope::envelope;
pub use payloads::{bincode, json};
pub use reconcile::reconcile;
pub use recovery::recovery;
pub use round_trip::round_trip;
pub use slots::slots;
