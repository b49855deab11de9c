//! One object: read, written on a condition, and what is known after either has failed.

use std::error::Error as _;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{
    Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, UpdateVersion,
};

use crate::error::BucketError;

/// The most bytes of an object.
pub(crate) const LIMIT: u64 = 1 << 30;

/// An object, and the client that reaches it.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) bucket: Arc<dyn ObjectStore>,
    pub(crate) path: Path,
    /// The client sends each request at most once.
    pub(crate) sends_once: bool,
}

/// What is known after a write has failed.
#[derive(Debug)]
pub(crate) enum Unwritten {
    /// Nothing was written, and nothing will be.
    Surely(BucketError),
    /// It may be there, or may come yet.
    Maybe(BucketError),
    /// The condition was false the last time the request was sent.
    Refused,
}

impl Client {
    /// Returns the bytes of the object and its version, or `None` if there is none.
    pub(crate) async fn read(&self) -> Result<Option<(Bytes, UpdateVersion)>, BucketError> {
        let failed = |source| BucketError::Client { act: "read", path: self.path.clone(), source };
        let found = match self.bucket.get(&self.path).await {
            Ok(found) => found,
            Err(Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        self.check_length(found.meta.size)?;
        let meta = &found.meta;
        let version = UpdateVersion { e_tag: meta.e_tag.clone(), version: meta.version.clone() };
        if !is_version(&version) {
            return Err(BucketError::NoETag { path: self.path.clone() });
        }
        Ok(Some((found.bytes().await.map_err(failed)?, version)))
    }

    /// Writes the object, if it still is the version `replaces`, or does not exist yet. Returns its
    /// new version, or `None` if the client does not tell it.
    pub(crate) async fn write(
        &self,
        replaces: Option<&UpdateVersion>,
        payload: PutPayload,
    ) -> Result<Option<UpdateVersion>, Unwritten> {
        let length = u64::try_from(payload.content_length()).unwrap_or(u64::MAX);
        self.check_length(length).map_err(Unwritten::Surely)?;
        let mode = match replaces {
            Some(version) => PutMode::Update(version.clone()),
            None => PutMode::Create,
        };
        match self.bucket.put_opts(&self.path, payload, PutOptions::from(mode)).await {
            Ok(result) => Ok(Some(result.into()).filter(is_version)),
            Err(error) => Err(self.unwritten(error)),
        }
    }

    fn check_length(&self, bytes: u64) -> Result<(), BucketError> {
        if bytes > LIMIT {
            return Err(BucketError::TooLarge { path: self.path.clone(), bytes });
        }
        Ok(())
    }

    /// What a failed write has done.
    ///
    /// A client that sends a request again reports the last answer alone. An earlier one, that was
    /// lost, may have succeeded. So where it is not known to send once, only what fails before any
    /// request is sure.
    fn unwritten(&self, error: Error) -> Unwritten {
        let path = self.path.clone();
        let once = self.sends_once;
        let is_sure = match &error {
            Error::NotImplemented { .. } | Error::NotSupported { .. } => {
                return Unwritten::Surely(BucketError::NoConditionalPut { path, source: error });
            }
            Error::Precondition { .. }
            | Error::AlreadyExists { .. }
            | Error::NotModified { .. } => return Unwritten::Refused,
            Error::InvalidPath { .. } | Error::UnknownConfigurationKey { .. } => true,
            Error::NotFound { .. }
            | Error::PermissionDenied { .. }
            | Error::Unauthenticated { .. } => once,
            error => once && is_unconnected(error),
        };
        let failed = BucketError::Client { act: "write", path, source: error };
        if is_sure { Unwritten::Surely(failed) } else { Unwritten::Maybe(failed) }
    }
}

fn is_version(version: &UpdateVersion) -> bool {
    version.e_tag.is_some() || version.version.is_some()
}

/// Returns whether no connection was made: a peer refuses one only before any byte is sent.
fn is_unconnected(error: &Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        let io = error.downcast_ref::<io::Error>();
        if io.is_some_and(|error| error.kind() == io::ErrorKind::ConnectionRefused) {
            return true;
        }
        cause = error.source();
    }
    false
}
