//! A codec that breaks one promise fails the suite, which names the promise.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use repl_checkpoint::{
    BincodeCodec, Checkpoint, Codec, CodecError, JsonCodec, Rows, ShardCheckpoint,
};
use repl_core::Incarnation;
use repl_harness::suites::{CodecPromise, codec_suite};

/// The promise that a codec breaks.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Wrong {
    TrailingBytesIgnored,
    OneTrailingByteIgnored,
    OneBitIgnored,
    PostcardAlone,
    PaddedNumbersRead,
    NotDeterministic,
    LosesRanges,
    LosesEpochs,
    RoundsTo53Bits,
    PanicsOnShortInput,
    TrustsLengths,
    Clears,
    ChecksNothingBefore,
    RefusesMany,
    LongName,
    TwoNames,
    CapitalsRead,
}

struct WrongCodec(Wrong, AtomicU64);

impl WrongCodec {
    fn counted(&self) -> u64 {
        self.1.fetch_add(1, Relaxed)
    }
}

/// Each number's 8 bytes without the zeros at the end, preceded by their count.
fn packed(bytes: &[u8]) -> Vec<u8> {
    let number = |word: &[u8]| {
        let length = word.iter().rposition(|b| *b != 0).map_or(0, |last| last + 1);
        [&[u8::try_from(length).unwrap()], &word[..length]].concat()
    };
    bytes.chunks(8).flat_map(number).collect()
}

/// Accepts zeros at the end of a number's bytes.
fn unpacked(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let mut all = Vec::new();
    while let Some((length, rest)) = bytes.split_first() {
        let (word, rest) = rest.split_at_checked(usize::from(*length))?;
        let mut padded = word.to_vec();
        padded.resize(8.max(word.len()), 0);
        all.extend(padded);
        bytes = rest;
    }
    Some(all)
}

impl Codec for WrongCodec {
    fn name(&self) -> &'static str {
        match self.0 {
            Wrong::LongName => "a-longer-name",
            Wrong::TwoNames if self.counted() % 3 == 2 => "other",
            _ => "wrong",
        }
    }

    fn encode(&self, rows: &mut Rows<'_>, out: &mut Vec<u8>) -> Result<(), CodecError> {
        let mut checkpoint = rows.to_checkpoint();
        for shard in &mut checkpoint.shards {
            match self.0 {
                Wrong::LosesRanges => shard.completed = Box::default(),
                Wrong::LosesEpochs => shard.epochs = Box::default(),
                Wrong::RoundsTo53Bits if shard.mark >> 53 != 0 => shard.mark &= !0x7ff,
                _ => {}
            }
        }
        match self.0 {
            Wrong::NotDeterministic => {
                JsonCodec.encode(&mut checkpoint.rows(), out)?;
                out.extend(std::iter::repeat_n(b' ', usize::from(self.counted() % 2 == 1)));
                Ok(())
            }
            Wrong::PaddedNumbersRead => {
                let mut bytes = Vec::new();
                BincodeCodec.encode(&mut checkpoint.rows(), &mut bytes)?;
                out.extend(packed(&bytes));
                Ok(())
            }
            Wrong::Clears => {
                out.clear();
                JsonCodec.encode(&mut checkpoint.rows(), out)
            }
            Wrong::ChecksNothingBefore => {
                // As if an offset were taken from the beginning of the buffer.
                let start = out.len();
                BincodeCodec.encode(&mut checkpoint.rows(), out)?;
                out.push(start.to_le_bytes()[0]);
                Ok(())
            }
            Wrong::RefusesMany if checkpoint.shards.len() > 200 => {
                Err(CodecError::new("too many shards"))
            }
            Wrong::PostcardAlone => {
                out.extend(postcard::to_allocvec(&checkpoint).map_err(CodecError::new)?);
                Ok(())
            }
            _ => BincodeCodec.encode(&mut checkpoint.rows(), out),
        }
    }

    fn decode(
        &self,
        bytes: &[u8],
        row: &mut dyn FnMut(ShardCheckpoint),
    ) -> Result<Incarnation, CodecError> {
        let checkpoint = self.decoded(bytes)?;
        checkpoint.shards.into_iter().for_each(row);
        Ok(checkpoint.next_incarnation)
    }
}

