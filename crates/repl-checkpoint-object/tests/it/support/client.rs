//! A bucket in memory, behind a client that fails as told.

use std::collections::VecDeque;
use std::fmt;
use std::future::pending;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

/// What happens to one request.
pub(crate) enum Fault {
    /// It is not carried out, and fails with this error.
    Fails(Error),
    /// It is carried out, and fails with this error: the answer to the same request sent again.
    FailsAfter(Error),
    /// It is carried out, and no answer ever comes.
    Hangs,
    /// These bytes are put in the place of the object first, whatever is there.
    Overtaken(Vec<u8>),
    /// It is carried out, and the answer has no version.
    NoVersion,
    /// The answer says that the object has so many bytes.
    Length(u64),
}

/// A request that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    Get,
    Create,
    Update,
    Overwrite,
}

#[derive(Default)]
pub(crate) struct Scripted {
    pub(crate) bucket: InMemory,
    puts: Mutex<VecDeque<Fault>>,
    gets: Mutex<VecDeque<Fault>>,
    sent: Mutex<Vec<Sent>>,
}

impl Scripted {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    pub(crate) fn at_put(&self, fault: Fault) {
        self.puts.lock().unwrap().push_back(fault);
    }

    pub(crate) fn at_get(&self, fault: Fault) {
        self.gets.lock().unwrap().push_back(fault);
    }

    /// What was sent since the last look.
    pub(crate) fn sent(&self) -> Vec<Sent> {
        std::mem::take(&mut self.sent.lock().unwrap())
    }
}

impl fmt::Debug for Scripted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scripted")
    }
}

impl fmt::Display for Scripted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scripted")
    }
}

#[async_trait]
impl ObjectStore for Scripted {
    async fn put_opts(&self, at: &Path, payload: PutPayload, o: PutOptions) -> Result<PutResult> {
        self.sent.lock().unwrap().push(match o.mode {
            PutMode::Create => Sent::Create,
            PutMode::Update(_) => Sent::Update,
            PutMode::Overwrite => Sent::Overwrite,
        });
        let fault = self.puts.lock().unwrap().pop_front();
        match fault {
            None => self.bucket.put_opts(at, payload, o).await,
            Some(Fault::Fails(error)) => Err(error),
            Some(Fault::FailsAfter(error)) => {
                self.bucket.put_opts(at, payload, o).await?;
                Err(error)
            }
            Some(Fault::Hangs) => {
                self.bucket.put_opts(at, payload, o).await?;
                pending().await
            }
            Some(Fault::Overtaken(bytes)) => {
                self.bucket.put_opts(at, bytes.into(), PutOptions::default()).await?;
                self.bucket.put_opts(at, payload, o).await
            }
            Some(Fault::NoVersion) => {
                let result = self.bucket.put_opts(at, payload, o).await?;
                Ok(PutResult { e_tag: None, version: None, ..result })
            }
            Some(Fault::Length(_)) => panic!("a put has no such answer"),
        }
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> Result<GetResult> {
        self.sent.lock().unwrap().push(Sent::Get);
        let fault = self.gets.lock().unwrap().pop_front();
        match fault {
            Some(Fault::Fails(error) | Fault::FailsAfter(error)) => Err(error),
            Some(Fault::Hangs) => pending().await,
            Some(Fault::NoVersion) => {
                let mut result = self.bucket.get_opts(at, options).await?;
                (result.meta.e_tag, result.meta.version) = (None, None);
                Ok(result)
            }
            Some(Fault::Length(length)) => {
                let mut result = self.bucket.get_opts(at, options).await?;
                result.meta.size = length;
                Ok(result)
            }
            None | Some(Fault::Overtaken(_)) => self.bucket.get_opts(at, options).await,
        }
    }

    async fn put_multipart_opts(
        &self,
        at: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.bucket.put_multipart_opts(at, options).await
    }

    fn delete_stream(
        &self,
        at: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.bucket.delete_stream(at)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.bucket.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.bucket.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.bucket.copy_opts(from, to, options).await
    }
}
