//! Contents of checkpoint files and slots, chosen by the fuzzer.

use repl_checkpoint::{BincodeCodec, Checkpoint, Codec, Header, JsonCodec, StoreId};
use repl_core::{Incarnation, LogId, ShardId};

use crate::checkpoints::{checkpoint, is_valid};
use crate::choices::Choices;
use crate::format::{HEADER, with_checksum, with_length};

/// The id of the store that is opened.
pub(crate) const STORE: StoreId = StoreId(0x00c0_ffee);

/// A codec, more often JSON.
pub(crate) fn codec(c: &mut Choices<'_>) -> Box<dyn Codec> {
    if c.rarely(4) { Box::new(BincodeCodec) } else { Box::new(JsonCodec) }
}

/// Contents of a file or slot.
pub(crate) struct Planted {
    pub(crate) bytes: Vec<u8>,
    /// Whether the bytes were sealed and then corrupted in a way that the checksum always detects.
    pub(crate) is_corrupted: bool,
}

/// Mostly a valid checkpoint of `generation`.
pub(crate) fn planted(c: &mut Choices<'_>, codec: &dyn Codec, generation: u64) -> Planted {
    let unchecked = |bytes| Planted { bytes, is_corrupted: false };
    let sealed = sealed(c, codec, generation);
    match c.below(12) {
        0 => unchecked(c.bytes().to_vec()),
        1 => {
            // Another payload or header with a correct checksum.
            let at = c.place(sealed.len());
            let bytes = [&sealed[..at], c.bytes()].concat();
            unchecked(with_checksum(&with_length(&bytes, 0)))
        }
        2 => {
            let (mut bytes, at) = (sealed, c.place(HEADER));
            bytes[at] ^= c.byte();
            unchecked(with_checksum(&bytes))
        }
        3 => Planted { bytes: sealed[..c.place(sealed.len())].to_vec(), is_corrupted: true },
        4 => Planted { bytes: [&sealed, &[c.byte()][..]].concat(), is_corrupted: true },
        5 => {
            let mut bytes = sealed;
            let at = c.place(bytes.len() - 3);
            bytes[at] ^= c.byte().max(1);
            (1..4).for_each(|i| bytes[at + i] ^= c.byte());
            Planted { bytes, is_corrupted: true }
        }
        _ => unchecked(sealed),
    }
}

/// A sealed checkpoint, sometimes of another store, codec or generation.
fn sealed(c: &mut Choices<'_>, codec: &dyn Codec, generation: u64) -> Vec<u8> {
    let other: &dyn Codec = if codec.name() == "json" { &BincodeCodec } else { &JsonCodec };
    let (store, codec, generation) = match c.below(16) {
        13 => (StoreId(1), codec, generation),
        14 => (STORE, other, generation),
        12 => (STORE, codec, generation.saturating_sub(1)),
        15 => (STORE, codec, generation.saturating_add(c.number())),
        _ => (STORE, codec, generation),
    };
    let confirmed = if c.rarely(4) { c.number() } else { u64::MAX };
    let header =
        Header { store, generation, confirmed: confirmed.min(generation.saturating_sub(1)) };
    let checkpoint = match checkpoint(c) {
        chosen if c.rarely(2) && is_valid(&chosen) => chosen,
        _ => plain(c),
    };
    checkpoint.seal(codec, header).expect("a valid checkpoint can be sealed")
}

/// A checkpoint of shards 1 and 2 with marks only.
fn plain(c: &mut Choices<'_>) -> Checkpoint {
    let shard = |shard, mark| repl_checkpoint::ShardCheckpoint {
        shard: ShardId(shard),
        log: LogId::UNNAMED,
        incarnation: Incarnation(0),
        mark,
        completed: Box::default(),
        epochs: Box::default(),
    };
    let shards = vec![shard(1, c.number()), shard(2, u64::from(c.byte()))];
    Checkpoint { next_incarnation: Incarnation(1), shards }
}