impl WrongCodec {
    fn decoded(&self, bytes: &[u8]) -> Result<Checkpoint, CodecError> {
        match self.0 {
            Wrong::TrailingBytesIgnored => {
                let ends = (0..=bytes.len()).rev().take(12);
                let mut read = ends.map(|end| Checkpoint::decode(&BincodeCodec, &bytes[..end]));
                read.find(Result::is_ok).unwrap_or_else(|| Checkpoint::decode(&BincodeCodec, bytes))
            }
            Wrong::OneTrailingByteIgnored => {
                Checkpoint::decode(&BincodeCodec, bytes.strip_suffix(b"\n").unwrap_or(bytes))
            }
            Wrong::OneBitIgnored if bytes.len() > 15 => {
                // In the highest byte of the number of shards.
                let mut bytes = bytes.to_vec();
                bytes[15] &= !0x20;
                Checkpoint::decode(&BincodeCodec, &bytes)
            }
            Wrong::PostcardAlone => postcard::from_bytes(bytes).map_err(CodecError::new),
            Wrong::PaddedNumbersRead => {
                let bytes = unpacked(bytes).ok_or_else(|| CodecError::new("cut off"))?;
                Checkpoint::decode(&BincodeCodec, &bytes)
            }
            Wrong::NotDeterministic => Checkpoint::decode(&JsonCodec, bytes.trim_ascii_end()),
            Wrong::Clears => Checkpoint::decode(&JsonCodec, bytes),
            Wrong::PanicsOnShortInput if bytes[..8] == [0; 8] => {
                Checkpoint::decode(&BincodeCodec, bytes)
            }
            Wrong::TrustsLengths => {
                let length: [u8; 8] = bytes.get(8..16).unwrap_or(&[0; 8]).try_into().unwrap();
                let length = usize::try_from(u64::from_le_bytes(length)).unwrap();
                let room: Vec<[u64; 8]> = Vec::with_capacity(length);
                assert!(room.is_empty());
                Checkpoint::decode(&BincodeCodec, bytes)
            }
            Wrong::ChecksNothingBefore => {
                Checkpoint::decode(&BincodeCodec, &bytes[..bytes.len().saturating_sub(1)])
            }
            Wrong::CapitalsRead => Checkpoint::decode(&BincodeCodec, &bytes.to_ascii_lowercase()),
            _ => Checkpoint::decode(&BincodeCodec, bytes),
        }
    }
}

fn broken(wrong: Wrong) -> (CodecPromise, String) {
    let violation = codec_suite(&WrongCodec(wrong, AtomicU64::new(0))).unwrap_err();
    let text = violation.to_string();
    assert!(text.contains(&violation.promise.to_string()) && text.contains(&violation.what));
    (violation.promise, violation.what)
}

#[test]
fn every_wrong_codec_fails_with_the_promise_it_breaks() {
    let expected = [
        (Wrong::TrailingBytesIgnored, CodecPromise::Strict, "encodes to"),
        (Wrong::OneTrailingByteIgnored, CodecPromise::Strict, "encodes to"),
        (Wrong::OneBitIgnored, CodecPromise::Strict, "encodes to"),
        (Wrong::PostcardAlone, CodecPromise::Strict, "encodes to"),
        (Wrong::PaddedNumbersRead, CodecPromise::Strict, "encodes to"),
        (Wrong::CapitalsRead, CodecPromise::Exact, "it decodes to another checkpoint"),
        (Wrong::NotDeterministic, CodecPromise::Deterministic, "in two ways"),
        (Wrong::LosesRanges, CodecPromise::Exact, "it decodes to another checkpoint"),
        (Wrong::LosesEpochs, CodecPromise::Exact, "it decodes to another checkpoint"),
        (Wrong::RoundsTo53Bits, CodecPromise::Exact, "it decodes to another checkpoint"),
        (Wrong::PanicsOnShortInput, CodecPromise::NoPanic, "out of range"),
        (Wrong::TrustsLengths, CodecPromise::NoPanic, "capacity overflow"),
        (Wrong::Clears, CodecPromise::Appends, "are not left as they were"),
        (Wrong::ChecksNothingBefore, CodecPromise::Appends, "change what is written"),
        (Wrong::RefusesMany, CodecPromise::Encodes, "too many shards"),
        (Wrong::LongName, CodecPromise::NameFits, "1 to 8 characters"),
        (Wrong::TwoNames, CodecPromise::NameFits, "and then"),
    ];
    for (wrong, promise, says) in expected {
        let (broken, what) = broken(wrong);
        assert!(broken == promise && what.contains(says), "{wrong:?}: {broken}: {what}");
    }
}

#[test]
fn a_violation_shows_the_checkpoint_and_the_bytes() {
    let wrong = WrongCodec(Wrong::LosesRanges, AtomicU64::new(0));
    let violation = codec_suite(&wrong).unwrap_err();
    let checkpoint = violation.checkpoint.unwrap();
    assert!(checkpoint.shards.iter().any(|shard| !shard.completed.is_empty()));
    let mut bytes = Vec::new();
    wrong.encode(&mut checkpoint.rows(), &mut bytes).unwrap();
    assert_eq!(violation.bytes.unwrap(), bytes);
}
