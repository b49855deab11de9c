//! Starts a process, reads its events, and kills it at random instants.
//!
//! The examples that survive kills share it. A program starts itself again as a [`Child`], with
//! other arguments. The child calls [`end_with_parent`] and sends events with [`send`]; the parent
//! kills it when [`Kills`] says so. An event is one JSON document per line on standard output; a
//! line that was written survives a kill.

mod child;
mod kills;
mod random;

use std::error::Error;

pub use child::{Child, end_with_parent, send};
pub use kills::Kills;
pub use random::{below, random};

/// Returns the error and its causes in one line.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
