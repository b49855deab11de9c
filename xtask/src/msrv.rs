//! Builds each crate with the oldest toolchain that its manifest allows.

use std::path::Path;

use serde_json::Value;

use crate::command::{Done, Fallible, cargo, root, rustup, toolchain};

/// Says why nothing can be built, where that is so.
pub(crate) fn missing() -> Option<&'static str> {
    (!rustup(&["--version"]).succeeds())
        .then_some("rustup is needed for the oldest toolchains: install it")
}

/// Builds each crate. Installs toolchains that are missing.
pub(crate) fn check() -> Done {
    for (name, version) in declared(&metadata()?)? {
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

fn metadata() -> Fallible<Value> {
    let arguments = ["--locked", "--no-deps", "--format-version", "1"];
    Ok(serde_json::from_str(&cargo("metadata", &arguments).output()?)?)
}

/// The crates and the versions of Rust that they declare.
fn declared(metadata: &Value) -> Fallible<Vec<(String, String)>> {
    let crates = root().join("crates");
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let mut declared = Vec::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let manifest = text(&package["manifest_path"]).unwrap_or_default();
        if !Path::new(&manifest).starts_with(&crates) {
            continue;
        }
        let name = text(&package["name"]).ok_or("cargo metadata names a package without a name")?;
        let version = text(&package["rust_version"])
            .ok_or_else(|| format!("{name} declares no rust-version in its manifest"))?;
        declared.push((name, version));
    }
    if declared.is_empty() {
        return Err(format!("cargo metadata lists no crate in {}", crates.display()).into());
    }
    Ok(declared)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(folder: &str, rust_version: Option<&str>) -> Value {
        let manifest = root().join(folder).join("a/Cargo.toml");
        serde_json::json!({
            "packages": [{ "name": "a", "manifest_path": manifest, "rust_version": rust_version }]
        })
    }

    #[test]
    fn a_library_crate_is_built_with_the_version_that_its_manifest_declares() {
        let found = declared(&package("crates", Some("1.2"))).unwrap();
        assert_eq!(found, [("a".to_owned(), "1.2".to_owned())]);
    }

    #[test]
    fn a_library_crate_without_a_declared_version_is_an_error() {
        assert!(declared(&package("crates", None)).unwrap_err().to_string().contains("a declares"));
    }

    #[test]
    fn a_check_that_would_build_nothing_is_an_error() {
        assert!(declared(&package("examples", Some("1.2"))).is_err());
    }
}
