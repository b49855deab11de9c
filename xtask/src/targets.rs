//! What `cargo test` runs on its own: not every program has tests, and `--bins` builds each of them.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::command::Fallible;
use crate::members;

/// Lists the programs and the integration tests of the default members that are tested by default,
/// each as the flag and the name that select it.
pub(crate) fn tested() -> Fallible<BTreeSet<(&'static str, String)>> {
    of(&members::metadata()?)
}

fn of(metadata: &Value) -> Fallible<BTreeSet<(&'static str, String)>> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let members = list(&metadata["workspace_default_members"]);
    let mut found = BTreeSet::new();
    for package in list(&metadata["packages"]) {
        if !members.contains(&package["id"]) {
            continue;
        }
        for target in list(&package["targets"]) {
            let flag = match target["kind"][0].as_str() {
                Some("bin") => "--bin",
                Some("test") => "--test",
                _ => continue,
            };
            if target["test"] == true {
                let name = target["name"].as_str();
                let name = name.ok_or("cargo metadata names a target without a name")?;
                found.insert((flag, name.to_owned()));
            }
        }
    }
    if found.is_empty() {
        return Err("cargo metadata lists no tests".into());
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn programs_and_tests_of_default_members_are_listed_once() {
        let target = |kind: &str, name: &str, test: bool| json!({ "kind": [kind], "name": name, "test": test });
        let targets = [
            target("lib", "a", true),
            target("bin", "b", true),
            target("bin", "c", false),
            target("test", "it", true),
            target("bench", "d", false),
        ];
        let package = |id: &str| json!({ "id": id, "targets": targets });
        let other = json!({ "id": "z", "targets": [target("test", "loom", true)] });
        let members = json!(["x", "y"]);
        let packages = json!([package("x"), package("y"), other]);
        let metadata = json!({ "packages": packages, "workspace_default_members": members });
        let expected = [("--bin", "b".to_owned()), ("--test", "it".to_owned())];
        assert_eq!(of(&metadata).unwrap(), BTreeSet::from(expected));
    }

    #[test]
    fn a_workspace_without_tests_is_an_error() {
        assert!(of(&json!({ "packages": [] })).is_err());
    }
}
