#![doc = include_str!("../README.md")]
#![expect(clippy::missing_errors_doc, reason = "every `Error` says what failed and why")]

mod accounts;
mod applier;
mod log;
mod run;
mod verify;

pub use accounts::Accounts;
pub use log::Record;
pub use run::main;
