//! A copy of the workspace, for steps that have to change a manifest or the lock file.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::command::{Done, Fallible, at, root};

/// Where builds of all copies go.
pub(super) const TARGET: &str = "target/release-check/target";

/// A copy of the files that git tracks or would add, below `target/release-check`.
pub(super) struct Scratch {
    folder: String,
}

impl Scratch {
    /// Makes the copy in a folder of this name, in place of an older one.
    pub(super) fn new(name: &str) -> Fallible<Self> {
        let scratch = Self { folder: format!("target/release-check/{name}") };
        let folder = root().join(&scratch.folder);
        match fs::remove_dir_all(&folder) {
            Err(err) if err.kind() != ErrorKind::NotFound => {
                return Err(format!("failed to remove {}: {err}", folder.display()).into());
            }
            _ => {}
        }
        let list = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
        for file in at(Path::new("git"), &list).output()?.split_terminator('\0') {
            let from = root().join(file);
            if from.exists() {
                copy(&from, &folder.join(file))?;
            }
        }
        Ok(scratch)
    }

    /// The path of a file of the copy, from the folder of the workspace.
    pub(super) fn path(&self, file: &str) -> String {
        format!("{}/{file}", self.folder)
    }

    /// Replaces the line of the workspace's manifest that begins with `start`. Returns whether it
    /// has one.
    pub(super) fn replace_line(&self, start: &str, new: &str) -> Fallible<bool> {
        let path = root().join(self.path("Cargo.toml"));
        let manifest = fs::read_to_string(&path)?;
        let replaced = with_line(&manifest, start, new);
        let is_replaced = replaced.is_some();
        if let Some(replaced) = replaced {
            fs::write(&path, replaced)?;
        }
        Ok(is_replaced)
    }
}

fn copy(from: &Path, to: &Path) -> Done {
    let parent = to.parent().map_or_else(PathBuf::new, PathBuf::from);
    fs::create_dir_all(parent)?;
    fs::copy(from, to).map_err(|err| format!("failed to copy {}: {err}", from.display()))?;
    Ok(())
}

/// Replaces the first line that begins with `start`.
fn with_line(manifest: &str, start: &str, new: &str) -> Option<String> {
    let mut lines: Vec<&str> = manifest.lines().collect();
    let line = lines.iter_mut().find(|line| line.starts_with(start))?;
    *line = new;
    Some(lines.join("\n") + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_of_a_manifest_is_replaced() {
        let manifest = "[a]\nx = 1 # why\ny = 2\n";
        assert_eq!(with_line(manifest, "x = ", "x = 3").unwrap(), "[a]\nx = 3\ny = 2\n");
        assert_eq!(with_line(manifest, "z = ", "z = 3"), None);
    }
}
