//! Checks a store on a real filesystem that is shut down while the store saves.
//!
//! A writer process ([`write()`]) runs the production code on a filesystem and reports every call
//! on a pipe. The caller shuts the filesystem down, mounts it again and passes the reports and the
//! files to a [`Checker`]. The checker holds recovery to the promises of the simulated crashes. It
//! also makes the same calls on a [`SimDisk`](super::SimDisk): the files must be one of the images
//! that a power cut may leave there.
//!
//! [`WriterHistory`] is for a power cut that the caller makes of a disk's recorded writes: it holds
//! recovery to the same promises, after writers that were killed and restarted before the cut.

mod checker;
mod event;
mod follower;
mod logged_disk;
mod plan;
mod replay;
mod writer;
mod writers;

pub use self::checker::{Checker, Failure, Outcome, RunResult};
pub use self::event::{CallRecord, Event, Events, Operation};
pub use self::follower::{Follower, Format};
pub use self::logged_disk::WriterMutant;
pub use self::plan::Plan;
pub use self::writer::write;
pub use self::writers::WriterHistory;
