//! What a recovery must make of what it finds, by docs/design.md and docs/format.md.

use repl_checkpoint::{
    Checkpoint, Codec, Generation, OnCorrupt, UnsealError, Source, RecoverError, Recovered, open,
};

use crate::planted::STORE;

/// What one place holds.
pub(crate) enum Holds {
    Whole(Generation, Box<Checkpoint>),
    Damage,
    /// Not damaged, and not to be used.
    Foreign,
}

impl Holds {
    pub(crate) fn of(bytes: &[u8], codec: &dyn Codec) -> Self {
        match open(codec, STORE, bytes) {
            Ok((header, checkpoint)) => Holds::Whole(header.generation, Box::new(checkpoint)),
            Err(
                UnsealError::Version { .. }
                | UnsealError::OtherCodec { .. }
                | UnsealError::OtherStore { .. },
            ) => Holds::Foreign,
            Err(_) => Holds::Damage,
        }
    }
}

/// What a recovery comes to.
#[derive(Debug, PartialEq)]
pub(crate) enum Outcome {
    Fresh,
    Resumed(Generation, Box<Checkpoint>),
    FellBack(Generation, Box<Checkpoint>),
    Corrupt,
    Refused,
    /// The store cannot say what it keeps.
    NotLoaded,
}

/// The newest whole one, above which no more than `passed_over` are damaged.
pub(crate) fn expected(
    newest_first: impl IntoIterator<Item = Holds>,
    on_corrupt: OnCorrupt,
    passed_over: usize,
) -> Outcome {
    let mut damaged = 0;
    for holds in newest_first {
        match holds {
            Holds::Damage => damaged += 1,
            Holds::Foreign => return Outcome::Refused,
            Holds::Whole(generation, checkpoint) => {
                let may = on_corrupt == OnCorrupt::FallBack || damaged <= passed_over;
                return match damaged {
                    0 => Outcome::Resumed(generation, checkpoint),
                    _ if may => Outcome::FellBack(generation, checkpoint),
                    _ => Outcome::Corrupt,
                };
            }
        }
    }
    if damaged == 0 { Outcome::Fresh } else { Outcome::Corrupt }
}

/// Whether a recovery came to what was expected.
pub(crate) fn check(expected: &Outcome, found: &Result<Recovered, RecoverError>) {
    let is = match (expected, found) {
        (Outcome::Corrupt, Err(RecoverError::Corrupt { .. }))
        | (Outcome::Refused, Err(RecoverError::Refused { .. }))
        | (Outcome::NotLoaded, Err(RecoverError::Load(_))) => true,
        (expected, Ok(recovered)) => match (expected, &recovered.found.origin) {
            (Outcome::Fresh, Source::Fresh) => true,
            (Outcome::Resumed(expected, _), Source::Resumed { generation })
            | (Outcome::FellBack(expected, _), Source::FellBack { generation, .. }) => {
                expected == generation
            }
            _ => false,
        },
        _ => false,
    };
    let found = found.as_ref().map(|recovered| &recovered.found.origin);
    assert!(is, "expected {expected:?}, found {found:?}");
}
