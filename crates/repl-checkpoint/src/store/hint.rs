//! What to do about an error of the operating system, in words for an operator.

use std::io::{self, ErrorKind};

/// The act of syncing a directory, in messages.
pub(crate) const SYNC_DIR: &str = "sync the directory";

/// What to do, to follow the name of what failed; empty if the error alone does not say.
pub(crate) fn to_do(error: &io::Error) -> String {
    of(error).map(|hint| format!("; {hint}")).unwrap_or_default()
}

/// What to do before something else; empty if the error alone does not say.
pub(crate) fn to_do_first(error: &io::Error) -> String {
    of(error).map(|hint| format!("{hint}, then ")).unwrap_or_default()
}

/// What to do if opening a store failed to `act`.
pub(crate) fn to_do_at_open(act: &str, error: &io::Error) -> String {
    let refused = matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported);
    if act == SYNC_DIR && refused {
        return "; its filesystem cannot sync directories, so no save there would be durable: use \
                another filesystem, or `NoSync` if a power cut may lose saves"
            .to_owned();
    }
    to_do(error)
}

fn of(error: &io::Error) -> Option<&'static str> {
    let hint = match error.kind() {
        ErrorKind::StorageFull => "make room on its filesystem, for blocks and for inodes",
        ErrorKind::QuotaExceeded => "raise the quota, or remove files that count towards it",
        ErrorKind::PermissionDenied => {
            "let the user of this process do this: look at owner, mode and `lsattr` of the file \
             and its directory"
        }
        ErrorKind::ReadOnlyFilesystem => {
            "look into the kernel log: after an error, check its filesystem (fsck) before you \
             mount it writable"
        }
        ErrorKind::ResourceBusy => {
            "unmount what is mounted on this file; mount its whole directory instead"
        }
        ErrorKind::NotFound | ErrorKind::NotADirectory => {
            "bring its directory back with all files in it: something there was moved, removed or \
             replaced"
        }
        ErrorKind::IsADirectory => "move away the directory at this path",
        ErrorKind::FileTooLarge => "raise the file size limit of this process (`ulimit -f`)",
        ErrorKind::StaleNetworkFileHandle => "mount its filesystem again",
        _ => return of_number(error.raw_os_error()?),
    };
    Some(hint)
}

/// For numbers that have no stable [`ErrorKind`]; the same on every Unix.
#[cfg(unix)]
fn of_number(number: i32) -> Option<&'static str> {
    const EIO: i32 = 5;
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    match number {
        EIO => Some("look into the kernel log, and replace the device if it fails"),
        ENFILE | EMFILE => Some("raise the limit of open files (`ulimit -n`, `fs.file-max`)"),
        _ => None,
    }
}

#[cfg(not(unix))]
fn of_number(_: i32) -> Option<&'static str> {
    None
}
