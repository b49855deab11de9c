//! The owners of a store's files, and what this user may not do with them.
//!
//! An engine reads and replaces its files as one user. If somebody ran it as another one, some files
//! are no longer its own.

#[cfg(unix)]
pub(crate) use self::unix::{denied, of_others};

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use repl_checkpoint::{Disk, OsDisk};

use crate::names::{SLOT_FILE, generation_of, parent};

/// Files of a store that belong to other users than the store itself.
#[derive(Debug)]
pub(crate) struct OfOthers {
    /// The files, and the owner and mode of each.
    pub(crate) files: Vec<(PathBuf, String)>,
    /// The owner of the store.
    pub(crate) owner: String,
    /// What gives them back.
    pub(crate) command: String,
}

/// What this user may not do: more about the reason, and what to type next.
#[derive(Debug, Default)]
pub(crate) struct Denied {
    pub(crate) about: String,
    pub(crate) next: Vec<String>,
}

/// Elsewhere users are not compared.
#[cfg(not(unix))]
pub(crate) fn of_others(_: &Path) -> Option<OfOthers> {
    None
}

/// Elsewhere users are not compared.
#[cfg(not(unix))]
pub(crate) fn denied(_: &Path) -> Denied {
    let next = vec!["run this again as the user of the engine".to_owned()];
    Denied { next, ..Denied::default() }
}

/// The files of the store at a path: of a directory, or of a slot file that is opened by its path.
fn files_of(path: &Path) -> (PathBuf, Vec<PathBuf>) {
    let dir = if path.is_dir() { path } else { parent(path) };
    let name = path.file_name().filter(|_| !path.is_dir());
    let is_its = |found: &OsString| {
        // The engine reads neither the marker nor the audit file.
        let is_lock = |stem: &str, found: &str| found.strip_prefix(stem) == Some("lock");
        let text = found.to_string_lossy();
        let slot_file = name.map(|name| format!("{}.", name.to_string_lossy()));
        generation_of(found).is_some()
            || found == SLOT_FILE
            || Some(found.as_os_str()) == name
            || is_lock("repl-checkpoint.", &text)
            || slot_file.is_some_and(|stem| is_lock(&stem, &text))
    };
    let mut names = OsDisk.list(dir).unwrap_or_default();
    names.retain(is_its);
    names.sort();
    let file = |name| if dir == Path::new(".") { PathBuf::from(name) } else { dir.join(name) };
    (dir.to_owned(), names.into_iter().map(file).collect())
}

#[cfg(unix)]
mod unix {
    use std::fs::Metadata;
    use std::os::unix::fs::MetadataExt;
    use std::path::{Path, PathBuf};

    use super::{Denied, OfOthers, files_of};
    use crate::names::parent;
    use crate::wording::shown;

    const ROOT: u32 = 0;

