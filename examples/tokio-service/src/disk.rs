//! How files are replaced and read. All of it blocks.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Replaces a file. It is durable then; a crash before leaves the old content or the new.
pub(crate) fn replace(path: &Path, content: &impl Serialize) -> io::Result<()> {
    let (bytes, temporary) = (serde_json::to_vec(content)?, path.with_extension("new"));
    let write = || {
        let mut file = File::create(&temporary)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        File::open(path.parent().ok_or(io::ErrorKind::InvalidInput)?)?.sync_all()
    };
    write().map_err(failed("replace", path))
}

/// Reads a file, or returns the default if there is none.
pub(crate) fn read<T: DeserializeOwned + Default>(path: &Path) -> io::Result<T> {
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(T::default()),
        Err(error) => Err(failed("read", path)(error)),
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|e| failed("read", path)(e.into())),
    }
}

/// Adds what failed to an error.
pub(crate) fn failed(act: &str, path: &Path) -> impl FnOnce(io::Error) -> io::Error {
    move |error| io::Error::new(error.kind(), format!("cannot {act} {}: {error}", path.display()))
}
