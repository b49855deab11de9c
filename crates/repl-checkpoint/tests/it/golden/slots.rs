//! Golden slot files in JSON, of a named store: the ones that docs/format.md shows.

use repl_checkpoint::{
    Checkpoint, CheckpointStore, DeltaBase, DeltaHeader, Header, JsonCodec, Save, SlotStore,
};
use repl_core::ShardId;

use super::{FORMAT, HEADER, JSON_DELTA};
use crate::support::{loaded, marks};

/// The slot file after generations 40 to 42 of one shard.
fn slot_file() -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let mut store = SlotStore::open(dir.path(), HEADER.store).unwrap();
    for generation in 40..=42 {
        let confirmed = if generation == 40 { 0 } else { generation - 1 };
        let header = Header { generation, confirmed, ..HEADER };
        let bytes = marks(&[(1, generation * 100)]).seal(&JsonCodec, header).unwrap();
        store.save(Save { generation, confirmed, bytes: &bytes, base: None }).unwrap();
    }
    std::fs::read(dir.path().join("marks.slots")).unwrap()
}

const SLOTS: &[u8] = include_bytes!("../../golden/v2.slots");

#[test]
fn a_slot_file_of_version_2_is_written_and_read_unchanged() {
    assert!(slot_file() == SLOTS, "a slot file differs from its golden file");
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("marks.slots"), SLOTS).unwrap();
    let mut store = SlotStore::open(dir.path(), HEADER.store).unwrap();
    let mut found = loaded(&mut store).unwrap().into_iter();
    for generation in [42, 41, 40] {
        let bytes = found.next().unwrap().bytes.unwrap();
        let (header, checkpoint) = Checkpoint::unseal(&JsonCodec, HEADER.store, &bytes).unwrap();
        assert_eq!(header.generation, generation);
        assert_eq!(checkpoint, marks(&[(1, generation * 100)]));
    }
    assert!(found.next().is_none());
}

/// The slot file after the generations 40 and 41 of two shards, and the deltas 42 and 43, which
/// remove one.
fn slot_file_with_deltas() -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let mut store = SlotStore::open(dir.path(), HEADER.store).unwrap();
    for generation in 40..=43 {
        let confirmed = if generation == 40 { 0 } else { generation - 1 };
        let header = Header { generation, confirmed, ..HEADER };
        let moved = (1, generation * 100);
        let base = store.delta_base();
        let bytes = match base {
            None => marks(&[moved, (2, 7)]).seal(&JsonCodec, header).unwrap(),
            Some(DeltaBase { generation, link, .. }) => {
                let delta = DeltaHeader { header, base: generation, link };
                marks(&[moved]).rows().seal_delta(&JsonCodec, delta, &[ShardId(2)]).unwrap()
            }
        };
        let base = base.map(|base| base.generation);
        store.save(Save { generation, confirmed, bytes: &bytes, base }).unwrap();
    }
    std::fs::read(dir.path().join("marks.slots")).unwrap()
}

const DELTAS: &[u8] = include_bytes!("../../golden/v2.deltas.slots");

#[test]
fn a_slot_file_with_deltas_is_written_and_read_unchanged() {
    assert!(slot_file_with_deltas() == DELTAS, "it differs from its golden file");
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("marks.slots"), DELTAS).unwrap();
    let mut store = SlotStore::open(dir.path(), HEADER.store).unwrap();
    let mut found = loaded(&mut store).unwrap().into_iter();
    for (generation, other) in [(43, None), (42, None), (40, Some((2, 7)))] {
        let (header, checkpoint) = found.next().unwrap().unseal(&JsonCodec, HEADER.store).unwrap();
        assert_eq!(header.generation, generation);
        let expected: Vec<_> = [(1, generation * 100)].into_iter().chain(other).collect();
        assert_eq!(checkpoint, marks(&expected));
    }
    assert!(found.next().is_none());
}

#[test]
fn the_format_page_shows_these_very_deltas() {
    let delta = std::str::from_utf8(JSON_DELTA).unwrap();
    assert!(FORMAT.contains(&format!("```text\n{delta}\n```")), "docs/format.md:\n{delta}");
    let record = |at: usize| {
        let unused = if at == 0 { 0 } else { 0xff };
        let bytes = &DELTAS[at..at + 512];
        let last = bytes.iter().rposition(|b| *b != unused)?;
        let text = std::str::from_utf8(&bytes[..=last]).unwrap().trim_end();
        Some(format!("at {at}, {} bytes:\n{text}\n", last + 1))
    };
    let slots = (1..4).flat_map(|slot| [slot * 4096, slot * 4096 + 512]);
    let shown: String = [0].into_iter().chain(slots).filter_map(record).collect();
    assert!(FORMAT.contains(&format!("```text\n{shown}```")), "docs/format.md:\n{shown}");
}

#[test]
fn the_format_page_shows_this_very_slot_file() {
    let page = |(i, page): (usize, &[u8])| {
        let unused = |b: &u8| *b == if i == 0 { 0 } else { 0xff };
        let length = page.iter().rposition(|b| !unused(b)).unwrap() + 1;
        let text = std::str::from_utf8(&page[..length]).unwrap().trim_end();
        format!("at {}, {length} bytes:\n{text}\n", i * 4096)
    };
    let shown = SLOTS.chunks(4096).enumerate().map(page).collect::<Vec<_>>().concat();
    assert!(FORMAT.contains(&format!("```text\n{shown}```")), "docs/format.md:\n{shown}");
}
