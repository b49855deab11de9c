//! The promises of a codec, and how a violation is reported.

use std::error::Error;
use std::fmt;

use repl_checkpoint::Checkpoint;

/// A promise of a [`Codec`](repl_checkpoint::Codec).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CodecPromise {
    /// Its name is constant and fits the header of the envelope.
    NameFits,
    /// Nothing panics, whatever the bytes.
    NoPanic,
    /// Every valid checkpoint can be encoded.
    Encodes,
    /// What is decoded equals what was encoded.
    Exact,
    /// Equal checkpoints give equal bytes.
    Deterministic,
    /// Encoding appends, and leaves what is in the buffer.
    Appends,
    /// No two byte strings decode to the same checkpoint.
    Strict,
    /// A sealed checkpoint is found whole, and damage to it is refused.
    Sealed,
}

impl fmt::Display for CodecPromise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CodecPromise::NameFits => "its name is constant and fits the envelope",
            CodecPromise::NoPanic => "nothing panics",
            CodecPromise::Encodes => "every valid checkpoint can be encoded",
            CodecPromise::Exact => "what is decoded equals what was encoded",
            CodecPromise::Deterministic => "equal checkpoints give equal bytes",
            CodecPromise::Appends => "encoding appends to the buffer",
            CodecPromise::Strict => "no two byte strings decode to the same checkpoint",
            CodecPromise::Sealed => "a sealed checkpoint is found whole, and damage is refused",
        })
    }
}

/// A promise that a codec breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CodecViolation {
    /// The promise.
    pub promise: CodecPromise,
    /// What was observed.
    pub what: String,
    /// The checkpoint that was encoded or decoded, if there was one.
    pub checkpoint: Option<Checkpoint>,
    /// The bytes that were written or read, if there were any.
    pub bytes: Option<Vec<u8>>,
}

impl CodecViolation {
    pub(super) fn new(promise: CodecPromise, what: impl Into<String>) -> Self {
        CodecViolation { promise, what: what.into(), checkpoint: None, bytes: None }
    }

    pub(super) fn of(self, checkpoint: &Checkpoint) -> Self {
        CodecViolation { checkpoint: Some(checkpoint.clone()), ..self }
    }

    pub(super) fn at(self, bytes: &[u8]) -> Self {
        CodecViolation { bytes: Some(bytes.to_vec()), ..self }
    }
}

impl fmt::Display for CodecViolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "broken: {}: {}", self.promise, self.what)?;
        if let Some(checkpoint) = &self.checkpoint {
            write!(f, "\n  checkpoint: {checkpoint:?}")?;
        }
        match &self.bytes {
            Some(bytes) => write!(f, "\n  bytes: {bytes:02x?}"),
            None => Ok(()),
        }
    }
}

impl Error for CodecViolation {}

/// Counts of what a codec was tested with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct CodecReport {
    /// The number of checkpoints that were encoded and decoded.
    pub checkpoints: u64,
    /// The number of byte strings that were decoded.
    pub decoded: u64,
    /// The number of damaged envelopes that were opened.
    pub opened: u64,
}

impl fmt::Display for CodecReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CodecReport { checkpoints, decoded, opened } = self;
        write!(f, "{checkpoints} checkpoints, {decoded} byte strings, {opened} damaged envelopes")
    }
}
