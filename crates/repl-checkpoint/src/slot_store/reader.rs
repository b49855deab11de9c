//! Reading a slot piece by piece, as all of it need not be in memory.

use std::io;

use super::page::PAGE;

/// What is read at once.
pub(super) const CHUNK: usize = 256 * 1024;
/// What unused bytes are.
pub(crate) const UNUSED: u8 = 0xff;

/// What is compared at once.
const PIECE: usize = 512;

/// Reads up to a number of bytes at an offset in a slot.
pub(super) type ReadAt<'a> = dyn Fn(usize, usize) -> io::Result<Vec<u8>> + 'a;

/// Reads one slot, mostly forwards.
pub(super) struct Reader<'a> {
    read_at: Box<ReadAt<'a>>,
    /// The length of the slot.
    pub(super) size: usize,
    /// Bytes that were read, and their offset.
    window: Vec<u8>,
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        size: usize,
        read_at: impl Fn(usize, usize) -> io::Result<Vec<u8>> + 'a,
    ) -> Self {
        Reader { read_at: Box::new(read_at), size, window: Vec::new(), at: 0 }
    }

    /// The bytes at an offset: fewer than `length` at the end of the slot, or of the file.
    pub(super) fn bytes(&mut self, at: usize, length: usize) -> io::Result<&[u8]> {
        let length = length.min(self.size.saturating_sub(at));
        if at < self.at || at + length > self.at + self.window.len() {
            let ahead = if at == 0 { PAGE } else { CHUNK };
            self.window = (self.read_at)(at, length.max(ahead).min(self.size - at))?;
            self.at = at;
        }
        let from = self.window.get(at - self.at..).unwrap_or_default();
        Ok(&from[..length.min(from.len())])
    }

    /// The same as bytes of their own. Many are read without a copy.
    pub(super) fn owned(&mut self, at: usize, length: usize) -> io::Result<Vec<u8>> {
        if length > CHUNK {
            return (self.read_at)(at, length);
        }
        self.bytes(at, length).map(<[u8]>::to_vec)
    }

    /// The offset of the first byte in a range that is used; `None` if all are unused.
    pub(super) fn first_used(&mut self, from: usize, to: usize) -> io::Result<Option<usize>> {
        let mut at = from;
        while at < to {
            // What was read already, before more is read.
            let left = (self.at + self.window.len()).saturating_sub(at);
            let length = if left == 0 { CHUNK } else { left.min(CHUNK) };
            let bytes = self.bytes(at, length.min(to - at))?;
            if bytes.is_empty() {
                return Ok(Some(at));
            }
            if let Some(used) = first_used(bytes) {
                return Ok(Some(at + used));
            }
            at += bytes.len();
        }
        Ok(None)
    }
}

/// The place of the first byte that is used.
fn first_used(bytes: &[u8]) -> Option<usize> {
    // A piece at a time, without a jump for each byte.
    let is_unused = |piece: &[u8]| piece.iter().fold(UNUSED, |all, byte| all & byte) == UNUSED;
    let unused = bytes.chunks(PIECE).take_while(|piece| is_unused(piece)).count() * PIECE;
    let used = bytes.get(unused..)?.iter().position(|byte| *byte != UNUSED)?;
    Some(unused + used)
}
