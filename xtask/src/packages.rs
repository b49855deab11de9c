//! Checks what a dependent of the library crates has to build and to lock.

use std::collections::BTreeSet;

use crate::command::{Done, Fallible, cargo};
use crate::members;

/// The folder of a crate, and the most packages that a dependent builds, with the default features,
/// the crate included.
const LIMITS: [(&str, usize); 2] = [("repl-core", 5), ("repl-checkpoint", 13)];

/// A tool of this workspace, which no dependent may have to lock.
const TOOL: &str = "loom";

/// Counts the packages of each crate, and looks for the tool in all that its manifests name, for
/// any platform and cfg.
pub(crate) fn check() -> Done {
    for (folder, limit) in LIMITS {
        let name = &members::named(folder)?;
        let built = tree(name, &[])?;
        println!("{name}: {} packages of at most {limit}", built.len());
        let locked = tree(name, &["--target", "all", "--all-features"])?;
        if let Some(reason) = refused(&built, limit, &locked) {
            return Err(format!("{name}: {reason}").into());
        }
    }
    Ok(())
}

/// The packages that a crate needs, as `NAME VERSION`.
fn tree(name: &str, more: &[&str]) -> Fallible<BTreeSet<String>> {
    let fixed = ["--locked", "-p", name, "-e", "normal,build", "--prefix", "none"];
    Ok(packages(&cargo("tree", &[&fixed[..], more].concat()).output()?))
}

/// Each package once: its other lines differ in what follows the version.
fn packages(tree: &str) -> BTreeSet<String> {
    let package = |line: &str| {
        let mut words = line.split_whitespace();
        Some(format!("{} {}", words.next()?, words.next()?))
    };
    tree.lines().filter_map(package).collect()
}

fn refused(built: &BTreeSet<String>, limit: usize, locked: &BTreeSet<String>) -> Option<String> {
    if built.len() > limit {
        let names: Vec<&str> = built.iter().map(String::as_str).collect();
        return Some(format!("{} packages, at most {limit}: {}", built.len(), names.join(", ")));
    }
    let is_tool = |package: &&String| package.split(' ').next() == Some(TOOL);
    locked.iter().find(is_tool).map(|tool| format!("its dependents lock {tool}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TREE: &str = "a v1.0.0 (/a)\nb v1.0.0\nb v1.0.0 (*)\nb v2.0.0\nm v1.0.0 (proc-macro)\n\n";

    #[test]
    fn a_package_counts_once_however_often_it_is_listed() {
        let found: Vec<String> = packages(TREE).into_iter().collect();
        assert_eq!(found, ["a v1.0.0", "b v1.0.0", "b v2.0.0", "m v1.0.0"]);
    }

    #[test]
    fn a_package_too_many_is_refused() {
        let found = packages(TREE);
        assert_eq!(refused(&found, 4, &found), None);
        assert!(refused(&found, 3, &found).unwrap().contains("4 packages, at most 3"));
    }

    #[test]
    fn a_tool_in_the_lock_file_of_a_dependent_is_refused() {
        let locked = packages("a v1.0.0\nloom-models v0.1.0\nloom v0.7.3");
        assert!(refused(&packages(TREE), 9, &locked).unwrap().ends_with("lock loom v0.7.3"));
    }
}
