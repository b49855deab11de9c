//! Suites that test a codec or a store of your own against the promises of its trait.
//!
//! Call them from a test. They return a report, or the first broken promise with the input that
//! broke it. They do not panic, whatever the subject does. [`codec_suite`] tests a
//! [`Codec`](repl_checkpoint::Codec), [`store_suite`] a
//! [`CheckpointStore`](repl_checkpoint::CheckpointStore).

mod codec;
mod store;

pub use self::codec::{CodecPromise, CodecReport, CodecViolation, codec_suite};
pub use self::store::{StoreOptions, StorePromise, StoreReport, StoreViolation, store_suite};
