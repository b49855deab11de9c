//! Builds the published crates with the oldest dependencies that their manifests allow.

use crate::command::{Done, cargo, nightly};

use super::scratch::{Scratch, TARGET};
use super::tools;

/// Nightly chooses the versions; the toolchain of this process builds.
pub(crate) fn check() -> Done {
    tools::ensure("cargo-hack", tools::HACK)?;
    tools::ensure_nightly()?;
    let scratch = Scratch::new("minimal-versions")?;
    // Other members need newer versions.
    if !scratch.replace_line("members = ", "members = [\"crates/*\"]")? {
        return Err("Cargo.toml has no line `members = `".into());
    }
    let manifest = scratch.path("Cargo.toml");
    // The tests need newer versions too, and no dependent builds them.
    cargo("hack", &["--remove-dev-deps", "--workspace", "--manifest-path", &manifest]).run()?;
    nightly("cargo", &["update", "-Z", "direct-minimal-versions", "--manifest-path", &manifest])
        .run()?;
    let arguments = ["--locked", "--workspace", "--all-features", "--target-dir", TARGET];
    cargo("check", &[&arguments[..], &["--manifest-path", &manifest]].concat()).run()
}
