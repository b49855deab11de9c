//! A process that ends after its first save, again and again: disk, memory and reads stay bounded.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use repl_checkpoint::{
    CheckpointStore, FileStore, JsonCodec, NoSync, OnCorrupt, Saved, SlotStore, recover,
};
use repl_core::{ReplicationState, ShardId};

use crate::support::again::{again, held, numbers, peak_memory, said};
use crate::support::hooked::{Call, Hooked};
use crate::support::{AnyStore, STORE, durable, skipped};

/// The variables with the directory, the store and the number of shards of a life.
const DIR: &str = "REPL_CHECKPOINT_TEST_LIFE_DIR";
const KIND: &str = "REPL_CHECKPOINT_TEST_LIFE_STORE";
const SHARDS: &str = "REPL_CHECKPOINT_TEST_LIFE_SHARDS";
const SAYS: &str = "life: ";

/// A life that has a state and no store.
const NO_STORE: &str = "none";
const LIVES: u64 = 200;
/// Marks of equal length, so that every checkpoint has about the same number of bytes.
const FIRST_MARK: u64 = 1_000_000;
/// Room for what differs from start to start of the same program.
const NOISE: u64 = 1 << 20;

/// The figures of one life, in bytes and files.
#[derive(Debug, Clone, Copy)]
struct Life {
    /// The length of the checkpoint that it saved.
    checkpoint: u64,
    memory: u64,
    read: u64,
    /// The most that the directory held at a call of the store.
    peak_files: u64,
    peak_bytes: u64,
}

/// The most memory above the state, in checkpoints, of lives with so many shards that other pages
/// of the process hardly count.
const MEMORY: f64 = 2.0;

/// What a directory and a life may take, in checkpoints.
struct Bounds {
    files: u64,
    peak_files: u64,
    bytes: f64,
    peak_bytes: f64,
    read: f64,
}

/// Three files, and a temporary one during a save. Recovery reads the newest one, after its header.
const OF_FILES: Bounds =
    Bounds { files: 3, peak_files: 4, bytes: 3.01, peak_bytes: 4.01, read: 1.1 };
/// Three slots, each half as long again as the checkpoint; and another such file during a save.
/// Loading and the save look at every slot, the zeros at its end included. Recovery reads the
/// newest once more, the save the two that it keeps: nine slots.
const OF_SLOTS: Bounds =
    Bounds { files: 1, peak_files: 2, bytes: 4.7, peak_bytes: 9.4, read: 14.0 };

fn bounds<S: AnyStore>() -> &'static Bounds {
    if S::NAME == FileStore::NAME { &OF_FILES } else { &OF_SLOTS }
}

#[expect(clippy::cast_precision_loss, reason = "lengths of small files")]
fn in_checkpoints(bytes: u64, checkpoint: u64) -> f64 {
    bytes as f64 / checkpoint as f64
}

fn life(by: &[String], kind: &str, dir: &Path, shards: u64) -> Command {
    let mut command = again(by, "lives::one_life");
    // With little memory a backtrace fails as well, while std holds its lock.
    command.env("RUST_BACKTRACE", "0");
    command.env(DIR, dir).env(KIND, kind).env(SHARDS, shards.to_string());
    command
}

/// Lives once; `None` if the process fails.
fn lived(by: &[String], kind: &str, dir: &Path, shards: u64) -> Option<Life> {
    let numbers = numbers(&said(&mut life(by, kind, dir, shards), SAYS)?);
    let [checkpoint, memory, read, peak_files, peak_bytes] = numbers[..] else { return None };
    Some(Life { checkpoint, memory, read, peak_files, peak_bytes })
}

/// A command that limits the memory that a process may write to.
fn limited(bytes: u64) -> Vec<String> {
    ["prlimit".to_owned(), "--core=0".to_owned(), format!("--data={bytes}")].to_vec()
}

/// A copy of all files but the lock.
fn copy(dir: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        if !entry.file_name().to_string_lossy().ends_with(".lock") {
            fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
        }
    }
    copy
}

/// The lowest limit of memory, in steps, under which a life in a copy of `dir` saves.
fn needs<S: AnyStore>(dir: &Path, shards: u64, step: u64) -> u64 {
    let (mut fails, mut suffices) = (0, 1 << 30);
    while suffices - fails > step {
        let tried = fails.midpoint(suffices);
        match lived(&limited(tried), S::NAME, copy(dir).path(), shards) {
            Some(_) => suffices = tried,
            None => fails = tried,
        }
    }
    suffices
}

/// Lives in the directory, and checks what it holds at every call and afterwards.
fn lived_within<S: AnyStore>(by: &[String], dir: &Path, shards: u64, number: u64) -> Life {
    let life = lived(by, S::NAME, dir, shards).unwrap_or_else(|| panic!("life {number} fails"));
    let (files, bytes) = held(dir);
    let (held, bounds) = (in_checkpoints(bytes, life.checkpoint), bounds::<S>());
    assert!(files <= bounds.files && held <= bounds.bytes, "life {number}: {files}, {held:.2}");
    let peak = in_checkpoints(life.peak_bytes, life.checkpoint);
    assert!(
        life.peak_files <= bounds.peak_files && peak <= bounds.peak_bytes,
        "life {number}: {life:?}, {peak:.2}"
    );
    let read = in_checkpoints(life.read, life.checkpoint);
    assert!(read <= bounds.read, "life {number} reads {read:.2} checkpoints");
    life
}

