//! What every codec promises, tried.

mod checkpoints;
mod mutants;
mod promise;

use std::panic::{AssertUnwindSafe, catch_unwind};

use repl_checkpoint::{Checkpoint, Codec, Header, SealError, StoreId, open, seal};

use self::checkpoints::{arbitrary, extremes};
pub use self::promise::{CodecPromise, CodecReport, CodecViolation};
use crate::rng::Rng;

const STORE: StoreId = StoreId(0x00c0_ffee);
/// How many checkpoints are made by chance.
const ARBITRARY: u64 = 100;
/// Of how many payloads every small change is decoded, and up to which length.
const MUTATED: usize = 16;
const LONG: usize = 4096;
/// How many strings of arbitrary bytes are decoded.
const JUNK: u64 = 4000;

/// Holds a codec to what [`Codec`] promises: it is exact, deterministic and strict, appends to the
/// buffer that it is given, has a name that fits the envelope, and never panics.
///
/// Strict means that no two byte strings are one checkpoint: whatever is decoded encodes to just
/// those bytes again. It is tried with every bit flipped, byte removed, doubled and added, and with
/// every truncation of what the codec writes; with lengths blown up in all places; with the
/// beginning of one checkpoint before the end of another; and with arbitrary bytes. Of long payloads
/// a part is tried. The checkpoints are those at the edges of every field and arbitrary ones, the
/// same in every run.
///
/// That a length which was only read is not allocated for shows where it is more than memory can be:
/// reserving for it panics, which is caught, or ends the process. Memory that is reserved and then
/// not used is not measured.
///
/// Takes a second or two without optimization, with a codec of usual speed.
///
/// # Errors
/// The first broken promise, with the checkpoint and the bytes that show it.
///
/// # Example
/// postcard reads over bytes that follow, and reads numbers that are longer than they need be. So
/// its codec must check that it would have written what it has read:
/// ```
/// use repl_checkpoint::{Checkpoint, Codec, CodecError};
/// use repl_harness::suites::codec_suite;
///
/// struct PostcardCodec;
///
/// impl Codec for PostcardCodec {
///     fn name(&self) -> &'static str {
///         "postcard"
///     }
///
///     fn encode(&self, checkpoint: &Checkpoint, out: &mut Vec<u8>) -> Result<(), CodecError> {
///         out.extend(postcard::to_allocvec(checkpoint).map_err(CodecError::new)?);
///         Ok(())
///     }
///
///     fn decode(&self, bytes: &[u8]) -> Result<Checkpoint, CodecError> {
///         let checkpoint = postcard::from_bytes(bytes).map_err(CodecError::new)?;
///         let mut again = Vec::with_capacity(bytes.len());
///         self.encode(&checkpoint, &mut again)?;
///         if again == bytes { Ok(checkpoint) } else { Err(CodecError::new("not as written")) }
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
        let arbitrary = (0..ARBITRARY).map(|stream| arbitrary(&mut Rng::new(0, stream)));
        for checkpoint in extremes().into_iter().chain(arbitrary) {
            written.push(self.checkpoint(&checkpoint)?);
        }
        for bytes in written.iter().take(MUTATED).filter(|bytes| bytes.len() <= LONG) {
            self.mutants(bytes)?;
        }
        for checkpoint in extremes().iter().filter(|checkpoint| checkpoint.shards.len() < 5) {
            self.sealed(checkpoint)?;
        }
        let mut rng = Rng::new(1, 0);
        for pair in written.windows(2) {
            for bytes in mutants::spliced(&mut rng, &pair[0], &pair[1]) {
                self.strict(&bytes)?;
            }
        }
        for _ in 0..JUNK {
            self.strict(&mutants::junk(&mut rng))?;
        }
        Ok(())
    }

    fn name(&self) -> Result<(), CodecViolation> {
        let broken = |what: String| CodecViolation::new(CodecPromise::NameFits, what);
        let name = guarded(|| self.codec.name())?;
        let empty = Checkpoint::default();
        let sealed = guarded(|| seal(self.codec, Header::default(), &empty))?;
        if let Err(refused @ SealError::CodecName { .. }) = sealed {
            return Err(broken(refused.to_string()));
        }
        let again = guarded(|| self.codec.name())?;
        if name == again {
            return Ok(());
        }
        Err(broken(format!("it is called {name:?} and then {again:?}")))
    }

    /// What it writes of a valid checkpoint, which it reads back and writes again.
    fn checkpoint(&mut self, checkpoint: &Checkpoint) -> Result<Vec<u8>, CodecViolation> {
        self.report.checkpoints += 1;
        let broken = |promise, what: &str, bytes: &[u8]| {
            CodecViolation::new(promise, what).of(checkpoint).at(bytes)
        };
        let bytes = self.encode(checkpoint, &[])?;
        match self.decode(&bytes)? {
            Ok(found) if found == *checkpoint => {}
            Ok(_) => return Err(broken(CodecPromise::Exact, "it is read as another", &bytes)),
            Err(refused) => {
                let what = format!("it refuses what it has written: {refused}");
                return Err(broken(CodecPromise::Exact, &what, &bytes));
            }
        }
        for _ in 0..3 {
            let again = self.encode(&checkpoint.clone(), &[])?;
            if again != bytes {
                let what = "it is written in two ways";
                return Err(broken(CodecPromise::Deterministic, what, &again));
            }
        }
        for before in [&b"."[..], &[0xa5; 180]] {
            let out = self.encode(checkpoint, before)?;
            match out.strip_prefix(before) {
                Some(appended) if appended == bytes => {}
                Some(_) => {
                    let what = "what stands before it in the buffer changes what is written";
                    return Err(broken(CodecPromise::Appends, what, &out));
                }
                None => {
                    let what = "what stood in the buffer before is not left as it was";
                    return Err(broken(CodecPromise::Appends, what, &out));
                }
            }
        }
        Ok(bytes)
    }

    /// Every change of what it has written.
    fn mutants(&mut self, written: &[u8]) -> Result<(), CodecViolation> {
        mutants::lengths(written).try_for_each(|bytes| self.strict(&bytes))?;
        mutants::small(written).try_for_each(|bytes| self.strict(&bytes))
    }

    /// Refused, or just what is written of what it is read as.
    fn strict(&mut self, bytes: &[u8]) -> Result<(), CodecViolation> {
        // Whoever decodes refuses what is not valid.
        let Some(found) = self.decode(bytes)?.ok().filter(|found| found.validate().is_ok()) else {
            return Ok(());
        };
        let again = self.encode(&found, &[])?;
        if again == bytes {
            return Ok(());
        }
        let what = format!("these bytes are read as a checkpoint that is written as {again:02x?}");
        Err(CodecViolation::new(CodecPromise::Strict, what).of(&found).at(bytes))
    }

    /// In an envelope it is found whole, and every damage to it is refused.
    fn sealed(&mut self, checkpoint: &Checkpoint) -> Result<(), CodecViolation> {
        let broken = |what: String| CodecViolation::new(CodecPromise::Sealed, what).of(checkpoint);
        let header = Header { store: STORE, generation: 7, confirmed: 6 };
        let whole = guarded(|| seal(self.codec, header, checkpoint))?;
        let whole = whole.map_err(|refused| broken(refused.to_string()))?;
        match guarded(|| open(self.codec, STORE, &whole))? {
            Ok(found) if found == (header, checkpoint.clone()) => {}
            Ok(_) => return Err(broken("it is found otherwise".to_owned()).at(&whole)),
            Err(refused) => return Err(broken(refused.to_string()).at(&whole)),
        }
        for damaged in mutants::small(&whole) {
            self.report.opened += 1;
            if guarded(|| open(self.codec, STORE, &damaged))?.is_ok() {
                return Err(broken("damage is not refused".to_owned()).at(&damaged));
            }
        }
        Ok(())
    }

    /// The buffer after `checkpoint` was appended to what was in it.
    fn encode(&self, checkpoint: &Checkpoint, before: &[u8]) -> Result<Vec<u8>, CodecViolation> {
        let mut out = before.to_vec();
        let encoded = guarded(|| self.codec.encode(checkpoint, &mut out));
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
        guarded(|| self.codec.decode(bytes)).map_err(|violation| violation.at(bytes))
    }
}

/// A panic is a broken promise like others.
fn guarded<T>(call: impl FnOnce() -> T) -> Result<T, CodecViolation> {
    catch_unwind(AssertUnwindSafe(call))
        .map_err(|panic| CodecViolation::new(CodecPromise::NoPanic, super::said(&*panic)))
}
