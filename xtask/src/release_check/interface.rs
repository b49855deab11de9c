//! Compares docs/api and the version with those of the last release.

use std::collections::BTreeMap;
use std::path::Path;

use crate::api;
use crate::command::{Done, Fallible, at};
use crate::members;

use super::changes::Changes;
use super::version::Version;

/// Fails unless the version of each crate allows what has changed. That docs/api lists the present
/// sources is a step of `cargo xtask ci`.
pub(crate) fn check() -> Done {
    let Some((tag, released)) = last_release()? else {
        println!("no release yet: nothing to compare");
        return Ok(());
    };
    let (old, new) = (at_tag(&tag)?, api::committed()?);
    let mut names: Vec<&String> = old.keys().chain(new.keys()).collect();
    names.sort_unstable();
    names.dedup();
    let mut changes = Changes::default();
    for name in names {
        let text = |of: &BTreeMap<String, String>| of.get(name).cloned().unwrap_or_default();
        changes.compare(name.trim_end_matches(".txt"), &text(&old), &text(&new));
    }
    for (title, lines) in [("breaking", &changes.breaking), ("additions", &changes.additions)] {
        println!("{title} since {tag}: {}", lines.len());
        for line in lines {
            println!("  {line}");
        }
    }
    for member in members::all()? {
        let version = member.text("version").unwrap_or_default();
        judge(&changes, released, version).map_err(|err| format!("{}: {err}", member.name))?;
    }
    Ok(())
}

/// Fails if the version is too low for what changed after the released one.
fn judge(changes: &Changes, released: Version, version: &str) -> Done {
    let found = Version::parse(version).ok_or_else(|| format!("version {version:?} is none"))?;
    let needed = released.after(changes.kind());
    if found < needed {
        let [breaking, additions] = [changes.breaking.len(), changes.additions.len()];
        return Err(format!(
            "{breaking} breaking changes and {additions} additions since {released}, but the \
             version is {found}: set at least {needed} in Cargo.toml"
        )
        .into());
    }
    Ok(())
}

/// The tag of the newest release that this commit contains.
fn last_release() -> Fallible<Option<(String, Version)>> {
    let tags = git(&["tag", "--list", "v*", "--merged", "HEAD"])?;
    Ok(newest(&tags))
}

fn newest(tags: &str) -> Option<(String, Version)> {
    let version = |tag: &str| Version::parse(tag.strip_prefix('v')?);
    let releases = tags.lines().filter_map(|tag| Some((tag.to_owned(), version(tag)?)));
    releases.max_by_key(|(_, version)| *version)
}

/// The listings in docs/api at a tag, by the name of their file.
fn at_tag(tag: &str) -> Fallible<BTreeMap<String, String>> {
    let folder = format!("{}/", api::FOLDER);
    let names = git(&["ls-tree", "--name-only", tag, &folder])?;
    let listing = |path: &str| {
        let name = path.trim_start_matches(&folder).to_owned();
        Ok((name, git(&["show", &format!("{tag}:{path}")])?))
    };
    names.lines().map(listing).collect()
}

fn git(arguments: &[&str]) -> Fallible<String> {
    at(Path::new("git"), arguments).output()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_release_is_that_of_the_highest_version() {
        assert_eq!(newest(""), None);
        assert_eq!(newest("v0\nvery\n"), None);
        let (tag, version) = newest("v0.10.0\nv0.9.1\nvery\n").unwrap();
        assert_eq!((tag.as_str(), version.to_string().as_str()), ("v0.10.0", "0.10.0"));
    }

    #[test]
    fn a_version_must_allow_what_has_changed() {
        let released = Version::parse("0.1.0").unwrap();
        let refused = |old: &str, new: &str, version: &str| {
            let mut changes = Changes::default();
            changes.compare("a", old, new);
            judge(&changes, released, version).err().map(|err| err.to_string())
        };
        let (one, two) = ("pub fn f();\n", "pub fn f();\npub fn g();\n");
        assert_eq!(refused(one, one, "0.1.0"), None);
        assert!(refused(one, two, "0.1.0").unwrap().ends_with("set at least 0.1.1 in Cargo.toml"));
        assert_eq!(refused(one, two, "0.1.1"), None);
        assert!(refused(two, one, "0.1.1").unwrap().ends_with("set at least 0.2.0 in Cargo.toml"));
        assert_eq!(refused(two, one, "0.2.0"), None);
        assert!(refused(one, one, "0.0.9").is_some());
    }
}
