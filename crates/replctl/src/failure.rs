//! Why a command ends without doing what it was asked for, and what to type next.

use std::io;
use std::path::{Path, PathBuf};

use repl_checkpoint::Generation;
use serde::Serialize;

use crate::exit::Exit;
use crate::names::parent;
use crate::output::{Report, Text};
use crate::owners::denied;
use crate::wording::shown;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
#[error("{}: {reason}", path.display())]
pub(crate) struct Failure {
    /// The status that the program exits with.
    pub(crate) exit: Exit,
    /// The file or directory that it is about.
    pub(crate) path: PathBuf,
    /// What it is called.
    pub(crate) heading: Heading,
    /// What is wrong, with its causes.
    pub(crate) reason: Box<str>,
    /// The place in the file, in bytes, if it is known.
    pub(crate) offset: Option<u64>,
    /// The newest generation that is whole, and its file.
    pub(crate) newest_whole: Option<(Generation, PathBuf)>,
    /// What to type next, or what to do: the best choice first.
    pub(crate) next: Vec<String>,
}

/// What a failure is called, where the status alone does not say what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heading {
    /// As its status.
    OfStatus,
    /// Only generations older than the newest are damaged, so that no mark is lost.
    Reserve,
    /// An engine goes on by itself: one slot is damaged.
    PassedSlot,
    /// An engine goes on by itself: the first page is damaged.
    PassedFirstPage,
}

impl Failure {
    /// A failure of this kind, about this path.
    pub(crate) fn new(exit: Exit, path: &Path, reason: impl Into<String>) -> Self {
        let (path, reason) = (path.to_owned(), reason.into().into_boxed_str());
        let (heading, offset, newest_whole) = (Heading::OfStatus, None, None);
        Failure { exit, path, heading, reason, offset, newest_whole, next: Vec::new() }
    }

    /// The operating system did not let a command do something.
    pub(crate) fn io(act: &str, path: &Path, error: &io::Error) -> Self {
        let reason = match error.kind() {
            io::ErrorKind::PermissionDenied => format!("this user may not {act} it"),
            _ => format!("failed to {act} it: {error}"),
        };
        Self::new(Exit::Unknown, path, reason).of_io(error)
    }

    /// Adds what to do about an error of the operating system, and the owner of what may not be used.
    pub(crate) fn of_io(mut self, error: &io::Error) -> Self {
        // EMFILE and ENFILE, which the standard library has no name for.
        let is_too_many_open = matches!(error.raw_os_error(), Some(23 | 24)) && cfg!(unix);
        match error.kind() {
            io::ErrorKind::NotFound => self.then("ls -la PARENT, for the right path"),
            io::ErrorKind::PermissionDenied => {
                let denied = denied(&self.path);
                if !denied.about.is_empty() {
                    self.reason = format!("{}: {}", self.reason, denied.about).into();
                }
                self.next.extend(denied.next);
                self
            }
            _ if is_too_many_open => self.then("run this again with a higher `ulimit -n`"),
            _ => self,
        }
    }

    /// Adds what to do next. The words PATH and PARENT stand for the path, and for its directory.
    pub(crate) fn then(mut self, next: impl Into<String>) -> Self {
        let parent = shown(parent(&self.path));
        let filled = |word: &str| {
            let name = word.trim_end_matches([',', ':']);
            let after = &word[name.len()..];
            match name {
                "PATH" => shown(&self.path) + after,
                "PARENT" => parent.clone() + after,
                _ => word.to_owned(),
            }
        };
        let next = next.into().split(' ').map(filled).collect::<Vec<_>>().join(" ");
        self.next.push(next);
        self
    }

    /// Says which process is the engine, where a step asks for it to be stopped.
    pub(crate) fn held_by(mut self, pid: u32) -> Self {
        let stop = format!("stop process {pid}, which holds the lock");
        for next in &mut self.next {
            *next = next.replace("stop the engine", &stop);
        }
        self
    }

    /// Adds the place in the file.
    pub(crate) fn at(mut self, offset: impl Into<Option<u64>>) -> Self {
        self.offset = offset.into();
        self
    }
}

/// The output cannot be written.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Failure::new(Exit::Unknown, Path::new("the output"), format!("failed to write it: {error}"))
    }
}

/// A failure in JSON.
#[derive(Serialize)]
struct Shown<'a> {
    error: &'a str,
    path: String,
    reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    newest_whole: Option<Whole>,
    next: &'a [String],
}

#[derive(Serialize)]
struct Whole {
    generation: Generation,
    path: String,
}

impl Serialize for Failure {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let newest_whole = self.newest_whole.as_ref().map(|(generation, path)| Whole {
            generation: *generation,
            path: path.display().to_string(),
        });
        let shown = Shown {
            error: self.exit.name(),
            path: self.path.display().to_string(),
            reason: &self.reason,
            offset: self.offset,
            newest_whole,
            next: &self.next,
        };
        shown.serialize(serializer)
    }
}

impl Report for Failure {
    fn show(&self, text: &mut Text) {
        let path = self.path.display();
        text.bad(&match self.heading {
            Heading::OfStatus => format!("{}: {path}", self.exit.title()),
            Heading::Reserve => format!(
                "{}: {path}: an older generation is damaged, the newest is whole",
                self.exit.title()
            ),
            Heading::PassedSlot => {
                format!("usable: the engine passes over 1 damaged slot at its next start: {path}")
            }
            Heading::PassedFirstPage => format!(
                "usable: the engine passes over the damaged first page at its next start: {path}"
            ),
        });
        text.field("reason", &self.reason);
        if let Some(offset) = self.offset {
            text.field("offset", offset);
        }
        if let Some((generation, path)) = &self.newest_whole {
            text.field("newest whole", format!("generation {generation}, {}", path.display()));
        }
        for next in &self.next {
            text.field("next", next);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_leads_to_the_right_user_or_limit() {
        let denied = || io::Error::from(io::ErrorKind::PermissionDenied);
        let of = |error: &io::Error| Failure::io("list", Path::new("/srv/marks"), error);
        assert!(of(&denied()).reason.starts_with("this user may not list it: "));
        assert_eq!(of(&denied()).next.len(), 1);
        let full = io::Error::from_raw_os_error(24);
        assert_eq!(of(&full).next, ["run this again with a higher `ulimit -n`"]);
    }

    #[test]
    fn a_step_names_the_path_and_leaves_other_paths_as_they_are() {
        let failure = Failure::new(Exit::Damage, Path::new("/srv/a b/slots"), "damaged");
        let failure = failure
            .then("replctl inspect PATH, for its shards")
            .then("ls -la PARENT, for the right path")
            .then("mv -n /PATH/PARENT.old PATHS");
        let expected = [
            "replctl inspect '/srv/a b/slots', for its shards",
            "ls -la '/srv/a b', for the right path",
            "mv -n /PATH/PARENT.old PATHS",
        ];
        assert_eq!(failure.next, expected);
    }
}