/// The last life needs what the second one needs, and the directory stays as small. Returns the
/// most memory of a life above the state, in checkpoints.
#[expect(clippy::print_stdout, reason = "figures, for those who measure")]
fn lives<S: AnyStore>(shards: u64) -> f64 {
    if Command::new("prlimit").arg("--version").output().is_err() {
        skipped("no prlimit");
        return 0.0;
    }
    let dir = tempfile::tempdir().unwrap();
    let state = lived(&[], NO_STORE, dir.path(), shards).unwrap().memory;
    lived_within::<S>(&[], dir.path(), shards, 1);
    let limit = needs::<S>(dir.path(), shards, NOISE / 4) + NOISE / 2;
    let second = lived_within::<S>(&[], dir.path(), shards, 2);
    let mut most = second;
    for number in 3..LIVES {
        let life = lived_within::<S>(&[], dir.path(), shards, number);
        most.peak_bytes = most.peak_bytes.max(life.peak_bytes);
        most.memory = most.memory.max(life.memory);
        most.read = most.read.max(life.read);
    }
    let last = lived_within::<S>(&limited(limit), dir.path(), shards, LIVES);
    let (_, bytes) = held(dir.path());
    let of = |bytes: u64| in_checkpoints(bytes, last.checkpoint);
    println!(
        "{}: checkpoint {} bytes; directory {:.2} checkpoints, {:.2} during a save; memory {:.2} \
         checkpoints above the state in life 2, {:.2} at most, {:.2} in life {LIVES}; read \
         {:.2} checkpoints per life; limit {} MiB",
        S::NAME,
        last.checkpoint,
        of(bytes),
        of(most.peak_bytes),
        of(second.memory.saturating_sub(state)),
        of(most.memory.saturating_sub(state)),
        of(last.memory.saturating_sub(state)),
        of(most.read),
        limit >> 20,
    );
    // Resident pages of the program vary more.
    let room = second.memory + 4 * NOISE + second.checkpoint / 4;
    assert!(most.memory <= room && last.memory <= room, "{second:?}, {most:?}, {last:?}");
    of(most.memory.max(last.memory).saturating_sub(state))
}

#[test]
fn the_200th_life_of_files_needs_no_more_memory_than_the_second_and_the_directory_holds_three() {
    lives::<FileStore>(5_000);
}

#[test]
fn the_200th_life_of_slots_needs_no_more_memory_than_the_second_and_the_directory_holds_one_file() {
    // So many that a slot is half as long again: see `slot_size`.
    lives::<SlotStore>(9_000);
}

#[test]
#[ignore = "minutes in a debug build: CONTRIBUTING.md has the command"]
fn two_hundred_lives_of_100_000_shards() {
    for memory in [lives::<FileStore>(100_000), lives::<SlotStore>(100_000)] {
        assert!(memory <= MEMORY, "{memory:.2} checkpoints above the state");
    }
}

#[test]
#[ignore = "run by other tests as a process of its own"]
fn one_life() {
    let (Some(dir), Ok(kind), Ok(shards)) =
        (std::env::var_os(DIR), std::env::var(KIND), std::env::var(SHARDS))
    else {
        return;
    };
    let ids: Vec<ShardId> = (0..shards.parse().unwrap()).map(ShardId).collect();
    let (read, peak_files, peak_bytes) = live(Path::new(&dir), &kind, &ids);
    let memory = peak_memory();
    let checkpoint = read.1;
    println!("{SAYS}{checkpoint} {memory} {} {peak_files} {peak_bytes}", read.0);
}

fn move_all(state: &ReplicationState, ids: &[ShardId], mark: u64) {
    for id in ids {
        state.advance(*id, mark);
    }
}

/// Recovers, moves every mark and saves once. Returns the bytes that it read and saved, and the
/// most files and bytes that the directory held.
fn live(dir: &Path, kind: &str, ids: &[ShardId]) -> ((u64, u64), u64, u64) {
    if kind == NO_STORE {
        let state = ReplicationState::new(ids);
        move_all(&state, ids, FIRST_MARK);
        return ((0, 0), 0, 0);
    }
    let seen = Arc::new([const { AtomicU64::new(0) }; 3]);
    let (hook_seen, at) = (Arc::clone(&seen), dir.to_owned());
    // Nothing here is about syncs, which take most of the time.
    let disk = Hooked::look(NoSync, move |call: Call<'_>| {
        let (files, bytes) = held(&at);
        hook_seen[0].fetch_add(if call.name == "read_at" { call.bytes as u64 } else { 0 }, SeqCst);
        hook_seen[1].fetch_max(files, SeqCst);
        hook_seen[2].fetch_max(bytes, SeqCst);
    });
    let store: Box<dyn CheckpointStore> = match kind {
        FileStore::NAME => Box::new(FileStore::open_on(disk, dir, STORE).unwrap()),
        _ => Box::new(SlotStore::open_on(disk, dir, STORE).unwrap()),
    };
    let mut follower = recover(store, JsonCodec, ids, OnCorrupt::Fail).unwrap();
    let mark = follower.state.applied_seqno(ids[0]).unwrap().max(FIRST_MARK) + 1;
    move_all(&follower.state, ids, mark);
    let Saved::Written(saved) = follower.checkpointer.checkpoint(durable).unwrap() else {
        panic!("nothing was saved");
    };
    let [read, files, bytes] = [0, 1, 2].map(|i| seen[i].load(SeqCst));
    ((read, saved.bytes), files, bytes)
}
