//! `replctl doctor URL`: whether a remote store can keep its promises on a server.

use std::path::Path;

use super::Examined;
use crate::failure::Failure;
use crate::url::without_password;

/// Examines a server.
#[cfg(feature = "remote")]
pub(super) fn examine(url: &Path, rounds: u64) -> Result<Examined, Failure> {
    super::remote::examine(url.to_str().unwrap_or_default(), &without_password(url), rounds)
}

/// This program cannot.
#[cfg(not(feature = "remote"))]
pub(super) fn examine(url: &Path, _: u64) -> Result<Examined, Failure> {
    let reason = "this replctl was built without the feature `remote`, which examines servers";
    let next = "cargo install --locked --path crates/replctl --features remote";
    Err(Failure::new(crate::exit::Exit::Unknown, &without_password(url), reason).then(next))
}
