//! Builds each crate with the oldest toolchain that its manifest allows.

use crate::command::{Done, Fallible, rustup, toolchain};
use crate::members::{self, Member};

/// Says why nothing can be built, where that is so.
pub(crate) fn missing() -> Option<&'static str> {
    (!rustup(&["--version"]).succeeds())
        .then_some("rustup is needed for the oldest toolchains: install it")
}

/// Builds each crate. Installs toolchains that are missing.
pub(crate) fn check() -> Done {
    for (name, version) in declared(&members::all()?)? {
        if !toolchain(&version, "rustc", &["--version"]).succeeds() {
            let install = ["toolchain", "install", &version, "--profile", "minimal"];
            rustup(&install).run()?;
        }
        let arguments =
            ["check", "--locked", "-p", &name, "--all-features", "--target-dir", "target/msrv"];
        toolchain(&version, "cargo", &arguments).run()?;
    }
    Ok(())
}

/// The crates and the versions of Rust that they declare.
fn declared(members: &[Member]) -> Fallible<Vec<(String, String)>> {
    let of = |member: &Member| {
        let name = member.name.clone();
        let version = member.text("rust_version");
        let version =
            version.ok_or_else(|| format!("{name} declares no rust-version in its manifest"))?;
        Ok((name, version.to_owned()))
    };
    members.iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(rust_version: Option<&str>) -> Member {
        let package = serde_json::json!({ "rust_version": rust_version });
        Member { folder: "a".to_owned(), name: "b".to_owned(), package }
    }

    #[test]
    fn a_crate_is_built_with_the_version_that_its_manifest_declares() {
        let found = declared(&[member(Some("1.2"))]).unwrap();
        assert_eq!(found, [("b".to_owned(), "1.2".to_owned())]);
    }

    #[test]
    fn a_crate_without_a_declared_version_is_an_error() {
        assert!(declared(&[member(None)]).unwrap_err().to_string().contains("b declares"));
    }
}
