//! Writes the JSON codec's one layout.
//!
//! The layout is fixed, so its text is copied. Serializing each shard as a struct by `serde_json`
//! takes more than twice as long.

use std::io::{self, Write};

use crate::checkpoint::{Rows, ShardCheckpoint};

/// The length of the shortest line of a shard, `,\n{"shard":0,"mark":0}`.
const SHORTEST_LINE: usize = 22;

pub(super) fn write(rows: &mut Rows<'_>, out: &mut Vec<u8>) -> io::Result<()> {
    out.reserve(SHORTEST_LINE * rows.len());
    text(out, "{\"next_incarnation\":");
    number(out, rows.next_incarnation().0);
    text(out, ",\"shards\":[");
    let mut separator = "";
    while let Some(row) = rows.next() {
        text(out, separator);
        separator = ",";
        shard(out, row)?;
    }
    text(out, "]}");
    Ok(())
}

/// A line. Defaults are left out.
#[inline]
fn shard(out: &mut Vec<u8>, row: &ShardCheckpoint) -> io::Result<()> {
    text(out, "\n{\"shard\":");
    number(out, row.shard.0);
    if row.log.0 != 0 {
        // A string: few JSON readers have 128-bit numbers.
        write!(out, ",\"log\":\"{}\"", row.log)?;
    }
    if row.incarnation.0 != 0 {
        text(out, ",\"incarnation\":");
        number(out, row.incarnation.0);
    }
    text(out, ",\"mark\":");
    number(out, row.mark);
    if !row.completed.is_empty() {
        text(out, ",\"completed\":[");
        pairs(out, row.completed.iter().map(|range| [range.first(), range.last()]));
    }
    if !row.epochs.is_empty() {
        text(out, ",\"epochs\":[");
        pairs(out, row.epochs.iter().map(|start| [start.epoch, start.first]));
    }
    text(out, "}");
    Ok(())
}

fn pairs(out: &mut Vec<u8>, pairs: impl Iterator<Item = [u64; 2]>) {
    for (i, [first, second]) in pairs.enumerate() {
        text(out, if i > 0 { ",[" } else { "[" });
        number(out, first);
        text(out, ",");
        number(out, second);
        text(out, "]");
    }
    text(out, "]");
}

#[inline]
fn text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

#[inline]
fn number(out: &mut Vec<u8>, number: u64) {
    text(out, itoa::Buffer::new().format(number));
}
