//! Suites that test a codec or a store of your own against the promises of its trait.
//!
//! Call them from a test. They return a report, or the first broken promise with the input that
//! broke it. They do not panic, whatever the subject does. [`codec_suite`] tests a
//! [`Codec`](repl_checkpoint::Codec), [`store_suite`] a
//! [`CheckpointStore`](repl_checkpoint::CheckpointStore),
//! [`remote_store_suite`] a [`RemoteStore`](repl_checkpoint::RemoteStore), which should then also
//! pass the [race](crate::race).

mod codec;
mod remote;
mod store;

pub use self::codec::{CodecPromise, CodecReport, CodecViolation, codec_suite};
pub use self::remote::{
    RemoteStorePromise, RemoteStoreReport, RemoteStoreViolation, remote_store_suite,
};
pub use self::store::{StoreOptions, StorePromise, StoreReport, StoreViolation, store_suite};
