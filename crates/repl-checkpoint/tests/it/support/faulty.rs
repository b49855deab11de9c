//! The simulated disk with a record of every call, of which the armed ones fail.
//!
//! Here it loses nothing: this is about failing calls. Power cuts are a matter of the crash suite.

use std::path::Path;
use std::sync::{Mutex, MutexGuard};

use repl_checkpoint::Disk;
use repl_harness::crash::SimDisk;

use super::hooked::{Call, Hook, Hooked};

pub(crate) use super::hooked::How;

/// Clones share one disk.
pub(crate) type Faulty = Hooked<SimDisk, Script>;

/// Which calls fail, and how.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    /// Only calls whose record starts with this count.
    pub(crate) on: &'static str,
    /// The number of them that still succeed.
    pub(crate) after: usize,
    /// The number of them that fail after that.
    pub(crate) times: usize,
    pub(crate) how: How,
}

/// Every call so far, and what fails from now on.
#[derive(Default)]
pub(crate) struct Script(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    calls: Vec<String>,
    fault: Option<Fault>,
    /// Armed after the first one is used up.
    next: Option<Fault>,
}

impl Script {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap()
    }
}

impl Hook for Script {
    const SPLITS_SYNCS: bool = true;

    fn at(&self, call: Call<'_>) -> Option<How> {
        let names: Vec<String> = call.paths.iter().map(|p| short(p)).collect();
        let names = names.join(" -> ");
        let call = match (call.name, call.offset) {
            (name, Some(offset)) => format!("{name} {offset}+{} of {names}", call.bytes),
            (name, None) => format!("{name} {names}"),
        };
        let mut inner = self.inner();
        if inner.fault.as_ref().is_some_and(|fault| (fault.after, fault.times) == (0, 0)) {
            inner.fault = inner.next.take();
        }
        let fault = inner.fault.as_mut().filter(|f| call.starts_with(f.on));
        let how = fault.and_then(|fault| match (fault.after, fault.times) {
            (0, 0) => None,
            (0, _) => {
                fault.times -= 1;
                Some(fault.how)
            }
            _ => {
                fault.after -= 1;
                None
            }
        });
        inner.calls.push(call);
        how
    }
}

fn short(path: &Path) -> String {
    let full = path.display().to_string();
    let name = full.strip_prefix("/disk/marks/").unwrap_or(&full);
    name.split_inclusive(".temp").next().unwrap_or(name).to_owned()
}

impl Faulty {
    /// An empty disk with one directory, `/disk`.
    pub(crate) fn new() -> Self {
        let disk = Hooked::with(SimDisk::new(), Script::default());
        disk.mkdir("/disk");
        disk
    }

    /// A disk of its own with the same directories and files, and nothing open or locked.
    pub(crate) fn copy(&self) -> Self {
        Hooked::with(self.disk().after_process_death(), Script::default())
    }

    /// Drops the record of calls and arms the fault.
    pub(crate) fn arm(&self, fault: impl Into<Option<Fault>>) {
        *self.hook().inner() = Inner { fault: fault.into(), ..Inner::default() };
    }

    /// Arms a fault for when the first one is used up.
    pub(crate) fn then(&self, fault: Fault) {
        self.hook().inner().next = Some(fault);
    }

    /// Every call since the last [`Faulty::arm`]: a verb and its paths, below `/disk/marks` the
    /// name alone, without the unique part of temporary names.
    pub(crate) fn calls(&self) -> Vec<String> {
        self.hook().inner().calls.clone()
    }

    pub(crate) fn put(&self, path: &str, bytes: &[u8]) {
        self.disk().put(Path::new(path), bytes).unwrap();
    }

    pub(crate) fn bytes(&self, path: &str) -> Option<Vec<u8>> {
        self.disk().read_at(Path::new(path), 0, usize::MAX).ok()
    }

    pub(crate) fn mkdir(&self, path: &str) {
        self.disk().create_dir(Path::new(path)).unwrap();
    }

    /// The paths of all files except locks and markers.
    pub(crate) fn paths(&self) -> Vec<String> {
        let paths = self.disk().files().into_keys().map(|path| path.display().to_string());
        paths.filter(|path| !path.contains("/repl-checkpoint.")).collect()
    }
}
