//! Both codecs are exact, deterministic and strict.

use std::error::Error;

use proptest::prelude::*;
use repl_checkpoint::{
    Checkpoint, CheckpointError, Codec, CodecError, InvalidCheckpoint, OnCorrupt, Rows, SealError,
    ShardCheckpoint, recover,
};
use repl_core::{EpochStart, Incarnation, SeqRange, ShardId};

use crate::support::arbitrary::{checkpoint, junk};
use crate::support::scripted::Scripted;
use crate::support::{STORE, codecs, durable, every_field, header, marks};

pub(crate) fn encode(codec: &dyn Codec, checkpoint: &Checkpoint) -> Vec<u8> {
    let mut bytes = Vec::new();
    codec.encode(&mut checkpoint.rows(), &mut bytes).unwrap();
    bytes
}

proptest! {
    #[test]
    fn every_valid_checkpoint_comes_back_whole(checkpoint in checkpoint()) {
        prop_assert_eq!(checkpoint.validate(), Ok(()));
        for codec in codecs() {
            let bytes = encode(codec, &checkpoint);
            prop_assert_eq!(Checkpoint::decode(codec, &bytes).unwrap(), checkpoint.clone());
            let sealed = checkpoint.seal(codec, header(1)).unwrap();
            prop_assert_eq!(Checkpoint::unseal(codec, STORE, &sealed).unwrap().1, checkpoint.clone());
        }
    }

    #[test]
    fn two_checkpoints_are_equal_exactly_if_their_bytes_are(a in checkpoint(), b in checkpoint()) {
        for codec in codecs() {
            prop_assert_eq!(encode(codec, &a), encode(codec, &a.clone()));
            prop_assert_eq!(encode(codec, &a) == encode(codec, &b), a == b);
        }
    }

    #[test]
    fn no_bytes_make_a_codec_panic(bytes in junk()) {
        for codec in codecs() {
            let _ = Checkpoint::decode(codec, &bytes);
            let _ = Checkpoint::unseal(codec, STORE, &bytes);
        }
    }
}

#[test]
fn the_error_of_a_format_library_keeps_its_cause() {
    let cause = CodecError::new("the cause");
    let error = CodecError::new(SealError::Codec { codec: "json", source: cause });
    assert_eq!(error.source().unwrap().to_string(), "the cause");
}

#[test]
fn encoding_appends() {
    for codec in codecs() {
        let mut bytes = b"before".to_vec();
        codec.encode(&mut every_field().rows(), &mut bytes).unwrap();
        assert_eq!(bytes, [b"before", encode(codec, &every_field()).as_slice()].concat());
    }
}

#[test]
fn every_prefix_and_every_trailing_byte_is_refused() {
    for codec in codecs() {
        let whole = encode(codec, &every_field());
        for length in 0..whole.len() {
            assert!(Checkpoint::decode(codec, &whole[..length]).is_err(), "{length} bytes");
        }
        for byte in 0..=u8::MAX {
            assert!(Checkpoint::decode(codec, &[whole.as_slice(), &[byte]].concat()).is_err());
        }
    }
}

#[test]
fn an_empty_checkpoint_is_not_empty_bytes() {
    for codec in codecs() {
        assert!(Checkpoint::decode(codec, b"").is_err());
        let empty = encode(codec, &Checkpoint::default());
        assert_eq!(Checkpoint::decode(codec, &empty).unwrap(), Checkpoint::default());
    }
}

#[test]
fn a_checkpoint_says_why_it_is_not_valid() {
    let valid = every_field();
    assert_eq!(valid.validate(), Ok(()));
    let broken = |break_it: &dyn Fn(&mut Checkpoint)| {
        let mut checkpoint = valid.clone();
        break_it(&mut checkpoint);
        checkpoint.validate().unwrap_err()
    };
    let id = |i: usize| valid.shards[i].shard;
    for (i, j) in [(0, 1), (2, 3)] {
        let order = InvalidCheckpoint::ShardOrder { shard: id(i) };
        assert_eq!(broken(&|c| c.shards.swap(i, j)), order);
    }
    let twice = InvalidCheckpoint::ShardOrder { shard: id(0) };
    assert_eq!(broken(&|c| c.shards[1].shard = id(0)), twice);
    let range = |first, last| {
        let range = SeqRange::new(first, last);
        (range, InvalidCheckpoint::Range { shard: id(1), range })
    };
    // At the mark, empty, overlapping, descending.
    for (at, (bad, reason)) in
        [(0, range(42, 44)), (0, range(45, 44)), (1, range(44, 50)), (1, range(43, 43))]
    {
        assert_eq!(broken(&|c| c.shards[1].completed[at] = bad), reason);
    }
    for (epoch, first) in [(0, 40), (3, 1)] {
        let start = EpochStart { epoch, first };
        let reason = InvalidCheckpoint::Epoch { shard: id(1), start };
        assert_eq!(broken(&|c| c.shards[1].epochs[1] = start), reason);
    }
    let reused = InvalidCheckpoint::Incarnation {
        shard: id(1),
        incarnation: Incarnation(7),
        next: Incarnation(7),
    };
    assert_eq!(broken(&|c| c.next_incarnation = Incarnation(7)), reused);
    let mut plain = marks(&[(1, 5)]);
    let (shard, incarnation) = (plain.shards[0].shard, Incarnation(7));
    plain.shards[0].incarnation = incarnation;
    for next in [Incarnation(6), incarnation] {
        plain.next_incarnation = next;
        let reused = InvalidCheckpoint::Incarnation { shard, incarnation, next };
        assert_eq!(plain.validate(), Err(reused));
    }
}

