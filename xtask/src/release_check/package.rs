//! Packages each published crate, builds it from its package, and tests it there.

use std::path::Path;

use crate::command::{Done, Fallible, cargo, root};
use crate::members::{self, Member};
use crate::steps::Skipped;

use super::scratch::{Scratch, TARGET};

/// Cargo lets a package depend on another one that is not published yet, but not on one that never
/// is. So the copy says `publish = true`.
pub(crate) fn check(skipped: &mut Skipped) -> Done {
    let members = members::all()?;
    let faults: Vec<String> = members.iter().flat_map(faults).collect();
    if !faults.is_empty() {
        return Err(faults.join("\n").into());
    }
    let scratch = Scratch::new("package")?;
    scratch.replace_line("publish = false", "publish = true")?;
    let manifest = scratch.path("Cargo.toml");
    let mut arguments = vec!["--locked", "--manifest-path", &manifest, "--target-dir", TARGET];
    arguments.extend(members.iter().flat_map(|member| ["-p", member.name.as_str()]));
    cargo("package", &arguments).run()?;
    for member in &members {
        let folder = unpacked(member)?;
        for file in ["LICENSE", "README.md"] {
            if !Path::new(&folder).join(file).exists() {
                return Err(format!("the package of {} has no {file}", member.name).into());
            }
        }
        test(member, &members, &folder)?;
    }
    if members.iter().any(|member| member.text("repository").is_none()) {
        skipped.push("skipped: repository: it is empty in Cargo.toml".to_owned());
    }
    Ok(())
}

/// What the manifest of a published crate lacks.
fn faults(member: &Member) -> Vec<String> {
    let mut faults = Vec::new();
    let fields = ["description", "license", "readme", "rust_version"];
    faults.extend(fields.into_iter().filter(|field| member.text(field).is_none()));
    if member.count("categories") == 0 {
        faults.push("categories");
    }
    if !(1..=5).contains(&member.count("keywords")) {
        faults.push("keywords: one to five");
    }
    let named = |fault| format!("crates/{}/Cargo.toml lacks {fault}", member.folder);
    faults.into_iter().map(named).collect()
}

/// Where cargo unpacked the package, to build it.
fn unpacked(member: &Member) -> Fallible<String> {
    let version = member.text("version").ok_or("a package has no version")?;
    let folder = root().join(TARGET).join("package").join(format!("{}-{version}", member.name));
    Ok(folder.display().to_string())
}

/// Runs the unit tests of an unpacked package, and the integration tests if it has them. It depends
/// on the other unpacked packages. Examples in the docs are left out: some are in pages of the
/// workspace.
fn test(member: &Member, members: &[Member], folder: &str) -> Done {
    let manifest = format!("{folder}/Cargo.toml");
    let mut patches = Vec::new();
    for other in members.iter().filter(|other| other.is_library() && other.name != member.name) {
        let path = unpacked(other)?;
        patches.push(format!("patch.crates-io.{}.path={path:?}", other.name));
    }
    let targets = ["--lib", "--bins", "--tests"];
    let mut arguments = vec!["--manifest-path", &manifest, "--target-dir", TARGET];
    arguments.push("--all-features");
    arguments.extend(if member.is_library() { &targets[..] } else { &targets[1..] });
    arguments.extend(patches.iter().flat_map(|patch| ["--config", patch]));
    cargo("test", &arguments).run()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults_of(keywords: &[&str], license: &str) -> Vec<String> {
        let package = serde_json::json!({
            "description": "d", "license": license, "readme": "README.md", "rust_version": "1.2",
            "categories": ["c"], "keywords": keywords,
        });
        faults(&Member { folder: "a".to_owned(), name: "b".to_owned(), package })
    }

    #[test]
    fn a_manifest_that_the_registry_would_refuse_is_refused() {
        assert!(faults_of(&["k"], "MIT").is_empty());
        assert_eq!(faults_of(&["k"], ""), ["crates/a/Cargo.toml lacks license"]);
        let keywords = ["crates/a/Cargo.toml lacks keywords: one to five"];
        assert_eq!(faults_of(&[], "MIT"), keywords);
        assert_eq!(faults_of(&["1", "2", "3", "4", "5", "6"], "MIT"), keywords);
    }
}
