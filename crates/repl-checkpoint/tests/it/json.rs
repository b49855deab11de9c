//! The JSON of a checkpoint is plain JSON in exactly one spelling.

use proptest::prelude::*;
use repl_checkpoint::{Checkpoint, JsonCodec};
use serde::{Deserialize, Serialize};

use crate::codecs::encode;
use crate::support::arbitrary::checkpoint;
use crate::support::{every_field, marks};

/// The document as another program reads and writes it.
#[derive(Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Document {
    next_incarnation: u64,
    shards: Vec<Row>,
}

#[derive(Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Row {
    shard: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    log: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    incarnation: Option<u64>,
    mark: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    completed: Vec<(u64, u64)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    epochs: Vec<(u64, u64)>,
}

impl Document {
    /// The document of a checkpoint.
    fn of(checkpoint: &Checkpoint) -> Self {
        let row = |s: &repl_checkpoint::ShardCheckpoint| Row {
            shard: s.shard.0,
            log: (s.log.0 != 0).then(|| format!("{:032x}", s.log.0)),
            incarnation: (s.incarnation.0 != 0).then_some(s.incarnation.0),
            mark: s.mark,
            completed: s.completed.iter().map(|r| (r.first(), r.last())).collect(),
            epochs: s.epochs.iter().map(|e| (e.epoch, e.first)).collect(),
        };
        Document {
            next_incarnation: checkpoint.next_incarnation.0,
            shards: checkpoint.shards.iter().map(row).collect(),
        }
    }
}

/// A change as an editor, a bad disk or another writer makes it.
fn change() -> impl Strategy<Value = (usize, usize, Vec<u8>)> {
    let piece = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..3),
        "[0-9]{1,21}".prop_map(String::into_bytes),
        "[ \\n\\t,:{}\\[\\]\"+.e-]{1,2}".prop_map(String::into_bytes),
        prop_oneof![
            Just(",\"completed\":[]"),
            Just(",\"epochs\":[[1,2]]"),
            Just(",\"incarnation\":0"),
            Just(",\"log\":\"00000000000000000000000000000000\""),
            Just(",\n{\"shard\":7,\"mark\":1}"),
            Just("null"),
        ]
        .prop_map(|s| s.as_bytes().to_vec()),
    ];
    (any::<prop::sample::Index>(), 0..4_usize, piece)
        .prop_map(|(at, remove, piece)| (at.index(1 << 20), remove, piece))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn other_readers_find_the_same(checkpoint in checkpoint()) {
        let bytes = encode(&JsonCodec, &checkpoint);
        let read: Document = serde_json::from_slice(&bytes).unwrap();
        prop_assert_eq!(read, Document::of(&checkpoint));
    }

    #[test]
    fn serde_json_writes_the_same_but_for_the_line_breaks(checkpoint in checkpoint()) {
        let theirs = serde_json::to_string(&Document::of(&checkpoint)).unwrap();
        let in_lines = theirs.replace("{\"shard\":", "\n{\"shard\":");
        prop_assert_eq!(String::from_utf8(encode(&JsonCodec, &checkpoint)).unwrap(), in_lines);
    }

    #[test]
    fn only_what_would_be_written_is_read(
        checkpoint in checkpoint(),
        changes in proptest::collection::vec(change(), 1..3),
    ) {
        let mut bytes = encode(&JsonCodec, &checkpoint);
        for (at, remove, piece) in changes {
            let at = at % (bytes.len() + 1);
            let end = (at + remove).min(bytes.len());
            bytes.splice(at..end, piece);
        }
        if let Ok(read) = Checkpoint::decode(&JsonCodec, &bytes) {
            prop_assert_eq!(encode(&JsonCodec, &read), bytes.clone());
            let other: Document = serde_json::from_slice(&bytes).unwrap();
            prop_assert_eq!(other, Document::of(&read));
        }
    }

    #[test]
    fn a_changed_digit_is_read_as_written_or_refused(
        checkpoint in checkpoint(),
        at in any::<prop::sample::Index>(),
        digits in "[0-9]{1,20}",
    ) {
        // A digit for a digit: most results are other valid documents.
        let bytes = encode(&JsonCodec, &checkpoint);
        let places: Vec<usize> = (0..bytes.len()).filter(|i| bytes[*i].is_ascii_digit()).collect();
        let at = places[at.index(places.len())];
        let mut bytes = bytes;
        bytes.splice(at..=at, digits.into_bytes());
        if let Ok(read) = Checkpoint::decode(&JsonCodec, &bytes) {
            prop_assert_eq!(encode(&JsonCodec, &read), bytes.clone());
            let other: Document = serde_json::from_slice(&bytes).unwrap();
            prop_assert_eq!(other, Document::of(&read));
        }
    }
}

