//! Tests the promises of a codec.

mod checkpoints;
mod mutations;
mod promise;

use repl_checkpoint::{Checkpoint, Codec, Header, SealError, StoreId};

use self::checkpoints::{arbitrary, extremes};
pub use self::promise::{CodecPromise, CodecReport, CodecViolation};
use crate::panics::caught;
use crate::seed::stream;

const STORE: StoreId = StoreId(0x00c0_ffee);
/// The number of arbitrary checkpoints.
const ARBITRARY: u64 = 100;
/// The number of payloads that are mutated.
const MUTATED: usize = 16;
/// The greatest length of a payload that is mutated.
const LONG: usize = 4096;
/// The number of arbitrary byte strings that are decoded.
const JUNK: u64 = 4000;

/// Tests the promises of a [`Codec`].
///
/// A codec is exact, deterministic and strict, appends to the buffer that it is given, has a name
/// that fits the envelope, and never panics.
///
/// Strict means that no two byte strings decode to the same checkpoint: what is decoded encodes to
/// exactly the same bytes. The suite decodes what the codec writes with every bit flipped; with every
/// byte removed, doubled and added; and with every truncation. It also decodes large lengths at
/// every place, the beginning of one checkpoint before the end of another, and arbitrary bytes. Of
/// long payloads only a part is mutated. The checkpoints are at the edges of every field, or
/// arbitrary, and the same in every run.
///
/// A codec that allocates for a length before it checks it fails for lengths above the size of
/// memory: the reservation panics, which is caught, or ends the process. Memory that is reserved and
/// not used is not measured.
///
/// Takes a second or two without optimization.
///
/// # Errors
/// The first broken promise, with the checkpoint and the bytes that show it.
///
/// # Example
/// postcard ignores trailing bytes and accepts padded numbers. So its codec must check that it would
/// have written the bytes that it has read:
/// ```
/// use repl_checkpoint::{Checkpoint, Codec, CodecError, Rows, ShardCheckpoint};
/// use repl_core::Incarnation;
/// use repl_harness::suites::codec_suite;
///
/// struct PostcardCodec;
///
/// impl Codec for PostcardCodec {
///     fn name(&self) -> &'static str {
///         "postcard"
///     }
///
///     fn encode(&self, rows: &mut Rows<'_>, out: &mut Vec<u8>) -> Result<(), CodecError> {
///         out.extend(postcard::to_allocvec(rows).map_err(CodecError::new)?);
///         Ok(())
///     }
///
///     fn decode(
///         &self,
///         bytes: &[u8],
///         row: &mut dyn FnMut(ShardCheckpoint),
///     ) -> Result<Incarnation, CodecError> {
///         let checkpoint: Checkpoint = postcard::from_bytes(bytes).map_err(CodecError::new)?;
///         let mut again = Vec::with_capacity(bytes.len());
///         self.encode(&mut checkpoint.rows(), &mut again)?;
///         if again != bytes {
///             return Err(CodecError::new("not as written"));
///         }
///         checkpoint.shards.into_iter().for_each(row);
///         Ok(checkpoint.next_incarnation)
///     }
/// }
///
/// let report = codec_suite(&PostcardCodec)?;
/// assert!(report.checkpoints > 100 && report.decoded > 10_000);
/// # Ok::<(), repl_harness::suites::CodecViolation>(())
/// ```
pub fn codec_suite(codec: &dyn Codec) -> Result<CodecReport, CodecViolation> {
    let mut run = Run { codec, report: CodecReport::default() };
    guarded(|| run.all())??;
    Ok(run.report)
}

struct Run<'a> {
    codec: &'a dyn Codec,
    report: CodecReport,
}

