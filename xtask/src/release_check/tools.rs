//! Installs the tools of the steps.

use crate::command::{Done, cargo, nightly, rustup};

/// The version of cargo-hack, which two steps need.
pub(super) const HACK: &str = "0.6.46";

/// Installs a subcommand of cargo in this version, unless there is one already.
pub(super) fn ensure(name: &str, version: &str) -> Done {
    let task = name.strip_prefix("cargo-").unwrap_or(name);
    if cargo(task, &["--version"]).succeeds() {
        return Ok(());
    }
    println!("{name} is missing: installing version {version}");
    cargo("install", &["--locked", name, "--version", version]).run()
}

/// Installs the nightly toolchain, unless there is one already.
pub(super) fn ensure_nightly() -> Done {
    if nightly("cargo", &["--version"]).succeeds() {
        return Ok(());
    }
    println!("the nightly toolchain is missing: installing it");
    rustup(&["toolchain", "install", "nightly", "--profile", "minimal"]).run()
}
