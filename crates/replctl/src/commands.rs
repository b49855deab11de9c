//! The commands, each in a file of its own.

pub(crate) mod backup;
pub(crate) mod completions;
pub(crate) mod convert;
pub(crate) mod diff;
pub(crate) mod doctor;
pub(crate) mod export;
pub(crate) mod fall_back;
pub(crate) mod forget;
pub(crate) mod import;
pub(crate) mod inspect;
pub(crate) mod restore;
pub(crate) mod set;
pub(crate) mod verify;
pub(crate) mod watch;

#[cfg(test)]
mod crashes;
