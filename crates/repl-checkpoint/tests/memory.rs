//! Reading allocates in proportion to the bytes given, never to a length that they claim; and
//! requests that nothing will answer take no memory.
//!
//! A binary of its own whose tests run one after the other, as its allocator counts for the whole
//! process.

#![cfg(feature = "json")]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::fs;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use repl_checkpoint::{
    Candidate, Checkpoint, CheckpointStore, Codec, FileStore, Header, JsonCodec, LoadError, NoSync,
    OnCorrupt, Recovered, SaveAndWaitError, Saved, Schedule, ShardCheckpoint, SlotStore, StoreId,
    UnsealError, recover,
};
use repl_core::{Incarnation, LogId, ReplicationState, SeqRange, ShardId};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// Lengths from one that fits in memory to one beyond every address.
const CLAIMS: [u64; 6] = [1 << 21, 1 << 26, 1 << 32, 1 << 40, 1 << 60, u64::MAX];
/// For messages, paths and buffers of the operating system.
const SMALL: usize = 16 << 10;
/// The most that serde reserves for a claimed length.
#[cfg(feature = "bincode")]
const SERDE: usize = 1 << 20;

/// Checks the largest allocation while `given` bytes are read.
fn takes_little<T>(what: &str, given: usize, more: usize, read: impl FnOnce() -> T) -> T {
    let profiler = dhat::Profiler::builder().testing().build();
    let result = read();
    let peak = dhat::HeapStats::get().max_bytes;
    drop(profiler);
    assert!(peak <= 16 * given + more, "{what}: {given} bytes take {peak}");
    result
}

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

#[test]
fn requests_after_the_end_of_the_thread_keep_no_memory() {
    const REQUESTS: usize = 1000;
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let dir = tempfile::tempdir().unwrap();
    let store = FileStore::open(dir.path(), StoreId::UNNAMED).unwrap();
    let follower = recover(store, JsonCodec, &[ShardId(1)], OnCorrupt::Fail).unwrap();
    let when = Schedule::every(Duration::from_secs(3600));
    let flush = |_: &mut _| -> Result<(), _> { panic!("the engine is broken") };
    let background = follower.checkpointer.spawn(when, flush, |_| ()).unwrap();
    let is_ended = || matches!(background.save_and_wait().wait(), Err(SaveAndWaitError::Ended));
    assert!(is_ended() && is_ended());
    let profiler = dhat::Profiler::builder().testing().build();
    for request in 0..REQUESTS {
        if request % 2 == 0 {
            assert!(is_ended());
        } else {
            drop(background.save_and_wait());
        }
    }
    let kept = dhat::HeapStats::get().curr_bytes;
    drop(profiler);
    assert!(kept < REQUESTS, "{REQUESTS} requests keep {kept} bytes");
}

#[test]
fn what_is_read_takes_memory_by_its_own_length() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    json();
    #[cfg(feature = "bincode")]
    bincode();
    envelopes();
    slot_files();
    deltas();
}

#[test]
fn a_recovery_and_a_save_take_at_most_two_checkpoints_above_the_state() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    lives(|dir| FileStore::open_on(NoSync, dir, StoreId::UNNAMED).unwrap());
    lives(|dir| SlotStore::open_on(NoSync, dir, StoreId::UNNAMED).unwrap());
}

/// Recovers, moves all marks and saves, again and again.
fn lives<S: CheckpointStore + 'static>(open: impl Fn(&Path) -> S) {
    const SHARDS: u64 = 20_000;
    let dir = tempfile::tempdir().unwrap();
    let ids: Vec<ShardId> = (0..SHARDS).map(ShardId).collect();
    let measured = |run: &dyn Fn() -> Option<u64>| {
        let profiler = dhat::Profiler::builder().testing().build();
        let length = run();
        let peak = dhat::HeapStats::get().max_bytes as u64;
        drop(profiler);
        (peak, length)
    };
    let (state, _) = measured(&|| {
        let state = ReplicationState::new(&ids);
        assert_eq!(state.len(), ids.len());
        None
    });
    for life in 1..=4 {
        let (peak, length) = measured(&|| {
            let follower = recover(open(dir.path()), JsonCodec, &ids, OnCorrupt::Fail).unwrap();
            let Recovered { state, mut checkpointer, .. } = follower;
            for id in &ids {
                state.advance(*id, 1_000_000 + life);
            }
            match checkpointer.checkpoint(|_| Ok(())).unwrap() {
                Saved::Written(saved) => Some(saved.bytes),
                Saved::Unchanged => None,
            }
        });
        let (above, length) = (peak - state, length.unwrap());
        assert!(above <= 2 * length, "life {life}: {above} bytes above {state}, one is {length}");
    }
}

fn many(shards: u64) -> Checkpoint {
    let shard = |i| ShardCheckpoint {
        shard: ShardId(i),
        log: LogId::UNNAMED,
        incarnation: Incarnation(0),
        mark: 0,
        completed: if i == 7 {
            (1..shards).map(|i| SeqRange::new(2 * i, 2 * i)).collect()
        } else {
            Box::default()
        },
        epochs: Box::default(),
    };
    Checkpoint { next_incarnation: Incarnation(1), shards: (0..shards).map(shard).collect() }
}

fn decodes(codec: &dyn Codec, bytes: &[u8], more: usize) -> Option<Checkpoint> {
    takes_little(codec.name(), bytes.len(), more, || Checkpoint::decode(codec, bytes).ok())
}

