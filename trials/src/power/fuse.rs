//! Serves a [`Device`] to the kernel as a file: a FUSE filesystem whose root is that file.
//!
//! The process that serves the file must not use a filesystem on it. If that process is killed
//! while it waits for itself, nobody answers the kernel any more and the process never ends.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use super::device::Device;
use crate::done::Fallible;
use crate::shutdown::machine::unmount;
use crate::threads::joined;

// The requests that the kernel makes for such a file: linux/fuse.h.
const FORGET: u32 = 2;
const GETATTR: u32 = 3;
const SETATTR: u32 = 4;
const OPEN: u32 = 14;
const READ: u32 = 15;
const WRITE: u32 = 16;
const STATFS: u32 = 17;
const RELEASE: u32 = 18;
const FSYNC: u32 = 20;
const FLUSH: u32 = 25;
const INIT: u32 = 26;
const INTERRUPT: u32 = 36;
const BATCH_FORGET: u32 = 42;

/// The version of the protocol.
const MAJOR: u32 = 7;
const MINOR: u32 = 31;
/// Reads need not wait for each other; writes may be longer than a page.
const INIT_FLAGS: u32 = 1 | 1 << 5 | 1 << 22;
/// Every read and write is a request: the kernel caches nothing.
const DIRECT_IO: u32 = 1;
const PAGE: u32 = 4096;
const MAX_PAGES: u16 = 256;
const MAX_WRITE: u32 = MAX_PAGES as u32 * PAGE;
/// Room for the longest write with its headers.
const BUFFER: usize = (MAX_WRITE + PAGE) as usize;
const REQUEST_HEADER: usize = 40;
const REGULAR_FILE: u32 = 0o100_600;

const ENOSYS: i32 = 38;
const ENODEV: i32 = 19;

/// A device that is being served.
pub(super) struct Served {
    device: Arc<Mutex<Device>>,
    server: JoinHandle<Fallible<()>>,
}

/// A handle to the device of a [`Served`].
#[derive(Clone)]
pub(super) struct Handle(Arc<Mutex<Device>>);

impl Handle {
    pub(super) fn lock(&self) -> MutexGuard<'_, Device> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Served {
    /// Mounts the device over an existing file.
    pub(super) fn new(device: Device, name: &str, file: &Path) -> Fallible<Self> {
        let kernel = File::options().read(true).write(true).open("/dev/fuse")?;
        let options = "fd=0,rootmode=100600,user_id=0,group_id=0";
        let mut mount = Command::new("mount");
        mount.args(["-i", "-t", "fuse", "-o", options, name]).arg(file);
        let output = mount.stdin(Stdio::from(kernel.try_clone()?)).output()?;
        if !output.status.success() {
            let message = String::from_utf8_lossy(&output.stderr);
            return Err(format!("mount of a FUSE file: {}", message.trim()).into());
        }
        let device = Arc::new(Mutex::new(device));
        let handle = Handle(Arc::clone(&device));
        let server = thread::spawn(move || Ok(serve(&kernel, &handle)?));
        Ok(Served { device, server })
    }

    pub(super) fn handle(&self) -> Handle {
        Handle(Arc::clone(&self.device))
    }

    /// Unmounts it. Nothing may use the file any more.
    pub(super) fn end(self, file: &Path) -> Fallible<()> {
        unmount(file)?;
        joined(self.server.join())
    }
}

/// Answers the kernel until the file is unmounted.
fn serve(mut kernel: &File, device: &Handle) -> io::Result<()> {
    let mut request = vec![0; BUFFER];
    loop {
        let length = match kernel.read(&mut request) {
            Ok(length) => length,
            Err(err) if err.raw_os_error() == Some(ENODEV) => return Ok(()),
            // The request was withdrawn.
            Err(err) if matches!(err.kind(), ErrorKind::NotFound | ErrorKind::Interrupted) => {
                continue;
            }
            Err(err) => return Err(err),
        };
        let request = Request(&request[..length]);
        let Some(answer) = request.answer(&mut device.lock()) else { continue };
        match kernel.write(&answer) {
            Ok(_) => {}
            Err(err) if err.raw_os_error() == Some(ENODEV) => return Ok(()),
            Err(err) if err.kind() == ErrorKind::NotFound => {}
            Err(err) => return Err(err),
        }
    }
}

struct Request<'a>(&'a [u8]);

impl Request<'_> {
    fn u32(&self, at: usize) -> u32 {
        self.0.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_ne_bytes)
    }

    fn u64(&self, at: usize) -> u64 {
        self.0.get(at..at + 8).and_then(|b| b.try_into().ok()).map_or(0, u64::from_ne_bytes)
    }

    /// Does what is requested. `None` if the kernel expects no answer.
    fn answer(&self, device: &mut Device) -> Option<Vec<u8>> {
        let body = REQUEST_HEADER;
        let mut answer = Answer::new(self.u64(8));
        match self.u32(4) {
            FORGET | BATCH_FORGET | INTERRUPT => return None,
            INIT => answer.init(),
            GETATTR | SETATTR => answer.attributes(device.blocks().len()),
            OPEN => answer.u64(0).u32(DIRECT_IO).u32(0),
            READ => {
                let length = self.u32(body + 16) as usize;
                answer.bytes(device.blocks().read(self.u64(body + 8), length))
            }
            WRITE => {
                let bytes = self.0.get(body + 40..).unwrap_or_default();
                let taken = device.write(self.u64(body + 8), bytes);
                answer.u32(u32::try_from(taken).unwrap_or(u32::MAX)).u32(0)
            }
            FSYNC => {
                device.flush();
                &mut answer
            }
            STATFS => answer.bytes(&[0; 80]),
            RELEASE | FLUSH => &mut answer,
            _ => answer.failed(ENOSYS),
        };
        Some(answer.done())
    }
}

struct Answer(Vec<u8>);

impl Answer {
    fn new(unique: u64) -> Self {
        let mut answer = Answer(Vec::new());
        answer.u32(0).u32(0).u64(unique);
        answer
    }

    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    fn u32(&mut self, value: u32) -> &mut Self {
        self.bytes(&value.to_ne_bytes())
    }

    fn u64(&mut self, value: u64) -> &mut Self {
        self.bytes(&value.to_ne_bytes())
    }

    fn failed(&mut self, errno: i32) -> &mut Self {
        self.0[4..8].copy_from_slice(&(-errno).to_ne_bytes());
        self
    }

    fn init(&mut self) -> &mut Self {
        self.u32(MAJOR).u32(MINOR).u32(MAX_WRITE).u32(INIT_FLAGS);
        // Two numbers of requests in the background, then the limits of a write.
        self.bytes(&16_u16.to_ne_bytes()).bytes(&12_u16.to_ne_bytes());
        self.u32(MAX_WRITE).u32(1);
        self.bytes(&MAX_PAGES.to_ne_bytes()).bytes(&[0; 2 + 32])
    }

    /// The file's attributes, valid for long.
    fn attributes(&mut self, length: u64) -> &mut Self {
        self.u64(3600).u64(0);
        self.u64(1).u64(length).u64(length / 512);
        self.u64(0).u64(0).u64(0).u32(0).u32(0).u32(0);
        self.u32(REGULAR_FILE).u32(1).u32(0).u32(0).u32(0).u32(PAGE).u32(0)
    }

    fn done(mut self) -> Vec<u8> {
        let length = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        self.0[..4].copy_from_slice(&length.to_ne_bytes());
        self.0
    }
}
