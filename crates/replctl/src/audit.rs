//! The record of changes: one line of JSON a command, in a file beside the store.
//!
//! A line is durable before the change that it names begins, so no change is without a line. After
//! a crash the change of the last line may not have been made; the command can be given again.

use std::fs::OpenOptions;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::SystemTime;

use repl_checkpoint::{Disk, FileKind};
use serde::Serialize;

use crate::aside;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::site::Site;
use crate::wording::shown;

/// A change that is about to be made.
#[derive(Serialize)]
pub(crate) struct Change<T> {
    pub(crate) before: T,
    pub(crate) after: T,
    /// The copy of what was there; `None` if nothing was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) aside: Option<String>,
}

#[derive(Serialize)]
struct Line<'a, T> {
    time: String,
    user: String,
    command: String,
    #[serde(flatten)]
    change: &'a Change<T>,
}

/// Appends the line of a change to the file beside the store, and makes it durable.
pub(crate) fn append<D: Disk, T: Serialize>(
    disk: &D,
    site: &Site,
    change: &Change<T>,
) -> Result<(), Failure> {
    let path = site.dir.join(site.beside(".audit"));
    match disk.kind(&path) {
        Ok(FileKind::File) => {}
        Ok(_) => return Err(Failure::new(Exit::Refused, &path, "it is not a regular file")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(Failure::io("look at", &path, &error)),
    }
    let time = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let line = Line { time, user: user(), command: command(), change };
    let appended = serde_json::to_vec(&line).map_err(io::Error::from).and_then(|mut line| {
        line.push(b'\n');
        append_line(&path, &line)
    });
    appended.map_err(|error| Failure::io("append a line to", &path, &error))?;
    aside::sync(disk, &site.dir)
}

fn append_line(path: &Path, line: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.create(true).append(true).read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    // A crash may have cut off the line before.
    let mut bytes = Vec::with_capacity(line.len() + 1);
    if file.seek(SeekFrom::End(0))? > 0 {
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            bytes.push(b'\n');
        }
    }
    bytes.extend_from_slice(line);
    file.write_all(&bytes)?;
    file.sync_all()
}

/// The command as it was typed.
fn command() -> String {
    let words = std::env::args_os().skip(1).map(|word| shown(Path::new(&word)));
    ["replctl".to_owned()].into_iter().chain(words).collect::<Vec<_>>().join(" ")
}

/// The name and number of the user, also behind `sudo`.
fn user() -> String {
    let named = ["SUDO_USER", "USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok());
    #[cfg(unix)]
    let uid = rustix::process::getuid().as_raw().to_string();
    #[cfg(not(unix))]
    let uid = "unknown".to_owned();
    match named.filter(|name| !name.is_empty()) {
        Some(name) => format!("{name} (uid {uid})"),
        None => format!("uid {uid}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_a_crash_cut_off_does_not_swallow_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("marks.audit");
        std::fs::write(&path, "{\"time\":\"1\"}\n{\"ti").unwrap();
        append_line(&path, b"{}\n").unwrap();
        append_line(&path, b"[]\n").unwrap();
        let lines = std::fs::read_to_string(&path).unwrap();
        assert_eq!(lines, "{\"time\":\"1\"}\n{\"ti\n{}\n[]\n");
    }
}
