//! Header lines: ASCII of fixed width, a checksum of the line at its end.

use repl_core::ShardId;

use crate::codec::Codec;
use crate::ids::StoreId;

use super::SealError;

/// Takes the fields of a header line in turn.
pub(super) struct Fields<'a>(&'a str);

impl<'a> Fields<'a> {
    /// Begins after the magic and the version.
    pub(super) fn after(line: &'a [u8], magic: &str, version: &str) -> Option<Self> {
        let line = std::str::from_utf8(line).ok()?;
        line.strip_prefix(magic)?.strip_prefix(version).map(Fields)
    }

    fn next(&mut self, name: &str, width: usize) -> Option<&'a str> {
        let (value, rest) = self.0.strip_prefix(name)?.split_at_checked(width)?;
        self.0 = rest;
        Some(value)
    }

    pub(super) fn codec(&mut self) -> Option<&'a str> {
        self.next(" codec=", 8).map(|name| name.trim_end_matches(' '))
    }

    pub(super) fn store(&mut self) -> Option<StoreId> {
        u128::from_str_radix(self.next(" store=", 32)?, 16).ok().map(StoreId)
    }

    pub(super) fn number(&mut self, name: &str) -> Option<u64> {
        self.next(name, 20)?.parse().ok()
    }

    pub(super) fn checksum(&mut self, name: &str) -> Option<u32> {
        u32::from_str_radix(self.next(name, 8)?, 16).ok()
    }
}

/// Appends the checksum of a line, and a line feed. Returns the checksum too.
pub(super) fn finished(mut line: String) -> (String, u32) {
    line.push_str(" crc32c=");
    let crc = crc32c::crc32c(line.as_bytes());
    (format!("{line}{crc:08x}\n"), crc)
}

/// The name of a codec, if it fits a header.
pub(super) fn name_of(codec: &dyn Codec) -> Result<&'static str, SealError> {
    let codec = codec.name();
    let of_name = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if !(1..=8).contains(&codec.len()) || !codec.bytes().all(of_name) {
        return Err(SealError::CodecName { codec });
    }
    Ok(codec)
}

/// The bytes of the id of a removed shard.
pub(super) const ID_LINE: usize = 21;

pub(super) fn id_line(shard: ShardId) -> String {
    format!("{:020}\n", shard.0)
}

/// The id in a line; `None` unless it is what rendering the id gives.
pub(super) fn id_of(line: &[u8]) -> Option<ShardId> {
    let digits = std::str::from_utf8(line).ok()?.strip_suffix('\n')?;
    let shard = ShardId(digits.parse().ok()?);
    (id_line(shard).as_bytes() == line).then_some(shard)
}
