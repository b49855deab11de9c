//! Writes and syncs of a file, and how they fail.

use std::io;

use super::{FileNode, Ino, Shared};
use crate::crash::fault::FaultKind;

impl Shared {
    pub(super) fn write(
        &mut self,
        ino: Ino,
        offset: impl FnOnce(&FileNode) -> usize,
        bytes: &[u8],
        how: Option<FaultKind>,
    ) -> io::Result<usize> {
        let taken = match how {
            Some(FaultKind::Short(most)) => most.min(bytes.len()),
            _ => bytes.len(),
        };
        let file = self.state.file_mut(ino)?;
        let at = offset(file);
        file.write_at(at, &bytes[..taken]);
        Ok(taken)
    }

    pub(super) fn sync(&mut self, ino: Ino, how: Option<FaultKind>) -> io::Result<()> {
        let has_name = self.state.has_name(ino);
        let file = self.state.file_mut(ino)?;
        if let Some(FaultKind::SyncLost { errno, cache_survives }) = how {
            file.fail_sync(cache_survives);
            return Err(io::Error::from_raw_os_error(errno));
        }
        // A filesystem may write nothing of a file that has lost its name.
        if has_name {
            file.sync();
        }
        Ok(())
    }
}