#[test]
fn a_shard_takes_a_line_and_defaults_are_left_out() {
    let text = String::from_utf8(encode(&JsonCodec, &every_field())).unwrap();
    assert_eq!(
        text,
        "{\"next_incarnation\":8,\"shards\":[\n\
         {\"shard\":0,\"mark\":0},\n\
         {\"shard\":1,\"log\":\"0123456789abcdef0011223344556677\",\"incarnation\":7,\"mark\":42,\
         \"completed\":[[44,44],[46,50]],\"epochs\":[[0,1],[3,40]]},\n\
         {\"shard\":1099511627776,\"incarnation\":2,\"mark\":9007199254740993,\
         \"completed\":[[9007199254740995,18446744073709551615]]},\n\
         {\"shard\":18446744073709551615,\"log\":\"ffffffffffffffffffffffffffffffff\",\
         \"mark\":18446744073709551615,\
         \"epochs\":[[18446744073709551615,18446744073709551615]]}]}"
    );
    let empty = encode(&JsonCodec, &Checkpoint::default());
    assert_eq!(empty, b"{\"next_incarnation\":0,\"shards\":[]}");
}

/// Documents that mean the same or nearly, in a spelling that is never written.
#[test]
fn every_other_spelling_is_refused() {
    let good = "{\"next_incarnation\":1,\"shards\":[\n{\"shard\":1,\"mark\":5}]}";
    assert_eq!(Checkpoint::decode(&JsonCodec, good.as_bytes()).unwrap(), marks(&[(1, 5)]));
    let spelled = |from: &str, to: &str| {
        let text = good.replacen(from, to, 1);
        assert_ne!(text, good);
        assert!(Checkpoint::decode(&JsonCodec, text.as_bytes()).is_err(), "{text:?}");
    };
    spelled("{\"shard\":1,\"mark\":5}", "{\"mark\":5,\"shard\":1}");
    spelled("\"mark\":5", "\"mark\":5,\"extra\":1");
    spelled("\"shards\"", "\"extra\":1,\"shards\"");
    spelled("\"mark\":5", "\"mark\":5,\"mark\":5");
    spelled(",\"mark\":5", "");
    spelled("\"shard\":1,", "");
    spelled("\"next_incarnation\":1,", "");
    for number in ["05", "+5", "-5", "5.0", "5e0", "5:", "5/", "\"5\"", " 5", "5 ", "", "null"] {
        spelled("\"mark\":5", &format!("\"mark\":{number}"));
    }
    // 2^64 and longer numbers.
    for number in ["18446744073709551616", "99999999999999999999", "100000000000000000000"] {
        spelled("\"mark\":5", &format!("\"mark\":{number}"));
    }
    spelled("\n", "");
    spelled("\n", " \n");
    spelled("\n", "\r\n");
    spelled("]}", "]}\n");
    spelled("]}", ",]}");
    spelled("]}", "\n]}");
    spelled("\"mark\":5", "\"mark\":5,\"completed\":[]");
    spelled("\"mark\":5", "\"mark\":5,\"epochs\":[]");
    spelled("\"mark\":5", "\"mark\":5,\"epochs\":[[1,2]],\"completed\":[[7,8]]");
    spelled("\"mark\":5", "\"mark\":5,\"completed\":[[7,8,9]]");
    spelled("\"mark\":5", "\"mark\":5,\"completed\":[[7]]");
    spelled(",\"mark\"", ",\"incarnation\":0,\"mark\"");
    let zeros = "0".repeat(32);
    let capitals = format!("{}A", "0".repeat(31));
    let short = "1".repeat(31);
    for log in [zeros, capitals, short, "1".repeat(33), "g".repeat(32)] {
        spelled(",\"mark\"", &format!(",\"log\":\"{log}\",\"mark\""));
    }
    let marked = format!("\u{feff}{good}");
    assert!(Checkpoint::decode(&JsonCodec, marked.as_bytes()).is_err());
}

#[test]
fn shards_that_descend_or_repeat_are_not_valid() {
    for ids in [[2, 1], [1, 1]] {
        let text = format!(
            "{{\"next_incarnation\":1,\"shards\":[\n{{\"shard\":{},\"mark\":5}},\n\
             {{\"shard\":{},\"mark\":5}}]}}",
            ids[0], ids[1]
        );
        let invalid = |c: Checkpoint| c.validate().is_err();
        assert!(Checkpoint::decode(&JsonCodec, text.as_bytes()).is_ok_and(invalid));
    }
}

#[test]
fn a_refusal_says_where_and_what_was_expected() {
    let refused = Checkpoint::decode(&JsonCodec, b"{\"next_incarnation\":1,\"shards\":[]} ");
    let message = refused.unwrap_err().to_string();
    assert_eq!(message, "byte 34 of the payload: expected the end of the document");
}
