//! A store on a real filesystem that is shut down under it.
//!
//! A writer process ([`write()`]) runs the production code on a filesystem and tells every call on
//! a pipe. Somebody shuts the filesystem down, mounts it again and hands what was told and what is
//! there to a [`Judge`]. It holds recovery to what the simulated crashes are held to, and it makes
//! the same calls on a [`SimDisk`](super::SimDisk): what is found must be among the images that
//! this says a power cut may leave.

mod event;
mod follower;
mod judge;
mod logged;
mod plan;
mod replay;
mod writer;

pub use self::event::{Act, Event, Events, Made};
pub use self::follower::{Follower, Format, Kind};
pub use self::judge::{Judge, Lived, Outcome, Surprise};
pub use self::logged::Wrong;
pub use self::plan::Plan;
pub use self::writer::write;
