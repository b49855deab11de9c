//! Files of version 2 as they were first written, and never again. If these tests fail, the format
//! has changed, and existing files cannot be read.

mod chains;
mod slots;
mod version_1;

use repl_checkpoint::{
    Candidate, Checkpoint, CheckpointStore, Codec, DeltaHeader, FileStore, Header, JsonCodec,
    OnCorrupt, Save, ShardCheckpoint, Source, StoreId, Track, peek, recover,
};
use repl_core::{Incarnation, SeqRange, ShardId};

use crate::support::deltas::{link, row};
use crate::support::{every_field, file};

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

/// A `FileStore` saves and finds the golden file.
fn is_the_file_of_a_store(codec: impl Codec + 'static, golden: &[u8]) {
    let dir = tempfile::tempdir().unwrap();
    let open = || FileStore::open(dir.path(), HEADER.store).unwrap();
    let Header { generation, confirmed, .. } = HEADER;
    open().save(Save { generation, confirmed, bytes: golden, base: None }).unwrap();
    assert_eq!(std::fs::read(file(dir.path(), generation)).unwrap(), golden);
    let found = recover(open(), codec, Track::all(), OnCorrupt::Fail).unwrap();
    assert!(matches!(found.report.source, Source::Resumed { generation: 42 }));
    assert_eq!(Checkpoint::of(&found.state.snapshot()), every_field());
    assert_eq!(peek(dir.path()).unwrap().checkpoint, Some(every_field()));
}

const JSON: &[u8] = include_bytes!("../golden/v2.json.checkpoint");

#[test]
fn json_of_version_2_is_written_and_read_unchanged() {
    is_what_is_sealed(&JsonCodec, JSON);
    opens(&JsonCodec, JSON);
    is_the_file_of_a_store(JsonCodec, JSON);
}

#[test]
fn below_its_first_line_a_json_file_is_one_json_document() {
    let text = std::str::from_utf8(JSON).unwrap();
    let (_, document) = text.split_once('\n').unwrap();
    let value: serde_json::Value = serde_json::from_str(document).unwrap();
    assert_eq!(value["shards"][3]["mark"].as_u64(), Some(u64::MAX));
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

#[cfg(feature = "bincode")]
mod bincode {
    use repl_checkpoint::BincodeCodec;

    use super::{
        delta_is_read_and_written, every_field, is_the_file_of_a_store, is_what_is_sealed, opens,
    };

    const BINCODE: &[u8] = include_bytes!("../golden/v2.bincode.checkpoint");

    #[test]
    fn bincode_of_version_2_is_written_and_read_unchanged() {
        is_what_is_sealed(&BincodeCodec, BINCODE);
        opens(&BincodeCodec, BINCODE);
        is_the_file_of_a_store(BincodeCodec, BINCODE);
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
