//! The expected result of a recovery, according to docs/design.md and docs/format.md.

use repl_checkpoint::{
    Checkpoint, Codec, Generation, OnCorrupt, RecoverError, RecoverErrorKind, Recovered, Source,
    UnsealError,
};

use crate::planted::STORE;

/// The contents of one file or slot.
pub(crate) enum Holds {
    Whole(Generation, Box<Checkpoint>),
    Corrupt,
    /// Valid, but of another version, codec or store.
    Foreign,
}

impl Holds {
    pub(crate) fn of(bytes: &[u8], codec: &dyn Codec) -> Self {
        match Checkpoint::unseal(codec, STORE, bytes) {
            Ok((header, checkpoint)) => Holds::Whole(header.generation, Box::new(checkpoint)),
            Err(
                UnsealError::Version { .. }
                | UnsealError::OtherCodec { .. }
                | UnsealError::OtherStore { .. },
            ) => Holds::Foreign,
            Err(_) => Holds::Corrupt,
        }
    }
}

/// The result of a recovery.
#[derive(Debug, PartialEq)]
pub(crate) enum Outcome {
    Fresh,
    Resumed(Generation, Box<Checkpoint>),
    FellBack(Generation, Box<Checkpoint>),
    Corrupt,
    Refused,
    /// Loading the checkpoints failed.
    NotLoaded,
}

/// The newest valid checkpoint, if at most `max_torn` newer ones are corrupt.
pub(crate) fn expected(
    newest_first: impl IntoIterator<Item = Holds>,
    on_corrupt: OnCorrupt,
    max_torn: usize,
) -> Outcome {
    let mut corrupt = 0;
    for holds in newest_first {
        match holds {
            Holds::Corrupt => corrupt += 1,
            Holds::Foreign => return Outcome::Refused,
            Holds::Whole(generation, checkpoint) => {
                let may = on_corrupt == OnCorrupt::FallBack || corrupt <= max_torn;
                return match corrupt {
                    0 => Outcome::Resumed(generation, checkpoint),
                    _ if may => Outcome::FellBack(generation, checkpoint),
                    _ => Outcome::Corrupt,
                };
            }
        }
    }
    if corrupt == 0 { Outcome::Fresh } else { Outcome::Corrupt }
}

/// Asserts that a recovery had the expected result.
pub(crate) fn check(expected: &Outcome, found: &Result<Recovered, RecoverError>) {
    let is = match (expected, found) {
        (expected, Err(error)) => matches!(
            (expected, error.kind()),
            (Outcome::Corrupt, RecoverErrorKind::Corrupt { .. })
                | (Outcome::Refused, RecoverErrorKind::Refused { .. })
                | (Outcome::NotLoaded, RecoverErrorKind::Load(_))
        ),
        (expected, Ok(recovered)) => match (expected, &recovered.report.source) {
            (Outcome::Fresh, Source::Fresh) => true,
            (Outcome::Resumed(expected, _), Source::Resumed { generation })
            | (Outcome::FellBack(expected, _), Source::FellBack { generation, .. }) => {
                expected == generation
            }
            _ => false,
        },
    };
    let found = found.as_ref().map(|recovered| &recovered.report.source);
    assert!(is, "expected {expected:?}, found {found:?}");
}
