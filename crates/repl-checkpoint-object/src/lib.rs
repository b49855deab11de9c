//! x
#![allow(missing_docs)]
mod client;
mod error;
mod object;
mod store;

pub use error::BucketError;
pub use store::BucketStore;
