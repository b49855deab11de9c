//! Suites that hold a codec or a store of your own to what this workspace's keep to.
//!
//! Call them from a test: they return a report, or the first broken promise with what broke it, and
//! do not panic, whatever the subject does. [`codec_suite`] is for a
//! [`Codec`](repl_checkpoint::Codec), [`store_suite`] for a
//! [`CheckpointStore`](repl_checkpoint::CheckpointStore).

mod codec;
mod store;

use std::any::Any;

pub use self::codec::{CodecPromise, CodecReport, CodecViolation, codec_suite};
pub use self::store::{StoreOptions, StorePromise, StoreReport, StoreViolation, store_suite};

/// What a panic said.
fn said(panic: &(dyn Any + Send)) -> String {
    let said = panic.downcast_ref::<&str>().map(ToString::to_string);
    said.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic".to_owned())
}
