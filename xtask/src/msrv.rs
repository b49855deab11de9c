//! Builds each crate with the oldest toolchain that its manifest allows.

use std::collections::BTreeMap;

use crate::command::{Done, Fallible, rustup, toolchain};
use crate::members::{self, Member};

/// Says why nothing can be built, where that is so.
pub(crate) fn missing() -> Option<&'static str> {
    (!rustup(&["--version"]).succeeds())
        .then_some("rustup is needed for the oldest toolchains: install it")
}

/// Builds each crate, those of one version together. Installs toolchains that are missing.
pub(crate) fn check() -> Done {
    for (version, names) in declared(&members::all()?)? {
        if !toolchain(&version, "rustc", &["--version"]).succeeds() {
            let install = ["toolchain", "install", &version, "--profile", "minimal"];
            rustup(&install).run()?;
        }
        let check = ["check", "--locked", "--all-features", "--target-dir", "target/msrv"];
        let packages = names.iter().flat_map(|name| ["-p", name]);
        let arguments: Vec<&str> = check.into_iter().chain(packages).collect();
        toolchain(&version, "cargo", &arguments).run()?;
    }
    Ok(())
}

/// The versions of Rust that crates declare, and those crates.
fn declared(members: &[Member]) -> Fallible<BTreeMap<String, Vec<String>>> {
    let mut declared = BTreeMap::<_, Vec<_>>::new();
    for member in members {
        let name = &member.name;
        let version = member.text("rust_version");
        let version =
            version.ok_or_else(|| format!("{name} declares no rust-version in its manifest"))?;
        declared.entry(version.to_owned()).or_default().push(name.clone());
    }
    Ok(declared)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str, rust_version: Option<&str>) -> Member {
        let package = serde_json::json!({ "rust_version": rust_version });
        Member { folder: "a".to_owned(), name: name.to_owned(), package }
    }

    #[test]
    fn a_crate_is_built_with_the_version_that_its_manifest_declares() {
        let members = [("a", "1.3"), ("b", "1.2"), ("c", "1.3")];
        let found = declared(&members.map(|(name, rust)| member(name, Some(rust)))).unwrap();
        assert_eq!(found["1.2"], ["b"]);
        assert_eq!(found["1.3"], ["a", "c"]);
    }

    #[test]
    fn a_crate_without_a_declared_version_is_an_error() {
        assert!(declared(&[member("b", None)]).unwrap_err().to_string().contains("b declares"));
    }
}
