//! What a remote store must keep in a race, and how a violation is reported.

use std::fmt;

/// A promise of a [`RemoteStore`](repl_checkpoint::RemoteStore) that the race suite checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Promise {
    /// Of the saves over one generation under one lease, exactly one succeeds: no update is lost.
    OneWinner,
    /// Every takeover gets a token and a holder of its own.
    NewToken,
    /// A lease that was replaced, by a takeover or by its own renewal, is refused for ever.
    FencedStaysFenced,
    /// What a call has changed is seen by every later call, from every process.
    OkIsVisible,
    /// The newest generation and the one before it are kept, byte for byte.
    BytesAreKept,
    /// A refused call tells what the record is.
    RefusalTellsRecord,
    /// Each call takes effect as a whole or not at all: the calls that said `Ok`, in some order,
    /// lead to the record that is there.
    Explained,
    /// Nothing panics.
    NoPanic,
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Promise::OneWinner => "exactly one save over a generation succeeds",
            Promise::NewToken => "every takeover gets a token and a holder of its own",
            Promise::FencedStaysFenced => "a lease that was replaced is refused for ever",
            Promise::OkIsVisible => "what a call has changed is seen by every later call",
            Promise::BytesAreKept => "the newest two generations are kept, byte for byte",
            Promise::RefusalTellsRecord => "a refused call tells what the record is",
            Promise::Explained => "the calls that said Ok explain the record",
            Promise::NoPanic => "nothing panics",
        })
    }
}

/// A promise that a store breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Violation {
    /// The promise.
    pub promise: Promise,
    /// The round, from 1; 0 is the look at the start.
    pub round: u64,
    /// The numbers of the writers, from 1, whose calls show it.
    pub writers: Vec<usize>,
    /// The place of the store, and so its record.
    pub place: String,
    /// What was observed, and what was expected.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "broken: {}: round {}, ", self.promise, self.round)?;
        match &self.writers[..] {
            [] => f.write_str("all writers")?,
            [writer] => write!(f, "writer {writer}")?,
            [first, rest @ ..] => {
                write!(f, "writers {first}")?;
                rest.iter().try_for_each(|writer| write!(f, ", {writer}"))?;
            }
        }
        write!(f, ", {}: {}", self.place, self.what)
    }
}