#[test]
fn incarnations_that_have_run_out_can_still_be_saved() {
    let mut last = marks(&[(1, 5)]);
    last.next_incarnation = Incarnation(u64::MAX);
    last.shards[0].incarnation = Incarnation(u64::MAX);
    for codec in codecs() {
        let bytes = last.seal(codec, header(1)).unwrap();
        assert_eq!(Checkpoint::unseal(codec, STORE, &bytes).unwrap().1, last);
    }
}

/// A codec that cannot encode, with this name.
struct Broken(&'static str);

impl Codec for Broken {
    fn name(&self) -> &'static str {
        self.0
    }
    fn encode(&self, _: &mut Rows<'_>, _: &mut Vec<u8>) -> Result<(), CodecError> {
        Err(CodecError::new("too large for this format"))
    }
    fn decode(
        &self,
        _: &[u8],
        _: &mut dyn FnMut(ShardCheckpoint),
    ) -> Result<Incarnation, CodecError> {
        Err(CodecError::new("not mine"))
    }
}

#[test]
fn a_codec_that_cannot_encode_saves_nothing_and_uses_up_no_generation() {
    for name in ["broken", "not a name"] {
        let store = Scripted::default();
        let mut follower =
            recover(store.clone(), Broken(name), &[ShardId(1)], OnCorrupt::Fail).unwrap();
        for _ in 0..2 {
            let error = follower.checkpointer.checkpoint(durable).unwrap_err();
            assert!(!error.is_poisoning());
            match error {
                CheckpointError::Seal(SealError::Codec { codec: "broken", source }) => {
                    assert_eq!(source.to_string(), "too large for this format");
                }
                CheckpointError::Seal(SealError::CodecName { codec: "not a name" }) => {}
                other => panic!("{other}"),
            }
        }
        assert_eq!(store.take_events(), [""; 0]);
        assert_eq!(follower.checkpointer.floors().checkpointed(ShardId(1)), None);
    }
}

#[cfg(feature = "bincode")]
mod bincode {
    use std::process::Command;

    use repl_checkpoint::{BincodeCodec, Checkpoint};

    use super::encode;
    use crate::support::{every_field, skipped};

    /// The offsets of the count of shards and of the two counts in the first shard.
    const COUNTS: [usize; 3] = [8, 16 + 8 + 16 + 8 + 8, 16 + 8 + 16 + 8 + 8 + 8];

    #[test]
    fn a_hostile_length_allocates_nothing() {
        // In a process limited to 1 GiB, which an allocation of the claimed length would abort.
        let this = std::env::current_exe().unwrap();
        let script = "ulimit -v 1048576 && exec \"$0\" \"$@\"";
        let test = "codecs::bincode::hostile_lengths_are_refused";
        let child = Command::new("sh")
            .args(["-c", script])
            .arg(this)
            .args(["--exact", test, "--test-threads=1"])
            .output();
        let Ok(child) = child else {
            return skipped("no sh to limit a child's memory with");
        };
        let said = String::from_utf8_lossy(&child.stdout);
        assert!(child.status.success() && said.contains("1 passed"), "{child:?}");
    }

    #[test]
    fn hostile_lengths_are_refused() {
        let whole = encode(&BincodeCodec, &every_field());
        for at in COUNTS {
            for length in [1 << 20, 1 << 31, 1 << 40, 1 << 60, u64::MAX] {
                let mut bytes = whole.clone();
                bytes[at..at + 8].copy_from_slice(&u64::to_le_bytes(length));
                assert!(Checkpoint::decode(&BincodeCodec, &bytes).is_err(), "{length} at {at}");
            }
        }
    }

    #[test]
    fn more_than_a_gibibyte_is_refused_before_it_is_read() {
        // Zeros hold an empty checkpoint, and what follows it is not read: the system need not even
        // provide the memory.
        for (length, why) in [(1 << 30, "bytes follow"), ((1 << 30) + 1, "are more than")] {
            let refused =
                Checkpoint::decode(&BincodeCodec, &vec![0; length]).unwrap_err().to_string();
            assert!(refused.contains(why), "{length}: {refused}");
        }
    }

    #[test]
    fn the_layout_is_fixed_width_and_little_endian() {
        let mut expected = Vec::new();
        let number = |out: &mut Vec<u8>, n: u64| out.extend_from_slice(&n.to_le_bytes());
        let checkpoint = every_field();
        number(&mut expected, checkpoint.next_incarnation.0);
        number(&mut expected, checkpoint.shards.len() as u64);
        for shard in &checkpoint.shards {
            number(&mut expected, shard.shard.0);
            expected.extend_from_slice(&shard.log.0.to_le_bytes());
            number(&mut expected, shard.incarnation.0);
            number(&mut expected, shard.mark);
            number(&mut expected, shard.completed.len() as u64);
            for range in &shard.completed {
                number(&mut expected, range.first());
                number(&mut expected, range.last());
            }
            number(&mut expected, shard.epochs.len() as u64);
            for start in &shard.epochs {
                number(&mut expected, start.epoch);
                number(&mut expected, start.first);
            }
        }
        assert_eq!(encode(&BincodeCodec, &checkpoint), expected);
    }
}
