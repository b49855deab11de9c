//! Files of version 2 as they were first written, and never again. If these tests fail, the format
//! has changed, and existing files cannot be read.

use repl_checkpoint::{
    Candidate, Checkpoint, CheckpointStore, Codec, DeltaBase, DeltaHeader, Header, JsonCodec, Save,
    ShardCheckpoint, SlotStore, StoreId,
};
use repl_core::{Incarnation, SeqRange, ShardId};

use crate::support::deltas::{link, row};
use crate::support::{every_field, loaded, marks};

const HEADER: Header = Header {
    store: StoreId(0x00c0_ffee_0000_0000_0000_0000_0000_0001),
    generation: 42,
    confirmed: 41,
};

fn is_what_is_sealed(codec: &dyn Codec, golden: &[u8]) {
    let bytes = every_field().seal(codec, HEADER).unwrap();
    assert!(bytes == golden, "{} differs from its golden file", codec.name());
}

fn opens(codec: &dyn Codec, golden: &[u8]) {
    let opened = Checkpoint::unseal(codec, HEADER.store, golden).unwrap();
    assert_eq!(opened, (HEADER, every_field()));
}

const JSON: &[u8] = include_bytes!("../golden/v2.json.checkpoint");

#[test]
fn json_of_version_2_is_written_and_read_unchanged() {
    is_what_is_sealed(&JsonCodec, JSON);
    opens(&JsonCodec, JSON);
}

#[test]
fn below_its_first_line_a_json_file_is_one_json_document() {
    let text = std::str::from_utf8(JSON).unwrap();
    let (_, document) = text.split_once('\n').unwrap();
    let value: serde_json::Value = serde_json::from_str(document).unwrap();
    assert_eq!(value["shards"][3]["mark"].as_u64(), Some(u64::MAX));
}

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

const SLOTS: &[u8] = include_bytes!("../golden/v2.slots");

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

const DELTAS: &[u8] = include_bytes!("../golden/v2.deltas.slots");

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

/// What the golden deltas change of the golden checkpoints.
fn changed() -> (Checkpoint, [ShardId; 2]) {
    let mut changed = every_field();
    changed.next_incarnation = Incarnation(9);
    let removed = [changed.shards[0].shard, changed.shards[2].shard];
    changed.shards.drain(2..);
    changed.shards.remove(0);
    changed.shards[0].mark = 50;
    changed.shards[0].completed = Box::default();
    let completed = Box::new([SeqRange::new(2, 3)]);
    changed.shards.push(ShardCheckpoint { completed, ..row(5, 8, 0) });
    (changed, removed)
}

fn delta_is_read_and_written(codec: &dyn Codec, whole: &[u8], golden: &[u8]) {
    let (changed, removed) = changed();
    let header = Header { generation: 44, confirmed: 43, ..HEADER };
    let delta = DeltaHeader { header, base: 42, link: link(whole) };
    let bytes = changed.rows().seal_delta(codec, delta, &removed).unwrap();
    assert!(bytes == golden, "{} differs from its golden file", codec.name());
    let candidate = Candidate {
        path: std::path::PathBuf::new(),
        generation: Some(44),
        bytes: Ok(whole.to_vec()),
        deltas: vec![golden.to_vec()],
    };
    let mut expected = changed;
    expected.shards.push(every_field().shards.pop().unwrap());
    assert_eq!(candidate.unseal(codec, HEADER.store).unwrap(), (header, expected));
}

const JSON_DELTA: &[u8] = include_bytes!("../golden/v2.json.delta");

#[test]
fn a_json_delta_is_written_and_read_unchanged() {
    delta_is_read_and_written(&JsonCodec, JSON, JSON_DELTA);
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

#[cfg(feature = "bincode")]
mod bincode {
    use repl_checkpoint::BincodeCodec;

    use super::{delta_is_read_and_written, every_field, is_what_is_sealed, opens};

    const BINCODE: &[u8] = include_bytes!("../golden/v2.bincode.checkpoint");

    #[test]
    fn bincode_of_version_2_is_written_and_read_unchanged() {
        is_what_is_sealed(&BincodeCodec, BINCODE);
        opens(&BincodeCodec, BINCODE);
    }

    #[test]
    fn a_bincode_delta_is_written_and_read_unchanged() {
        let golden = include_bytes!("../golden/v2.bincode.delta");
        delta_is_read_and_written(&BincodeCodec, BINCODE, golden);
    }

    #[derive(Debug, PartialEq, wincode::SchemaRead, wincode::SchemaWrite)]
    struct Checkpoint {
        next_incarnation: u64,
        shards: Vec<Row>,
    }

    #[derive(Debug, PartialEq, wincode::SchemaRead, wincode::SchemaWrite)]
    struct Row {
        shard: u64,
        log: u128,
        incarnation: u64,
        mark: u64,
        completed: Vec<(u64, u64)>,
        epochs: Vec<(u64, u64)>,
    }

    fn as_wincode_should_read_it() -> Checkpoint {
        let checkpoint = every_field();
        let shard = |s: &repl_checkpoint::ShardCheckpoint| Row {
            shard: s.shard.0,
            log: s.log.0,
            incarnation: s.incarnation.0,
            mark: s.mark,
            completed: s.completed.iter().map(|r| (r.first(), r.last())).collect(),
            epochs: s.epochs.iter().map(|e| (e.epoch, e.first)).collect(),
        };
        Checkpoint {
            next_incarnation: checkpoint.next_incarnation.0,
            shards: checkpoint.shards.iter().map(shard).collect(),
        }
    }

    #[test]
    fn another_crate_reads_and_writes_the_same_bincode() {
        let payload = BINCODE.get(197..).unwrap();
        let read: Checkpoint = wincode::deserialize(payload).unwrap();
        assert_eq!(read, as_wincode_should_read_it());
        assert_eq!(wincode::serialize(&read).unwrap(), payload);
    }
}

const FORMAT: &str = include_str!("../../../../docs/format.md");

#[test]
fn the_format_page_shows_these_very_files() {
    let json = std::str::from_utf8(JSON).unwrap();
    assert!(FORMAT.contains(&format!("```text\n{json}\n```")), "docs/format.md: JSON");
    let bincode = include_bytes!("../golden/v2.bincode.checkpoint");
    let dump = hex_dump(bincode);
    assert!(FORMAT.contains(&format!("```text\n{dump}```")), "docs/format.md:\n{dump}");
}

fn hex_dump(bytes: &[u8]) -> String {
    let row = |(row, bytes): (usize, &[u8])| {
        let hex: Vec<String> = bytes.iter().map(|b| format!("{b:02x}")).collect();
        let shown = |b: &u8| if (32..127).contains(b) { char::from(*b) } else { '.' };
        let text: String = bytes.iter().map(shown).collect();
        format!("{:08x}  {:<47}  {text}\n", row * 16, hex.join(" "))
    };
    bytes.chunks(16).enumerate().map(row).collect()
}
