//! Golden slot files with two deltas in a chain, of an unnamed store: every field changes, and
//! shards come and go.

use repl_checkpoint::{
    Checkpoint, CheckpointStore, Codec, DeltaHeader, Generation, Header, JsonCodec, OnCorrupt,
    Save, ShardCheckpoint, SlotStore, Source, StoreId, Track, peek, recover,
};
use repl_core::{EpochStart, Incarnation, LogId, SeqRange, ShardId};

use crate::support::deltas::{row, rows};
use crate::support::{every_field, loaded};

fn header(generation: Generation) -> Header {
    let confirmed = if generation == 40 { 0 } else { generation - 1 };
    Header { store: StoreId::UNNAMED, generation, confirmed }
}

/// The checkpoints of generations 40 to 45.
fn history() -> [Checkpoint; 6] {
    let first = every_field();
    let [_, one, _, last] = &first.shards[..] else { panic!("four shards") };
    let one =
        |mark, above: &[SeqRange]| ShardCheckpoint { mark, completed: above.into(), ..one.clone() };
    let five = |mark, epochs: &[EpochStart]| ShardCheckpoint {
        log: LogId(5),
        epochs: epochs.into(),
        ..row(5, 8, mark)
    };
    let epoch = |epoch, first| EpochStart { epoch, first };
    let nine = ShardCheckpoint { completed: Box::new([SeqRange::new(2, 2)]), ..row(1 << 40, 9, 0) };
    [
        first.clone(),
        first.clone(),
        // Two are removed, one is added.
        rows(9, &[one(50, &[]), five(0, &[]), last.clone()]),
        rows(9, &[one(50, &[SeqRange::new(60, 70)]), five(3, &[epoch(1, 2)]), last.clone()]),
        // A removed one comes back in a later incarnation.
        rows(10, &[one(58, &[SeqRange::new(60, 70)]), five(3, &[epoch(1, 2)]), nine, last.clone()]),
        // One begins again, the one that was added goes, and the last one too.
        rows(11, &[ShardCheckpoint { epochs: Box::new([epoch(4, 8)]), ..row(1, 10, 7) }]),
    ]
}

/// The shards that differ from an older checkpoint, and those that only that one has.
fn changes(before: &Checkpoint, after: &Checkpoint) -> (Checkpoint, Vec<ShardId>) {
    let mut changed = after.clone();
    changed.shards.retain(|row| before.shard(row.shard) != Some(row));
    let is_gone = |id: &ShardId| after.shard(*id).is_none();
    (changed, before.shards.iter().map(|row| row.shard).filter(is_gone).collect())
}

fn written(codec: &dyn Codec) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let mut store = SlotStore::open(dir.path(), StoreId::UNNAMED).unwrap();
    let history = history();
    for (generation, checkpoint) in (40..).zip(&history) {
        let offered = store.delta_base();
        assert_eq!(offered.is_some(), generation >= 42);
        let bytes = match &offered {
            None => checkpoint.seal(codec, header(generation)).unwrap(),
            Some(base) => {
                let before = &history[usize::try_from(base.generation - 40).unwrap()];
                let (changed, removed) = changes(before, checkpoint);
                let header = header(generation);
                let delta = DeltaHeader { header, base: base.generation, link: base.link };
                changed.rows().seal_delta(codec, delta, &removed).unwrap()
            }
        };
        let (confirmed, base) = (header(generation).confirmed, offered.map(|o| o.generation));
        store.save(Save { generation, confirmed, bytes: &bytes, base }).unwrap();
    }
    std::fs::read(dir.path().join("marks.slots")).unwrap()
}

fn is_written_and_read<C: Codec + Copy + 'static>(codec: C, golden: &[u8]) {
    assert!(written(&codec) == golden, "{} differs from its golden file", codec.name());
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("marks.slots"), golden).unwrap();
    let open = || SlotStore::open(dir.path(), StoreId::UNNAMED).unwrap();
    let history = history();
    let mut store = open();
    let found = loaded(&mut store).unwrap();
    drop(store);
    assert_eq!(found.iter().map(|found| found.deltas.len()).collect::<Vec<_>>(), [2, 2, 0]);
    for (found, generation) in found.into_iter().zip([45, 44, 40]) {
        let (read, checkpoint) = found.unseal(&codec, StoreId::UNNAMED).unwrap();
        assert_eq!(read, header(generation));
        assert_eq!(checkpoint, history[usize::try_from(generation - 40).unwrap()]);
    }
    assert_eq!(peek(dir.path()).unwrap().checkpoint.as_ref(), history.last());
    let recovered = recover(open(), codec, Track::all(), OnCorrupt::Fail).unwrap();
    assert!(matches!(recovered.report.source, Source::Resumed { generation: 45 }));
    assert_eq!(Checkpoint::of(&recovered.state.snapshot()), history[5]);
    assert_eq!(recovered.state.snapshot().next_incarnation(), Incarnation(11));
}

#[test]
fn chains_of_two_json_deltas_are_written_and_read_unchanged() {
    is_written_and_read(JsonCodec, include_bytes!("../../golden/v2.json.chains.slots"));
}

#[cfg(feature = "bincode")]
#[test]
fn chains_of_two_bincode_deltas_are_written_and_read_unchanged() {
    let golden = include_bytes!("../../golden/v2.bincode.chains.slots");
    is_written_and_read(repl_checkpoint::BincodeCodec, golden);
}
