//! What is wrong with one generation, or with one part of a slot file: in words, and as a failure.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use repl_checkpoint::{CorruptReason, PeekError, Surveyed, UnsealError};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::store::Place;
use crate::wording::with_causes;

pub(crate) const FIRST_PAGE: &str = "the first page is damaged";
pub(crate) const ALL_ZERO: &str = "all its bytes are 0";

/// Why what was found cannot be used.
pub(crate) fn of(found: &Surveyed, reason: &CorruptReason, place: &Place) -> String {
    match reason {
        _ if is_first_page(found, place) => FIRST_PAGE.to_owned(),
        CorruptReason::Unseal(UnsealError::Magic)
            if found.slot.is_none() && is_all_zero(&found.path) =>
        {
            ALL_ZERO.to_owned()
        }
        reason => why(reason),
    }
}

/// What is wrong, without what the library tells a developer to do.
pub(crate) fn plain(error: &UnsealError) -> String {
    match error {
        UnsealError::Version { version } => {
            format!("its format version is {version}, and this program reads version 2")
        }
        // The newest one has a codec that is not known.
        UnsealError::OtherCodec { expected, found }
            if expected.split(" or ").any(|e| e == found) =>
        {
            format!("not looked at: its codec is {found:?}, and the newest one has another")
        }
        UnsealError::OtherCodec { expected, found } => {
            format!("its codec is {found:?}, and not {expected}")
        }
        UnsealError::OtherStore { expected, found } => {
            format!("it belongs to store {found}, and the newest one to store {expected}")
        }
        UnsealError::OtherGeneration { expected, found } => {
            format!("it is whole, and is generation {found}: its name says {expected}")
        }
        error => with_causes(error),
    }
}

/// Why a checkpoint cannot be used.
pub(crate) fn why(reason: &CorruptReason) -> String {
    match reason {
        CorruptReason::Unseal(error) => plain(error),
        CorruptReason::Read(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            "this user may not read it".to_owned()
        }
        reason => with_causes(reason),
    }
}

/// Whether it is the first page of a slot file.
pub(crate) fn is_first_page(found: &Surveyed, place: &Place) -> bool {
    found.slot.is_none() && matches!(place, Place::Slots { .. })
}

/// Longer files are not looked through.
const MOST_ZEROS: u64 = 1 << 26;

/// Whether a file has bytes, and all of them are 0: what some crashes and broken copies leave.
pub(crate) fn is_all_zero(path: &Path) -> bool {
    let mut piece = vec![0; 1 << 16];
    let Ok(mut file) = File::open(path) else { return false };
    if file.metadata().is_ok_and(|found| found.len() > MOST_ZEROS) {
        return false;
    }
    let mut is_empty = true;
    while let Ok(length) = file.read(&mut piece) {
        if length == 0 {
            return !is_empty;
        }
        if piece.iter().take(length).any(|byte| *byte != 0) {
            return false;
        }
        is_empty = false;
    }
    false
}

impl From<PeekError> for Failure {
    fn from(error: PeekError) -> Self {
        match error {
            PeekError::Io { act, path, source } => Failure::io(act, &path, &source),
            PeekError::Nothing { path } => {
                Failure::new(Exit::Unknown, &path, "no checkpoint is there")
                    .then("ls -la PATH, for the right path")
            }
            PeekError::Damaged { path, source } => of_unsealing(&path, &source),
            error => Failure::new(Exit::Unknown, Path::new(""), with_causes(&error)),
        }
    }
}

/// A checkpoint that is refused: damaged, or of another version, codec or store.
pub(crate) fn of_unsealing(path: &Path, error: &UnsealError) -> Failure {
    let exit = if error.is_damage() { Exit::Damage } else { Exit::Unknown };
    Failure::new(exit, path, plain(error))
}

/// A checkpoint that cannot be used.
pub(crate) fn of_corrupt(path: &Path, reason: &CorruptReason) -> Failure {
    match reason {
        CorruptReason::Unseal(error) => of_unsealing(path, error),
        reason => Failure::new(Exit::Unknown, path, why(reason)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_this_user_may_not_read_is_said_to_be_one() {
        let denied = CorruptReason::Read(io::ErrorKind::PermissionDenied.into());
        assert_eq!(why(&denied), "this user may not read it");
    }
}
