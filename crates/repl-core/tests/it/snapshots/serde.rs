//! Snapshots through serde.

use super::*;

proptest! {
    #[test]
    fn any_snapshot_is_read_back_as_it_was_written(entries in entries(), next in 0..9_u64) {
        let snapshot: Snapshot = entries.into_iter().collect();
        let snapshot = snapshot.with_next_incarnation(Incarnation(next));
        let text = serde_json::to_string(&snapshot).unwrap();
        prop_assert_eq!(serde_json::from_str::<Snapshot>(&text).unwrap(), snapshot);
    }
}

const ENTRY: &str = concat!(
    r#"{"shard":1,"log":"00000000000000000000000000000005","incarnation":3,"#,
    r#""applied_set":{"mark":2,"above":[]},"epochs":[]}"#,
);

#[test]
fn a_snapshot_is_written_as_its_next_incarnation_and_its_entries() {
    let entry = SnapshotEntry::new(SHARD, AppliedSet::up_to(2));
    let entry = entry.with_log(LogId(5)).with_incarnation(Incarnation(3));
    let snapshot = Snapshot::from_iter([entry.clone()]);
    assert_eq!(serde_json::to_string(&entry).unwrap(), ENTRY);
    assert_eq!(serde_json::from_str::<SnapshotEntry>(ENTRY).unwrap(), entry);
    let text = serde_json::to_string(&snapshot).unwrap();
    assert_eq!(text, format!(r#"{{"next_incarnation":4,"shards":[{ENTRY}]}}"#));
}

#[test]
fn a_snapshot_that_is_not_in_form_is_refused() {
    let second = ENTRY.replace(r#""shard":1"#, r#""shard":2"#);
    for (next, shards, why) in [
        (4, format!("{second},{ENTRY}"), "do not ascend"),
        (4, format!("{ENTRY},{ENTRY}"), "do not ascend"),
        (3, ENTRY.to_owned(), "incarnation 3 or a later one"),
        (0, ENTRY.to_owned(), "incarnation 0 or a later one"),
        (4, ENTRY.replacen("[]", r#"[{"first":3,"last":4}]"#, 1), "the ranges above 2"),
        (4, ENTRY.replacen("[]", r#"[{"first":9,"last":4}]"#, 1), "inverted"),
        (4, ENTRY.replace(r#"s":[]"#, r#"s":[{"epoch":1}]"#), "missing field `first`"),
        (4, ENTRY.replace(r#""incarnation":3,"#, ""), "missing field `incarnation`"),
        (4, ENTRY.replace(r#""mark":2"#, r#""mark":2,"more":0"#), "unknown field `more`"),
        (4, ENTRY.replace(r#""shard":1"#, r#""shard":1,"more":0"#), "unknown field `more`"),
    ] {
        let text = format!(r#"{{"next_incarnation":{next},"shards":[{shards}]}}"#);
        let error = serde_json::from_str::<Snapshot>(&text).unwrap_err().to_string();
        assert!(error.contains(why), "{text}: {error}");
    }
    for (text, why) in [
        (r#"{"shards":[]}"#, "missing field `next_incarnation`"),
        (r#"{"next_incarnation":0}"#, "missing field `shards`"),
        (r#"{"next_incarnation":0,"shards":[],"version":1}"#, "unknown field `version`"),
    ] {
        let error = serde_json::from_str::<Snapshot>(text).unwrap_err().to_string();
        assert!(error.contains(why), "{text}: {error}");
    }
}
