//! Stores to look at, and runs of the program.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, SystemTime};

use repl_checkpoint::{
    Checkpoint, CheckpointStore, Codec, CodecError, FileStore, Header, JsonCodec, OnCorrupt, Rows,
    ShardCheckpoint, SlotStore, StoreId, recover,
};
use repl_core::{EpochStart, Incarnation, LogId, NewShard, SeqRange, ShardId};

pub(crate) const STORE: StoreId = StoreId(0xfeed);
pub(crate) const SLOTS: &[u8] =
    include_bytes!("../../../repl-checkpoint/tests/golden/v2.deltas.slots");
pub(crate) const VERSION_1: &[u8] =
    include_bytes!("../../../repl-checkpoint/tests/golden/v1.json.checkpoint");

/// A temporary directory with stores in it.
pub(crate) struct Dir(pub(crate) tempfile::TempDir);

impl Dir {
    pub(crate) fn new() -> Self {
        Dir(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs the program in this directory, and returns all that an operator sees.
    pub(crate) fn run(&self, arguments: &str) -> String {
        self.run_with(arguments, &[])
    }

    /// With variables in its environment.
    pub(crate) fn run_with(&self, arguments: &str, variables: &[(&str, &str)]) -> String {
        let output = self.output_with(arguments, variables);
        let text = |bytes: &[u8]| {
            let text = String::from_utf8(bytes.to_vec()).unwrap();
            text.replace(&std::process::id().to_string(), "PID")
        };
        let (out, error) = (text(&output.stdout), text(&output.stderr));
        let status = output.status.code().unwrap();
        let error = if error.is_empty() { error } else { format!("(standard error)\n{error}") };
        format!("$ replctl {arguments}\n{out}{error}(exit status {status})\n")
    }

    pub(crate) fn output(&self, arguments: &str) -> Output {
        self.output_with(arguments, &[])
    }

    fn output_with(&self, arguments: &str, variables: &[(&str, &str)]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_replctl"))
            .args(arguments.split_whitespace())
            .envs(variables.iter().copied())
            .current_dir(self.0.path())
            .output()
            .unwrap()
    }

    pub(crate) fn status(&self, arguments: &str) -> i32 {
        self.output(arguments).status.code().unwrap()
    }

    /// The store `marks`: the files of generations 41 and 42, and the marker.
    pub(crate) fn files(self) -> Self {
        fs::create_dir(self.path("marks")).unwrap();
        fs::write(self.path("marks/repl-checkpoint.marker"), "").unwrap();
        self.put(41, &sealed(&JsonCodec, 41, &older()));
        self.put(42, &sealed(&JsonCodec, 42, &newer()));
        self
    }

    /// The store `slots`: the golden file with deltas.
    pub(crate) fn slots(self) -> Self {
        fs::create_dir(self.path("slots")).unwrap();
        self.put_slots(SLOTS);
        self
    }

    pub(crate) fn put(&self, generation: u64, bytes: &[u8]) {
        fs::write(self.path(&format!("marks/{generation:020}.checkpoint")), bytes).unwrap();
    }

    pub(crate) fn put_slots(&self, bytes: &[u8]) {
        at_rest(&self.path("slots/marks.slots"), bytes);
    }
}

/// Writes a file that nobody has written to for some time.
pub(crate) fn at_rest(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).unwrap();
    let file = File::options().write(true).open(path).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(60)).unwrap();
}

pub(crate) fn sealed(codec: &dyn Codec, generation: u64, checkpoint: &Checkpoint) -> Vec<u8> {
    let header = Header { store: STORE, generation, confirmed: generation - 1 };
    checkpoint.seal(codec, header).unwrap()
}

fn shard(id: u64, incarnation: u64, mark: u64) -> ShardCheckpoint {
    ShardCheckpoint {
        shard: ShardId(id),
        log: LogId::UNNAMED,
        incarnation: Incarnation(incarnation),
        mark,
        completed: Box::default(),
        epochs: Box::default(),
    }
}

pub(crate) fn older() -> Checkpoint {
    let shards = vec![shard(1, 0, 40), shard(2, 0, 70), shard(3, 0, 9), shard(4, 0, 8)];
    Checkpoint { next_incarnation: Incarnation(1), shards }
}

/// Something of each kind has changed.
pub(crate) fn newer() -> Checkpoint {
    let one = ShardCheckpoint {
        log: LogId(0xabc),
        completed: Box::new([SeqRange::new(44, 44), SeqRange::new(46, 50)]),
        epochs: Box::new([EpochStart { epoch: 0, first: 1 }, EpochStart { epoch: 3, first: 40 }]),
        ..shard(1, 0, 42)
    };
    let four = ShardCheckpoint { completed: Box::new([SeqRange::new(10, 11)]), ..shard(4, 0, 8) };
    let shards = vec![one, shard(2, 1, 7), four, shard(5, 2, u64::MAX)];
    Checkpoint { next_incarnation: Incarnation(3), shards }
}

/// A codec that the program does not know.
pub(crate) struct Unknown;

impl Codec for Unknown {
    fn name(&self) -> &'static str {
        "other"
    }

    fn encode(&self, rows: &mut Rows<'_>, out: &mut Vec<u8>) -> Result<(), CodecError> {
        JsonCodec.encode(rows, out)
    }

    fn decode(
        &self,
        _: &[u8],
        _: &mut dyn FnMut(ShardCheckpoint),
    ) -> Result<Incarnation, CodecError> {
        Err(CodecError::new("it is not known"))
    }
}

/// The stores of the sessions in the docs, as an engine has written them.
pub(crate) fn of_an_engine(dir: &Path) {
    engine(FileStore::open(dir.join("marks"), STORE).unwrap(), 0);
    engine(FileStore::open(dir.join("leader"), STORE).unwrap(), 30);
    engine(SlotStore::open(dir.join("slots"), STORE).unwrap(), 0);
    let slots = dir.join("slots/marks.slots");
    at_rest(&slots, &fs::read(&slots).unwrap());
}

fn engine(store: impl CheckpointStore + 'static, ahead: u64) {
    let shards = [ShardId(0), ShardId(1), ShardId(2)];
    let mut follower = recover(store, JsonCodec, &shards, OnCorrupt::Fail).unwrap();
    for save in 1..=5 {
        for shard in shards {
            follower.state.advance(shard, save * 100 + shard.0 + ahead);
        }
        if save == 5 {
            follower.state.add_shard(NewShard::new(ShardId(3))).unwrap();
        }
        follower.checkpointer.checkpoint(|_| Ok(())).unwrap();
    }
}
