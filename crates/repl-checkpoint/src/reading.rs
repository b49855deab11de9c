//! Reading a checkpoint file: whole if its header fits its length, else its first bytes alone.

use std::io;
use std::path::Path;

use crate::disk::Disk;
use crate::envelope::cut_off;

/// The bytes that are read of a file before its header tells whether to read the rest.
pub(crate) const HEAD: usize = 4096;

/// Reads a checkpoint file.
///
/// A file whose length is not the one in its header is not read, however long it is: the error is
/// an [`UnsealError`](crate::UnsealError) within an [`io::Error`].
pub(crate) fn read_checkpoint(disk: &impl Disk, path: &Path) -> io::Result<Vec<u8>> {
    let length = disk.length(path)?;
    let head = disk.read_at(path, 0, HEAD)?;
    if length <= HEAD as u64 {
        return Ok(head);
    }
    if let Some(reason) = cut_off(&head, length) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
    }
    let length = usize::try_from(length).map_err(|_| io::ErrorKind::OutOfMemory)?;
    disk.read_at(path, 0, length)
}