    /// A user, as the system names it.
    fn user(uid: u32) -> String {
        let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let name = users.lines().find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
        });
        name.map_or(format!("uid {uid}"), |name| format!("{name} (uid {uid})"))
    }

    fn this_user() -> u32 {
        rustix::process::geteuid().as_raw()
    }

    fn mode(found: &Metadata) -> String {
        format!("mode {:04o}", found.mode() & 0o7777)
    }

    /// The files of the store at a path that its owner cannot use, as they belong to others.
    ///
    /// The owner of a store is that of its directory, if it owns any of the files and is not root in
    /// a directory that more users write to. Otherwise it is the owner of the lock file, which is never
    /// replaced.
    pub(crate) fn of_others(path: &Path) -> Option<OfOthers> {
        let (dir, files) = files_of(path);
        let files: Vec<(PathBuf, Metadata)> = files
            .into_iter()
            .filter_map(|file| file.symlink_metadata().ok().map(|found| (file, found)))
            .filter(|(_, found)| found.is_file())
            .collect();
        let mut whose = dir.metadata().map(|found| (dir, found)).ok()?;
        let is_of_root = whose.1.mode() & 0o022 != 0 && whose.1.uid() == ROOT;
        if is_of_root || files.iter().all(|(_, found)| found.uid() != whose.1.uid()) {
            let is_lock = |file: &Path| file.extension().is_some_and(|e| e == "lock");
            whose = files.iter().find(|(file, _)| is_lock(file))?.clone();
        }
        let (reference, store) = whose;
        if store.uid() == ROOT {
            return None; // may do everything
        }
        let is_open = |file: &Path, found: &Metadata| {
            // A checkpoint file is never written to again.
            let needed = if file.extension().is_some_and(|e| e == "checkpoint") { 4 } else { 6 };
            let of_group = found.gid() == store.gid() && found.mode() >> 3 & needed == needed;
            of_group || found.mode() & needed == needed
        };
        let others: Vec<_> = files
            .into_iter()
            .filter(|(file, found)| found.uid() != store.uid() && !is_open(file, found))
            .collect();
        if others.is_empty() {
            return None;
        }
        let names: Vec<_> = others.iter().map(|(file, _)| shown(file)).collect();
        let as_root = if this_user() == ROOT { "" } else { "as root: " };
        let command =
            format!("{as_root}chown -h --reference={} -- {}", shown(&reference), names.join(" "));
        let files = others
            .into_iter()
            .map(|(file, found)| (file, format!("{}, {}", user(found.uid()), mode(&found))))
            .collect();
        Some(OfOthers { files, owner: user(store.uid()), command })
    }

    /// The owner of what this user may not use, and what mends that.
    pub(crate) fn denied(path: &Path) -> Denied {
        let me = this_user();
        // Below a directory that may not be entered nothing is seen.
        let mut at = path;
        let found = loop {
            match at.metadata() {
                Ok(found) => break found,
                Err(_) if at == parent(at) || at == Path::new(".") => return Denied::default(),
                Err(_) => at = parent(at),
            }
        };
        let what = if at == path { "it".to_owned() } else { shown(at) };
        let mut about = format!("{what} belongs to {}, {}", user(found.uid()), mode(&found));
        let this = format!("; this is {}", user(me));
        let others = of_others(path).filter(|others| others.files.iter().any(|(it, _)| it == path));
        if let Some(others) = others {
            about = format!("{about}, and its store to {}{this}", others.owner);
            let mut next = vec![others.command];
            if user(me) != others.owner {
                next.push(format!("then run this again as {}", others.owner));
            }
            return Denied { about, next };
        }
        about.push_str(&this);
        let needed = if found.is_dir() { 0o700 } else { 0o600 };
        let next = if found.uid() != me {
            format!("run this again as {}, its owner", user(found.uid()))
        } else if found.mode() & needed == needed {
            format!(
                "ls -dZ {0} && lsattr -d {0}: something else than its mode forbids it",
                shown(at)
            )
        } else {
            format!("chmod u+{} {}", if found.is_dir() { "rwx" } else { "rw" }, shown(at))
        };
        Denied { about, next: vec![next] }
    }
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, chown};

    use super::*;

    /// A store of which each file belongs to the user that is named here.
    fn store(owner: u32, mode: u32, files: &[(&str, u32)]) -> Option<tempfile::TempDir> {
        let dir = tempfile::tempdir().unwrap();
        for (name, uid) in files {
            let file = dir.path().join(name);
            fs::write(&file, "").unwrap();
            fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
            chown(&file, Some(*uid), Some(*uid)).ok()?;
        }
        fs::set_permissions(dir.path(), Permissions::from_mode(mode)).unwrap();
        chown(dir.path(), Some(owner), Some(owner)).ok()?;
        Some(dir)
    }

    fn others(dir: &Path) -> Vec<String> {
        let files = of_others(dir).map(|others| others.files).unwrap_or_default();
        files.iter().map(|(file, _)| file.file_name().unwrap().display().to_string()).collect()
    }

    #[test]
    fn a_file_that_the_owner_of_the_store_cannot_use_is_seen() {
        const ENGINE: u32 = 54_321;
        let (lock, saved) = ("repl-checkpoint.lock", "00000000000000000001.checkpoint");
        let cases = [
            (ENGINE, 0o700, [(lock, ENGINE), (saved, 0)], vec![saved]),
            (ENGINE, 0o755, [(lock, 0), (saved, ENGINE)], vec![lock]),
            (ENGINE, 0o775, [(lock, 0), (saved, ENGINE)], vec![lock]),
            // An engine of root, in a directory of another user.
            (ENGINE, 0o755, [(lock, 0), (saved, 0)], vec![]),
            (ENGINE, 0o700, [(lock, ENGINE), ("notes", 0)], vec![]),
            // The engine opens no marker.
            (ENGINE, 0o700, [(lock, ENGINE), ("repl-checkpoint.marker", 0)], vec![]),
            (0, 0o700, [(lock, ENGINE), (saved, ENGINE)], vec![]),
            (0, 0o1777, [(lock, ENGINE), (saved, ENGINE)], vec![]),
            (0, 0o1777, [(lock, ENGINE), (saved, 0)], vec![saved]),
            (1, 0o775, [(lock, ENGINE), (saved, ENGINE)], vec![]),
        ];
        for (owner, mode, files, expected) in cases {
            let Some(dir) = store(owner, mode, &files) else {
                println!("skipped: only root can give files to another user");
                return;
            };
            assert_eq!(others(dir.path()), expected, "{owner} {mode:o} {files:?}");
        }
    }

    #[test]
    fn a_file_that_every_user_may_use_is_no_fault() {
        let files = [("repl-checkpoint.lock", 0), ("marks.slots", 54_321)];
        let Some(dir) = store(54_321, 0o700, &files) else { return };
        assert_eq!(others(dir.path()), ["repl-checkpoint.lock"]);
        let lock = dir.path().join("repl-checkpoint.lock");
        fs::set_permissions(&lock, Permissions::from_mode(0o666)).unwrap();
        assert_eq!(others(dir.path()), [""; 0]);
    }
}
