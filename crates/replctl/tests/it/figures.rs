//! What a look at a large store costs. CONTRIBUTING.md has the command.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use repl_checkpoint::{
    BincodeCodec, CheckpointStore, Codec, FileStore, JsonCodec, OnCorrupt, SlotStore, recover,
};
use repl_core::ShardId;

use crate::support::{Dir, STORE};

const SHARDS: u64 = 1 << 20;
const LIMIT: Duration = Duration::from_secs(1);
/// Of the address space, so that what is in memory is less. In units of 1024 bytes.
const MEMORY: u64 = 200_000_000 / 1024;

/// A store with all the generations that an engine leaves.
fn saved(store: impl CheckpointStore + 'static, codec: impl Codec + 'static) {
    let shards: Vec<ShardId> = (0..SHARDS).map(ShardId).collect();
    let mut follower = recover(store, codec, &shards, OnCorrupt::Fail).unwrap();
    for save in 1..=3 {
        for shard in &shards {
            follower.state.advance(*shard, save * 1_000_000 + shard.0);
        }
        follower.checkpointer.checkpoint(|_| Ok(())).unwrap();
    }
}

/// The best of some runs, with little memory.
fn look(dir: &Path, command: &str) -> Duration {
    let limited = format!("ulimit -v {MEMORY}; exec \"$0\" {command} marks");
    let run = || {
        let began = Instant::now();
        let mut shell = Command::new("sh");
        shell.args(["-c", &limited, env!("CARGO_BIN_EXE_replctl")]).current_dir(dir);
        let output = shell.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        began.elapsed()
    };
    (0..5).map(|_| run()).min().unwrap()
}

#[test]
#[ignore = "takes minutes without optimization"]
fn a_look_at_a_million_shards_takes_less_than_a_second_and_200_mb() {
    type Make = fn(&Path);
    let kinds: [(&str, Make); 4] = [
        ("FileStore, json", |dir| saved(FileStore::open(dir, STORE).unwrap(), JsonCodec)),
        ("FileStore, bincode", |dir| saved(FileStore::open(dir, STORE).unwrap(), BincodeCodec)),
        ("SlotStore, json", |dir| saved(SlotStore::open(dir, STORE).unwrap(), JsonCodec)),
        ("SlotStore, bincode", |dir| saved(SlotStore::open(dir, STORE).unwrap(), BincodeCodec)),
    ];
    let mut slow = Vec::new();
    for (name, make) in kinds {
        let dir = Dir::new();
        make(&dir.path("marks"));
        let length = |entry: fs::DirEntry| entry.metadata().unwrap().len();
        let bytes: u64 = fs::read_dir(dir.path("marks")).unwrap().map(|e| length(e.unwrap())).sum();
        for command in ["inspect", "verify"] {
            let time = look(dir.0.path(), command);
            println!("{name}, {} MB: {command} takes {time:.2?}", bytes / 1_000_000);
            if time >= LIMIT {
                slow.push(format!("{name}: {command}"));
            }
        }
    }
    assert!(slow.is_empty(), "{slow:?}");
}
