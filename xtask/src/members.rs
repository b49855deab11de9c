//! The crates in the folder `crates`: those that are published. A folder keeps its name if the
//! package in it is renamed.

use std::path::Path;

use serde_json::Value;

use crate::command::{Fallible, cargo, root};

/// A crate in the folder `crates`.
pub(crate) struct Member {
    /// The folder, below `crates`.
    pub(crate) folder: String,
    /// The package.
    pub(crate) name: String,
    /// What `cargo metadata` says about it.
    pub(crate) package: Value,
}

impl Member {
    /// Returns the text of a field of its manifest, unless it is missing or empty.
    pub(crate) fn text(&self, field: &str) -> Option<&str> {
        self.package[field].as_str().filter(|text| !text.is_empty())
    }

    /// Returns how many entries a list of its manifest has.
    pub(crate) fn count(&self, field: &str) -> usize {
        self.package[field].as_array().map_or(0, Vec::len)
    }

    /// Returns whether it has a library.
    pub(crate) fn is_library(&self) -> bool {
        let is_lib = |target: &Value| target["kind"] == serde_json::json!(["lib"]);
        self.package["targets"].as_array().is_some_and(|targets| targets.iter().any(is_lib))
    }
}

/// Returns what `cargo metadata` says about the packages of the workspace.
pub(crate) fn metadata() -> Fallible<Value> {
    let arguments = ["--locked", "--no-deps", "--format-version", "1"];
    Ok(serde_json::from_str(&cargo("metadata", &arguments).output()?)?)
}

/// Lists the crates. There is at least one.
pub(crate) fn all() -> Fallible<Vec<Member>> {
    of(&metadata()?)
}

/// Returns the name of the package in a folder.
pub(crate) fn named(folder: &str) -> Fallible<String> {
    let found = all()?.into_iter().find(|member| member.folder == folder);
    Ok(found.ok_or_else(|| format!("there is no package in crates/{folder}"))?.name)
}

fn of(metadata: &Value) -> Fallible<Vec<Member>> {
    let crates = root().join("crates");
    let mut members = Vec::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let manifest = Path::new(package["manifest_path"].as_str().unwrap_or_default());
        let Ok(below) = manifest.strip_prefix(&crates) else { continue };
        let folder = below.parent().map(|folder| folder.to_string_lossy().into_owned());
        let folder = folder.ok_or("cargo metadata names a package without a folder")?;
        let name = package["name"].as_str();
        let name = name.ok_or("cargo metadata names a package without a name")?.to_owned();
        members.push(Member { folder, name, package: package.clone() });
    }
    if members.is_empty() {
        return Err(format!("cargo metadata lists no crate in {}", crates.display()).into());
    }
    Ok(members)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(folder: &str) -> Fallible<Vec<Member>> {
        let manifest = root().join(folder).join("a/Cargo.toml");
        let package = serde_json::json!({ "manifest_path": manifest, "name": "b", "license": "" });
        of(&serde_json::json!({ "packages": [package] }))
    }

    #[test]
    fn a_crate_is_found_by_its_folder_whatever_its_name() {
        let members = found("crates").unwrap();
        let [member] = members.as_slice() else { panic!("{} crates", members.len()) };
        assert_eq!((member.folder.as_str(), member.name.as_str()), ("a", "b"));
        assert_eq!((member.text("name"), member.text("license")), (Some("b"), None));
    }

    #[test]
    fn a_workspace_without_crates_is_an_error() {
        assert!(found("examples").is_err());
    }
}
