//! JSON for people to read and grep: one line a shard, defaults left out.
//!
//! Written and read as this one layout. A sealed payload is known to be the writer's own bytes, so
//! any other spelling of the same document is damage, and refusing it makes two payloads differ
//! wherever their checkpoints do. A fixed layout is also what lets a checkpoint be opened faster
//! than `serde_json` reads a bare map of the same marks (docs/benchmarks.md).

use repl_core::Incarnation;

use super::{Codec, CodecError};
use crate::checkpoint::{Rows, ShardCheckpoint};

mod reader;
mod writer;

/// Encodes a checkpoint as JSON, one line a shard.
///
/// docs/format.md has the layout; any other spelling of the same document is refused. Sequence
/// numbers are exact up to `u64::MAX`; readers that keep numbers as doubles round those above 2^53.
#[derive(Debug, Clone, Copy, Default)]
pub struct JsonCodec;

impl Codec for JsonCodec {
    fn name(&self) -> &'static str {
        "json"
    }

    fn encode(&self, rows: &mut Rows<'_>, out: &mut Vec<u8>) -> Result<(), CodecError> {
        writer::write(rows, out).map_err(CodecError::new)
    }

    fn decode(
        &self,
        bytes: &[u8],
        row: &mut dyn FnMut(ShardCheckpoint),
    ) -> Result<Incarnation, CodecError> {
        reader::read(bytes, row)
    }
}
