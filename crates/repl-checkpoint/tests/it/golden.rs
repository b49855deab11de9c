//! Files of version 1 as they were first written, and never again. If these tests fail, the format
//! has changed, and existing files cannot be read.

use std::io::Write;

use repl_checkpoint::{
    Checkpoint, CheckpointStore, Codec, Header, JsonCodec, Save, SlotStore, StoreId,
};

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

const JSON: &[u8] = include_bytes!("../golden/v1.json.checkpoint");

#[test]
fn json_of_version_1_is_written_and_read_unchanged() {
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

const SLOTS: &[u8] = include_bytes!("../golden/v1.slots");

#[test]
fn a_slot_file_of_version_1_is_written_and_read_unchanged() {
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

#[test]
#[ignore = "run once, to write the golden file of a new version"]
fn the_golden_slot_file_is_written_where_there_is_none() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/v1.slots");
    let new = std::fs::OpenOptions::new().write(true).create_new(true).open(path);
    new.unwrap().write_all(&slot_file()).unwrap();
}

#[test]
fn the_format_page_shows_this_very_slot_file() {
    let page = |(i, page): (usize, &[u8])| {
        let length = page.iter().rposition(|b| *b != 0).unwrap() + 1;
        let text = std::str::from_utf8(&page[..length]).unwrap().trim_end();
        format!("at {}, {length} bytes:\n{text}\n", i * 4096)
    };
    let shown = SLOTS.chunks(4096).enumerate().map(page).collect::<Vec<_>>().concat();
    assert!(FORMAT.contains(&format!("```text\n{shown}```")), "docs/format.md:\n{shown}");
}

#[cfg(feature = "bincode")]
mod bincode {
    use repl_checkpoint::BincodeCodec;

    use super::{every_field, is_what_is_sealed, opens};

    const BINCODE: &[u8] = include_bytes!("../golden/v1.bincode.checkpoint");

    #[test]
    fn bincode_of_version_1_is_written_and_read_unchanged() {
        is_what_is_sealed(&BincodeCodec, BINCODE);
        opens(&BincodeCodec, BINCODE);
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
        let payload = BINCODE.get(180..).unwrap();
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
    let bincode = include_bytes!("../golden/v1.bincode.checkpoint");
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
