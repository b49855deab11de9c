//! Payloads: each is decoded as an independent decoder does, or refused.

use repl_checkpoint::{BincodeCodec, Checkpoint, Codec, JsonCodec, ShardCheckpoint};
use repl_core::{EpochStart, Incarnation, LogId, SeqRange, ShardId};
use serde::Deserialize;
use wincode::{SchemaRead, SchemaWrite};

/// Decodes JSON as `serde_json` does. For a short document that is accepted, also tries variants of
/// equal or similar meaning.
pub fn json(data: &[u8]) {
    let agree = |data: &[u8]| {
        let theirs = serde_json::from_slice::<Document>(data).ok().and_then(Document::checkpoint);
        agree(&JsonCodec, data, theirs.as_ref())
    };
    if agree(data) && data.len() <= 200 {
        for (at, piece) in (0..=data.len()).flat_map(|at| PIECES.map(|piece| (at, piece))) {
            agree(&[&data[..at], piece, &data[at..]].concat());
        }
    }
}

/// Bytes that another encoder may insert.
const PIECES: [&[u8]; 8] = [
    b" ",
    b"\n",
    b"0",
    b",",
    b",\"incarnation\":0",
    b",\"log\":\"00000000000000000000000000000000\"",
    b",\"completed\":[]",
    b",\"epochs\":[]",
];

/// Decodes bincode as the crate wincode does.
pub fn bincode(data: &[u8]) {
    let theirs = wincode::deserialize::<Plain>(data).ok().map(Plain::checkpoint);
    agree(&BincodeCodec, data, theirs.as_ref());
}

/// Returns whether `data` is accepted. Asserts that it then equals `theirs` and is encoded to the
/// same bytes, and that `data` is accepted if `theirs` is encoded to it.
fn agree(codec: &dyn Codec, data: &[u8], theirs: Option<&Checkpoint>) -> bool {
    let encoded = |checkpoint: &Checkpoint| {
        let mut bytes = Vec::new();
        codec.encode(&mut checkpoint.rows(), &mut bytes).expect("small checkpoints can be encoded");
        bytes
    };
    match Checkpoint::decode(codec, data) {
        Ok(ours) => {
            assert!(encoded(&ours) == data, "accepted, but encoded differently");
            assert_eq!(Some(&ours), theirs, "decoded differently by the other decoder");
            true
        }
        Err(reason) => {
            let theirs = theirs.filter(|theirs| encoded(theirs) == data);
            assert!(theirs.is_none(), "the encoder's own bytes are refused: {reason}");
            false
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    next_incarnation: u64,
    shards: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    shard: u64,
    #[serde(default)]
    log: String,
    #[serde(default)]
    incarnation: u64,
    mark: u64,
    #[serde(default)]
    completed: Vec<(u64, u64)>,
    #[serde(default)]
    epochs: Vec<(u64, u64)>,
}

impl Document {
    fn checkpoint(self) -> Option<Checkpoint> {
        let plain = |row: Row| {
            let log = if row.log.is_empty() { "0" } else { &row.log };
            Some(PlainShard {
                shard: row.shard,
                log: u128::from_str_radix(log, 16).ok()?,
                incarnation: row.incarnation,
                mark: row.mark,
                completed: row.completed,
                epochs: row.epochs,
            })
        };
        let shards = self.shards.into_iter().map(plain).collect::<Option<_>>()?;
        Some(Plain { next_incarnation: self.next_incarnation, shards }.checkpoint())
    }
}

#[derive(SchemaRead, SchemaWrite)]
struct Plain {
    next_incarnation: u64,
    shards: Vec<PlainShard>,
}

#[derive(SchemaRead, SchemaWrite)]
struct PlainShard {
    shard: u64,
    log: u128,
    incarnation: u64,
    mark: u64,
    completed: Vec<(u64, u64)>,
    epochs: Vec<(u64, u64)>,
}

impl Plain {
    fn checkpoint(self) -> Checkpoint {
        let range = |(first, last)| SeqRange::new(first, last);
        let epoch = |(epoch, first)| EpochStart { epoch, first };
        let shard = |s: PlainShard| ShardCheckpoint {
            shard: ShardId(s.shard),
            log: LogId(s.log),
            incarnation: Incarnation(s.incarnation),
            mark: s.mark,
            completed: s.completed.into_iter().map(range).collect(),
            epochs: s.epochs.into_iter().map(epoch).collect(),
        };
        Checkpoint {
            next_incarnation: Incarnation(self.next_incarnation),
            shards: self.shards.into_iter().map(shard).collect(),
        }
    }
}
