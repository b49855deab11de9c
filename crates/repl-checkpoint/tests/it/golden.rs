//! Files of version 1 as they were first written. They are never written again: where these tests
//! fail, the format has changed, and files in the field cannot be read.

use repl_checkpoint::{Codec, Header, JsonCodec, StoreId, open, seal};

use crate::support::every_field;

const HEADER: Header = Header {
    store: StoreId(0x00c0_ffee_0000_0000_0000_0000_0000_0001),
    generation: 42,
    confirmed: 41,
};

fn is_what_is_sealed(codec: &dyn Codec, golden: &[u8]) {
    let bytes = seal(codec, HEADER, &every_field()).unwrap();
    assert!(bytes == golden, "{} differs from its golden file", codec.name());
}

fn opens(codec: &dyn Codec, golden: &[u8]) {
    let opened = open(codec, HEADER.store, golden).unwrap();
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
            completed: s.completed.iter().map(|r| (r.first, r.last)).collect(),
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
