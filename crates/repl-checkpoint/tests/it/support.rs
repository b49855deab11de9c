//! Helpers of the tests.

#[cfg(target_os = "linux")]
pub(crate) mod again;
pub(crate) mod arbitrary;
pub(crate) mod chained;
pub(crate) mod deltas;
pub(crate) mod faulty;
pub(crate) mod follower;
pub(crate) mod format;
pub(crate) mod hooked;
pub(crate) mod process;
#[cfg(feature = "metrics")]
pub(crate) mod recorder;
pub(crate) mod scripted;

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::io::Write;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use repl_checkpoint::{
    Attempt, Candidate, Checkpoint, CheckpointStore, Checkpointer, Codec, CodecError, FileStore,
    Generation, Header, JsonCodec, LoadError, OnCorrupt, OpenStoreError, RecoverError, Recovered,
    Rows, SaveReport, Saved, ShardCheckpoint, SlotStore, StoreId, recover,
};
use repl_core::{EpochStart, Incarnation, LogId, SeqNo, SeqRange, ShardId};

pub(crate) const STORE: StoreId = StoreId(0xfeed);

/// The JSON codec under another name.
pub(crate) struct Named(pub(crate) &'static str);

impl Codec for Named {
    fn name(&self) -> &'static str {
        self.0
    }
    fn encode(&self, rows: &mut Rows<'_>, out: &mut Vec<u8>) -> Result<(), CodecError> {
        JsonCodec.encode(rows, out)
    }
    fn decode(
        &self,
        bytes: &[u8],
        row: &mut dyn FnMut(ShardCheckpoint),
    ) -> Result<Incarnation, CodecError> {
        JsonCodec.decode(bytes, row)
    }
}

/// Everything that a store keeps.
pub(crate) fn loaded(
    store: &mut (impl CheckpointStore + ?Sized),
) -> Result<Vec<Candidate>, LoadError> {
    store.load().map(Iterator::collect)
}

/// A shard with a mark and nothing else.
pub(crate) fn shard(id: u64, mark: SeqNo) -> ShardCheckpoint {
    ShardCheckpoint {
        shard: ShardId(id),
        log: LogId::UNNAMED,
        incarnation: Incarnation(0),
        mark,
        completed: Box::default(),
        epochs: Box::default(),
    }
}

/// A checkpoint of shards with marks and nothing else.
pub(crate) fn marks(marks: &[(u64, SeqNo)]) -> Checkpoint {
    Checkpoint {
        next_incarnation: Incarnation(1),
        shards: marks.iter().map(|(id, mark)| shard(*id, *mark)).collect(),
    }
}

/// Every field in use: absent and present optional ones, and the largest numbers.
pub(crate) fn every_field() -> Checkpoint {
    let range = |first, last| SeqRange::new(first, last);
    let epoch = |epoch, first| EpochStart { epoch, first };
    Checkpoint {
        next_incarnation: Incarnation(8),
        shards: vec![
            shard(0, 0),
            ShardCheckpoint {
                log: LogId(0x0123_4567_89ab_cdef_0011_2233_4455_6677),
                incarnation: Incarnation(7),
                completed: Box::new([range(44, 44), range(46, 50)]),
                epochs: Box::new([epoch(0, 1), epoch(3, 40)]),
                ..shard(1, 42)
            },
            ShardCheckpoint {
                incarnation: Incarnation(2),
                completed: Box::new([range((1 << 53) + 3, u64::MAX)]),
                ..shard(1 << 40, (1 << 53) + 1)
            },
            ShardCheckpoint {
                log: LogId(u128::MAX),
                epochs: Box::new([epoch(u64::MAX, u64::MAX)]),
                ..shard(u64::MAX, u64::MAX)
            },
        ],
    }
}

pub(crate) fn header(generation: Generation) -> Header {
    Header { store: STORE, generation, confirmed: generation.saturating_sub(1) }
}

pub(crate) fn sealed(generation: Generation, checkpoint: &Checkpoint) -> Vec<u8> {
    checkpoint.seal(&JsonCodec, header(generation)).unwrap()
}

pub(crate) fn file_name(generation: Generation) -> String {
    format!("{generation:020}.checkpoint")
}

pub(crate) fn file(dir: &Path, generation: Generation) -> PathBuf {
    dir.join(file_name(generation))
}

pub(crate) fn put(dir: &Path, generation: Generation, bytes: &[u8]) {
    fs::write(file(dir, generation), bytes).unwrap();
}

/// The contents of the file of a generation.
pub(crate) fn saved_in(dir: &Path, generation: Generation) -> (Header, Checkpoint) {
    Checkpoint::unseal(&JsonCodec, STORE, &fs::read(file(dir, generation)).unwrap()).unwrap()
}

/// The marks that the file of a generation holds.
pub(crate) fn marks_in(dir: &Path, generation: Generation) -> Vec<(u64, SeqNo)> {
    let (_, checkpoint) = saved_in(dir, generation);
    checkpoint.shards.iter().map(|s| (s.shard.0, s.mark)).collect()
}

/// The names in a directory except the lock, sorted.
pub(crate) fn names(dir: &Path) -> Vec<String> {
    contents(dir).into_keys().collect()
}

/// The names in a directory except lock and marker, with the bytes of files.
pub(crate) fn contents(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let entry = |entry: fs::DirEntry| {
        let bytes = fs::read(entry.path()).unwrap_or_default();
        (entry.file_name().to_string_lossy().into_owned(), bytes)
    };
    let all = fs::read_dir(dir).unwrap().map(|e| entry(e.unwrap()));
    all.filter(|(name, _)| !name.starts_with("repl-checkpoint.")).collect()
}

