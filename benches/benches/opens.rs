//! Opening a store in a process that holds 1,000 others, vs the bare calls: create the directory
//! and make its name durable, or look at it; lock its lock file, open it, and list it.
#![expect(clippy::unwrap_used, reason = "a bench may stop")]

use std::path::{Path, PathBuf};

use benches::bare;
use benches::rounds::{contender, criterion, rounds};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use repl_checkpoint::{FileStore, SlotStore, StoreId};
use tempfile::TempDir;

/// The number of stores that are open already.
const OTHERS: usize = 1000;

/// In the build folder, as the folder for temporary files may be in memory.
fn folder() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// Numbered directories within one.
struct Numbered<'a>(&'a Path, u64);

impl Numbered<'_> {
    fn next(&mut self) -> PathBuf {
        self.1 += 1;
        self.0.join(self.1.to_string())
    }
}

fn files(dir: &Path) -> FileStore {
    FileStore::open(dir, StoreId::UNNAMED).unwrap()
}

fn slots(dir: &Path) -> SlotStore {
    SlotStore::open(dir, StoreId::UNNAMED).unwrap()
}

fn open(c: &mut Criterion) {
    let outer = folder();
    let others: Vec<SlotStore> =
        (0..OTHERS).map(|other| slots(&outer.path().join(format!("other-{other}")))).collect();
    existing(c, outer.path());
    new(c, outer.path());
    drop(others);
}

/// Directories that a store has made before, without a checkpoint.
fn existing(c: &mut Criterion, outer: &Path) {
    let [a, b, bare] = ["files", "slots", "bare"].map(|name| outer.join(name));
    drop((files(&a), slots(&b)));
    bare::open_new(&bare).unwrap();
    let contenders = vec![
        contender("ours", |c| c.iter(|| files(&a))),
        contender("slot_store", |c| c.iter(|| slots(&b))),
        contender("bare_system_calls", |c| c.iter(|| bare::open_existing(&bare).unwrap())),
    ];
    rounds(c, "open_existing", contenders);
}

/// Directories that opening creates, each in a directory that then must be synced.
fn new(c: &mut Criterion, outer: &Path) {
    let parents = ["of-files", "of-slots", "of-bare"].map(|name| outer.join(name));
    for parent in &parents {
        std::fs::create_dir(parent).unwrap();
    }
    let [mut a, mut b, mut d] = parents.each_ref().map(|parent| Numbered(parent, 0));
    let size = BatchSize::PerIteration;
    let contenders = vec![
        contender("ours", |c| c.iter_batched(|| a.next(), |dir| files(&dir), size)),
        contender("slot_store", |c| c.iter_batched(|| b.next(), |dir| slots(&dir), size)),
        contender("bare_system_calls", |c| {
            c.iter_batched(|| d.next(), |dir| bare::open_new(&dir).unwrap(), size);
        }),
    ];
    rounds(c, "open_new", contenders);
}

criterion_group! { name = opens; config = criterion(); targets = open }
criterion_main!(opens);
