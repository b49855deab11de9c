//! Contents of checkpoint files and slots, chosen by the fuzzer.

use repl_checkpoint::{
    BincodeCodec, Checkpoint, Codec, Header, JsonCodec, ShardCheckpoint, StoreId,
};
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
            c.burst(&mut bytes);
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
    valid(c).seal(codec, header).expect("a valid checkpoint can be sealed")
}

/// Any valid checkpoint, or one of marks only: of shards 1 and 2, and sometimes of so many more
/// that a checkpointer saves deltas on it.
pub(crate) fn valid(c: &mut Choices<'_>) -> Checkpoint {
    let more = match c.below(4) {
        3 => 40 + c.below(40) as u64,
        0 => 0,
        _ => match checkpoint(c) {
            chosen if is_valid(&chosen) => return chosen,
            _ => 0,
        },
    };
    let mut shards = vec![row(1, c.number()), row(2, u64::from(c.byte()))];
    shards.extend((0..more).map(|i| row(10 + i, i)));
    Checkpoint { next_incarnation: Incarnation(1), shards }
}

/// An envelope in JSON of exactly `length` bytes, which is from 300 to 5000.
pub(crate) fn of_length(generation: u64, length: usize) -> Vec<u8> {
    let header = Header { store: STORE, generation, confirmed: 0 };
    let sealed = |shards: &[ShardCheckpoint]| {
        let checkpoint = Checkpoint { next_incarnation: Incarnation(1), shards: shards.to_vec() };
        checkpoint.seal(&JsonCodec, header).expect("a valid checkpoint can be sealed")
    };
    let row = |i, zeros: usize| row(1000 + i, (0..zeros).fold(1, |mark, _| mark * 10));
    let one = sealed(&[row(0, 0)]).len();
    let each = sealed(&[row(0, 0), row(1, 0)]).len() - one;
    let count = (length - one) / each + 1;
    let mut left = length - one - (count - 1) * each;
    let shards = (0..count as u64).map(|i| {
        let more = left.min(18);
        left -= more;
        row(i, more)
    });
    let bytes = sealed(&shards.collect::<Vec<_>>());
    assert_eq!(bytes.len(), length);
    bytes
}

fn row(shard: u64, mark: u64) -> ShardCheckpoint {
    ShardCheckpoint {
        shard: ShardId(shard),
        log: LogId::UNNAMED,
        incarnation: Incarnation(0),
        mark,
        completed: Box::default(),
        epochs: Box::default(),
    }
}