/// A copy of the directory without the lock, as a process that starts now would find it.
pub(crate) fn copy_of(dir: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for (name, bytes) in contents(dir) {
        fs::write(copy.path().join(name), bytes).unwrap();
    }
    copy
}

/// A directory, and its path relative to the working directory. It is below the directory of the
/// build, so that a test that is killed leaves nothing in the source tree.
pub(crate) fn relative_dir() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let up: PathBuf = std::env::current_dir().unwrap().components().skip(1).map(|_| "..").collect();
    let relative = up.join(dir.path().strip_prefix("/").unwrap());
    (dir, relative)
}

/// Either store, on the real disk.
pub(crate) trait AnyStore: CheckpointStore + Sized + 'static {
    const NAME: &str;
    fn open_at(dir: &Path) -> Result<Self, OpenStoreError>;
}

impl AnyStore for FileStore {
    const NAME: &str = "FileStore";
    fn open_at(dir: &Path) -> Result<Self, OpenStoreError> {
        FileStore::open(dir, STORE)
    }
}

impl AnyStore for SlotStore {
    const NAME: &str = "SlotStore";
    fn open_at(dir: &Path) -> Result<Self, OpenStoreError> {
        SlotStore::open(dir, STORE)
    }
}

/// Opens a directory that is free.
pub(crate) fn opened<S: AnyStore>(dir: &Path) -> S {
    S::open_at(dir).unwrap()
}

pub(crate) fn store(dir: &Path) -> FileStore {
    opened(dir)
}

/// Recovers from either store.
pub(crate) fn recovered_from<S: AnyStore>(dir: &Path, shards: &[u64]) -> Recovered {
    let shards: Vec<ShardId> = shards.iter().copied().map(ShardId).collect();
    recover(opened::<S>(dir), JsonCodec, &shards, OnCorrupt::Fail).unwrap()
}

pub(crate) fn try_recover(
    dir: &Path,
    shards: &[u64],
    on_corrupt: OnCorrupt,
) -> Result<Recovered, RecoverError> {
    let shards: Vec<ShardId> = shards.iter().copied().map(ShardId).collect();
    recover(store(dir), JsonCodec, &shards, on_corrupt)
}

pub(crate) fn recovered(dir: &Path, shards: &[u64]) -> Recovered {
    try_recover(dir, shards, OnCorrupt::Fail).unwrap()
}

/// What a flush returns.
pub(crate) type Flushed = Result<(), Box<dyn Error + Send + Sync>>;

/// The flush of an engine in which applied segments are durable at once.
#[expect(clippy::unnecessary_wraps, reason = "has the signature that a flush must have")]
pub(crate) fn durable(_: &mut Attempt) -> Flushed {
    Ok(())
}

/// Saves and returns the generation; panics if there was nothing to save.
pub(crate) fn save(checkpointer: &mut Checkpointer) -> Generation {
    match checkpointer.checkpoint(durable).unwrap() {
        Saved::Written(SaveReport { generation, .. }) => generation,
        Saved::Unchanged => panic!("nothing was saved"),
    }
}

/// Begins a checkpoint; panics if there is nothing to save.
pub(crate) fn begun(checkpointer: &mut Checkpointer) -> Attempt {
    checkpointer.begin().unwrap().unwrap()
}

/// The message of an error and of every cause below it.
pub(crate) fn chain(error: &dyn Error) -> String {
    let source = error.source().map(|source| format!(": {}", chain(source)));
    format!("{error}{}", source.unwrap_or_default())
}

/// Waits until `happened`, for 10 s at most.
pub(crate) fn eventually(what: &str, happened: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(10);
    while !happened() {
        assert!(Instant::now() < end, "10 s passed, and not yet: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Runs `f` on a thread of its own, and fails if it takes longer than 20 s: a deadlock.
pub(crate) fn watched<T: Send + 'static>(what: &str, f: impl FnOnce() -> T + Send + 'static) -> T {
    let (ended, has_ended) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        let result = f();
        let _ = ended.send(());
        result
    });
    // A thread that panics drops its end.
    let waited = has_ended.recv_timeout(Duration::from_secs(20));
    assert_ne!(waited, Err(mpsc::RecvTimeoutError::Timeout), "20 s passed, a deadlock: {what}");
    thread.join().unwrap_or_else(|panic| resume_unwind(panic))
}

/// Reports past the capture of the test harness that a test could not run here. Fails in CI, where
/// no test may be skipped.
pub(crate) fn skipped(why: &str) {
    let _ = writeln!(std::io::stderr(), "skipped: {why}");
    assert!(
        std::env::var("CI").is_ok_and(|ci| matches!(ci.as_str(), "" | "0" | "false"))
            || std::env::var("CI").is_err(),
        "skipped: {why}; where CI is set nothing may be"
    );
}

/// Every codec of this build.
pub(crate) fn codecs() -> Vec<&'static dyn Codec> {
    vec![
        &JsonCodec,
        #[cfg(feature = "bincode")]
        &repl_checkpoint::BincodeCodec,
    ]
}

pub(crate) type NewCodec = fn() -> Box<dyn Codec>;

/// The codecs of this build, as constructors.
pub(crate) const CODECS: &[NewCodec] = &[
    || Box::new(JsonCodec),
    #[cfg(feature = "bincode")]
    || Box::new(repl_checkpoint::BincodeCodec),
];
