//! JSON that people can read and grep: one line a shard, defaults left out.
//!
//! Written through `serde_json`. Read by a reader of this one layout: a sealed payload is known to
//! be the writer's own bytes, so any other spelling of the same document is damage, and refusing it
//! makes two payloads differ wherever their checkpoints do. It is also what lets a checkpoint be
//! opened faster than `serde_json` reads a bare map of the same marks (docs/benchmarks.md).

use repl_core::SeqRange;
use serde::{Serialize, Serializer};
use serde_json::ser::Formatter;
use std::io;

use super::{Codec, CodecError};
use crate::checkpoint::{Checkpoint, EpochStart, ShardCheckpoint};

mod reader;

/// One JSON document, a line a shard: see docs/format.md. Decodes only the bytes that it encodes.
///
/// Sequence numbers are exact here up to `u64::MAX`. Readers that keep numbers as doubles round
/// those above 2^53.
#[derive(Debug, Clone, Copy, Default)]
pub struct JsonCodec;

impl Codec for JsonCodec {
    fn name(&self) -> &'static str {
        "json"
    }

    fn encode(&self, checkpoint: &Checkpoint, out: &mut Vec<u8>) -> Result<(), CodecError> {
        let document = Document {
            next_incarnation: checkpoint.next_incarnation.0,
            shards: Rows(&checkpoint.shards),
        };
        let mut serializer =
            serde_json::Serializer::with_formatter(out, LineAShard { array_depth: 0 });
        document.serialize(&mut serializer).map_err(CodecError::new)
    }

    fn decode(&self, bytes: &[u8]) -> Result<Checkpoint, CodecError> {
        reader::read(bytes)
    }
}

#[derive(Serialize)]
struct Document<'a> {
    next_incarnation: u64,
    shards: Rows<'a>,
}

struct Rows<'a>(&'a [ShardCheckpoint]);

impl Serialize for Rows<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(Row::of))
    }
}

/// A shard as it is written.
#[derive(Serialize)]
struct Row {
    shard: u64,
    /// A string of 32 hexadecimal digits: few JSON readers have 128-bit numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    log: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    incarnation: Option<u64>,
    mark: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    completed: Vec<[u64; 2]>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    epochs: Vec<[u64; 2]>,
}

impl Row {
    fn of(shard: &ShardCheckpoint) -> Self {
        let range = |r: &SeqRange| [r.first, r.last];
        let epoch = |e: &EpochStart| [e.epoch, e.first];
        Row {
            shard: shard.shard.0,
            log: (shard.log.0 != 0).then(|| shard.log.to_string()),
            incarnation: (shard.incarnation.0 != 0).then_some(shard.incarnation.0),
            mark: shard.mark,
            completed: shard.completed.iter().map(range).collect(),
            epochs: shard.epochs.iter().map(epoch).collect(),
        }
    }
}

/// Compact, but for a line break before each element of the outermost array.
struct LineAShard {
    array_depth: u32,
}

impl Formatter for LineAShard {
    fn begin_array<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.array_depth += 1;
        writer.write_all(b"[")
    }

    fn end_array<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.array_depth -= 1;
        writer.write_all(b"]")
    }

    fn begin_array_value<W: io::Write + ?Sized>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        let comma: &[u8] = if first { b"" } else { b"," };
        let line: &[u8] = if self.array_depth == 1 { b"\n" } else { b"" };
        writer.write_all(comma)?;
        writer.write_all(line)
    }
}