impl Run<'_> {
    fn all(&mut self) -> Result<(), CodecViolation> {
        self.name()?;
        let mut written = Vec::new();
        let arbitrary = (0..ARBITRARY).map(|number| arbitrary(&mut stream(0, number)));
        for checkpoint in extremes().into_iter().chain(arbitrary) {
            written.push(self.checkpoint(&checkpoint)?);
        }
        for bytes in written.iter().take(MUTATED).filter(|bytes| bytes.len() <= LONG) {
            self.mutations(bytes)?;
        }
        for checkpoint in extremes().iter().filter(|checkpoint| checkpoint.shards.len() < 5) {
            self.sealed(checkpoint)?;
        }
        let mut rng = stream(1, 0);
        for pair in written.windows(2) {
            for bytes in mutations::spliced(&mut rng, &pair[0], &pair[1]) {
                self.strict(&bytes)?;
            }
        }
        for _ in 0..JUNK {
            self.strict(&mutations::junk(&mut rng))?;
        }
        Ok(())
    }

    fn name(&self) -> Result<(), CodecViolation> {
        let broken = |what: String| CodecViolation::new(CodecPromise::NameFits, what);
        let name = guarded(|| self.codec.name())?;
        let empty = Checkpoint::default();
        let sealed = guarded(|| empty.seal(self.codec, Header::default()))?;
        if let Err(refused @ SealError::CodecName { .. }) = sealed {
            return Err(broken(refused.to_string()));
        }
        let again = guarded(|| self.codec.name())?;
        if name == again {
            return Ok(());
        }
        Err(broken(format!("its name is {name:?} and then {again:?}")))
    }

    /// Encodes a valid checkpoint, decodes it and encodes it again. Returns the bytes.
    fn checkpoint(&mut self, checkpoint: &Checkpoint) -> Result<Vec<u8>, CodecViolation> {
        self.report.checkpoints += 1;
        let broken = |promise, what: &str, bytes: &[u8]| {
            CodecViolation::new(promise, what).of(checkpoint).at(bytes)
        };
        let bytes = self.encode(checkpoint, &[])?;
        match self.decode(&bytes)? {
            Ok(found) if found == *checkpoint => {}
            Ok(_) => {
                return Err(broken(
                    CodecPromise::Exact,
                    "it decodes to another checkpoint",
                    &bytes,
                ));
            }
            Err(refused) => {
                let what = format!("the codec refuses what it has written: {refused}");
                return Err(broken(CodecPromise::Exact, &what, &bytes));
            }
        }
        for _ in 0..3 {
            let again = self.encode(&checkpoint.clone(), &[])?;
            if again != bytes {
                let what = "it encodes in two ways";
                return Err(broken(CodecPromise::Deterministic, what, &again));
            }
        }
        for before in [&b"."[..], &[0xa5; 197]] {
            let out = self.encode(checkpoint, before)?;
            match out.strip_prefix(before) {
                Some(appended) if appended == bytes => {}
                Some(_) => {
                    let what = "the bytes in the buffer change what is written";
                    return Err(broken(CodecPromise::Appends, what, &out));
                }
                None => {
                    let what = "the bytes in the buffer are not left as they were";
                    return Err(broken(CodecPromise::Appends, what, &out));
                }
            }
        }
        Ok(bytes)
    }

    /// Decodes every mutation of what was written.
    fn mutations(&mut self, written: &[u8]) -> Result<(), CodecViolation> {
        mutations::lengths(written).try_for_each(|bytes| self.strict(&bytes))?;
        mutations::small(written).try_for_each(|bytes| self.strict(&bytes))
    }

    /// Checks that bytes are refused, or are exactly what the decoded checkpoint encodes to.
    fn strict(&mut self, bytes: &[u8]) -> Result<(), CodecViolation> {
        // A caller of `decode` refuses what is not valid.
        let Some(found) = self.decode(bytes)?.ok().filter(|found| found.validate().is_ok()) else {
            return Ok(());
        };
        let again = self.encode(&found, &[])?;
        if again == bytes {
            return Ok(());
        }
        let what = format!("these bytes decode to a checkpoint that encodes to {again:02x?}");
        Err(CodecViolation::new(CodecPromise::Strict, what).of(&found).at(bytes))
    }

    /// Checks that a sealed checkpoint is found whole, and that every damage to it is refused.
    fn sealed(&mut self, checkpoint: &Checkpoint) -> Result<(), CodecViolation> {
        let broken = |what: String| CodecViolation::new(CodecPromise::Sealed, what).of(checkpoint);
        let header = Header { store: STORE, generation: 7, confirmed: 6 };
        let whole = guarded(|| checkpoint.seal(self.codec, header))?;
        let whole = whole.map_err(|refused| broken(refused.to_string()))?;
        match guarded(|| Checkpoint::unseal(self.codec, STORE, &whole))? {
            Ok(found) if found == (header, checkpoint.clone()) => {}
            Ok(_) => return Err(broken("another checkpoint is found".to_owned()).at(&whole)),
            Err(refused) => return Err(broken(refused.to_string()).at(&whole)),
        }
        for damaged in mutations::small(&whole) {
            self.report.opened += 1;
            if guarded(|| Checkpoint::unseal(self.codec, STORE, &damaged))?.is_ok() {
                return Err(broken("damage is not refused".to_owned()).at(&damaged));
            }
        }
        Ok(())
    }

    /// Appends a checkpoint to a buffer that holds `before`. Returns the buffer.
    fn encode(&self, checkpoint: &Checkpoint, before: &[u8]) -> Result<Vec<u8>, CodecViolation> {
        let mut out = before.to_vec();
        let encoded = guarded(|| self.codec.encode(&mut checkpoint.rows(), &mut out));
        let encoded = encoded.map_err(|violation| violation.of(checkpoint))?;
        let refused = |err| CodecViolation::new(CodecPromise::Encodes, format!("{err}"));
        encoded.map_err(|err| refused(err).of(checkpoint))?;
        Ok(out)
    }

    fn decode(
        &mut self,
        bytes: &[u8],
    ) -> Result<Result<Checkpoint, repl_checkpoint::CodecError>, CodecViolation> {
        self.report.decoded += 1;
        guarded(|| Checkpoint::decode(self.codec, bytes)).map_err(|violation| violation.at(bytes))
    }
}

/// Calls `call`; a panic is a broken promise.
fn guarded<T>(call: impl FnOnce() -> T) -> Result<T, CodecViolation> {
    caught(call).map_err(|panic| CodecViolation::new(CodecPromise::NoPanic, panic))
}