/// The bytes themselves may take a few times their length.
fn decodes_many(codec: &dyn Codec) {
    for shards in [0, 1, 100, 10_000] {
        let mut bytes = Vec::new();
        codec.encode(&mut many(shards).rows(), &mut bytes).unwrap();
        assert_eq!(decodes(codec, &bytes, SMALL), Some(many(shards)));
    }
}

fn json() {
    decodes_many(&JsonCodec);
    for claim in CLAIMS {
        let empty = format!("{{\"next_incarnation\":{claim},\"shards\":[]}}");
        assert!(decodes(&JsonCodec, empty.as_bytes(), SMALL).is_some());
        let cut_off = format!(
            "{{\"next_incarnation\":{claim},\"shards\":[\n{{\"shard\":{claim},\"mark\":{claim},\
             \"completed\":[[1,{claim}],[{claim}"
        );
        assert!(decodes(&JsonCodec, cut_off.as_bytes(), SMALL).is_none());
    }
}

#[cfg(feature = "bincode")]
fn bincode() {
    use repl_checkpoint::BincodeCodec;
    decodes_many(&BincodeCodec);
    for claim in CLAIMS {
        // The 8-byte numbers up to the counts of shards, of ranges and of epochs.
        for [before, after] in [[1, 0], [1, 40], [7, 0], [7, 6], [8, 0], [8, 6]] {
            let mut bytes = vec![0; 8 * before];
            if before > 1 {
                bytes[8] = 1;
            }
            bytes.extend_from_slice(&claim.to_le_bytes());
            bytes.resize(bytes.len() + 8 * after, 0);
            assert!(decodes(&BincodeCodec, &bytes, SMALL + SERDE).is_none(), "{claim}");
        }
    }
}

/// Puts a number of 20 digits into `bytes`, and the checksum of all before that.
fn claiming(bytes: &[u8], number: usize, claim: u64, crc: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[number..number + 20].copy_from_slice(format!("{claim:020}").as_bytes());
    let checksum = crc32c::crc32c(&bytes[..crc]);
    bytes[crc..crc + 8].copy_from_slice(format!("{checksum:08x}").as_bytes());
    bytes
}

/// An envelope of one shard whose header claims a length.
fn envelope(claim: u64) -> Vec<u8> {
    let header = Header { generation: 1, ..Header::default() };
    let sealed = many(1).seal(&JsonCodec, header).unwrap();
    claiming(&sealed, 143, claim, 188)
}

fn envelopes() {
    for claim in CLAIMS {
        let bytes = envelope(claim);
        let opened = takes_little("an envelope", bytes.len(), SMALL, || {
            Checkpoint::unseal(&JsonCodec, StoreId::UNNAMED, &bytes)
        });
        assert!(matches!(opened, Err(UnsealError::Length { expected, .. }) if expected == claim));
    }
}

fn deltas() {
    const CHAINS: &[u8] = include_bytes!("golden/v2.deltas.slots");
    const STORE: StoreId = StoreId(0x00c0_ffee_0000_0000_0000_0000_0000_0001);
    let dir = tempfile::tempdir().unwrap();
    let mut store = SlotStore::open(dir.path(), STORE).unwrap();
    let mut load = |bytes: &[u8]| {
        fs::write(dir.path().join("marks.slots"), bytes).unwrap();
        takes_little("chains", bytes.len(), SMALL, || store.load().map(Iterator::collect::<Vec<_>>))
    };
    assert_eq!(load(CHAINS).unwrap().len(), 3);
    let (envelope, record) = (&CHAINS[4096..4096 + 277], &CHAINS[4608..4608 + 351]);
    for claim in CLAIMS {
        // The number of removed shards, and the length.
        for number in [190, 218] {
            let record = claiming(record, number, claim, 263);
            let file = [&CHAINS[..4608], &record, &CHAINS[4608 + record.len()..]].concat();
            assert_eq!(load(&file).unwrap().len(), 4, "{claim}");
            let candidate = Candidate {
                path: dir.path().to_owned(),
                generation: None,
                bytes: Ok(envelope.to_vec()),
                deltas: vec![record],
            };
            let opened =
                takes_little("a delta", 700, SMALL, || candidate.unseal(&JsonCodec, STORE));
            assert!(opened.is_err());
        }
    }
}

fn slot_files() {
    const WHOLE: &[u8] = include_bytes!("golden/v2.slots");
    const STORE: StoreId = StoreId(0x00c0_ffee_0000_0000_0000_0000_0000_0001);
    let dir = tempfile::tempdir().unwrap();
    let mut store = SlotStore::open(dir.path(), STORE).unwrap();
    let mut load = |bytes: &[u8]| {
        fs::write(dir.path().join("marks.slots"), bytes).unwrap();
        takes_little("a slot file", bytes.len(), SMALL, || {
            store.load().map(Iterator::collect::<Vec<_>>)
        })
    };
    assert_eq!(load(WHOLE).unwrap().len(), 3);
    for claim in CLAIMS {
        // Multiples of a page, and others.
        for claim in [claim & !4095, claim] {
            let page = claiming(&WHOLE[..4096], 69, claim, 97);
            assert!(matches!(load(&page), Err(LoadError::Slots { .. })), "{claim}");
            let file = [&page[..], &WHOLE[4096..]].concat();
            let is_cut_off = |error| matches!(error, LoadError::Slots { .. });
            // An impossible page is a damaged one, and then the length of the file counts.
            assert_eq!(load(&file).is_err_and(is_cut_off), claim.is_multiple_of(4096), "{claim}");
        }
        let mut file = WHOLE.to_vec();
        let slot = envelope(claim);
        file[4096..4096 + slot.len()].copy_from_slice(&slot);
        assert_eq!(load(&file).unwrap().len(), 3);
    }
}
