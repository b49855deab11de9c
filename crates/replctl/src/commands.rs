//! The commands, each in a file of its own.

pub(crate) mod completions;
pub(crate) mod inspect;
