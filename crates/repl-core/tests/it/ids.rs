//! Identifiers: conversions, display, and which logs may be the same.

use repl_core::{Incarnation, LogId, NewShard, ShardId};

#[test]
fn numbers_convert_into_ids() {
    assert_eq!(ShardId::from(7), ShardId(7));
    assert_eq!(Incarnation::from(7), Incarnation(7));
    assert_eq!(LogId::from(7_u64), LogId(7));
    assert_eq!(LogId::from(u128::MAX), LogId(u128::MAX));
    assert_eq!(NewShard::new(7), NewShard::from(ShardId(7)));
}

#[test]
fn a_new_shard_begins_unnamed_with_nothing_applied() {
    let new = NewShard::new(7);
    assert_eq!((new.shard, new.log, new.mark), (ShardId(7), LogId::UNNAMED, 0));
    let new = new.with_mark(5).with_log(LogId(9)).with_mark(6);
    assert_eq!((new.shard, new.log, new.mark), (ShardId(7), LogId(9), 6));
}

#[test]
fn ids_display_as_numbers() {
    assert_eq!((ShardId(7).to_string(), Incarnation(8).to_string()), ("7".into(), "8".into()));
    assert_eq!(LogId(0xfeed).to_string(), format!("{:0>32}", "feed"));
    assert_eq!(LogId(u128::MAX).to_string(), "f".repeat(32));
}

#[test]
fn logs_may_be_the_same_if_they_are_equal_or_one_is_unnamed() {
    let (a, b) = (LogId(1), LogId(2));
    for (ours, theirs, may_be) in [
        (a, a, true),
        (a, b, false),
        (a, LogId::UNNAMED, true),
        (LogId::UNNAMED, LogId::UNNAMED, true),
    ] {
        assert_eq!((ours.may_be(theirs), theirs.may_be(ours)), (may_be, may_be));
    }
}

#[test]
fn the_last_incarnation_has_no_next() {
    assert_eq!(Incarnation(4).next(), Incarnation(5));
    assert_eq!(Incarnation(u64::MAX).next(), Incarnation(u64::MAX));
}

#[cfg(feature = "serde")]
#[test]
fn ids_are_written_as_numbers_and_logs_as_hex_digits() {
    let ids = (ShardId(7), Incarnation(u64::MAX), LogId(u128::MAX));
    let text = serde_json::to_string(&ids).unwrap();
    assert_eq!(text, format!("[7,{},\"{:x}\"]", u64::MAX, u128::MAX));
    assert_eq!(serde_json::from_str::<(ShardId, Incarnation, LogId)>(&text).unwrap(), ids);
}

#[cfg(feature = "serde")]
#[test]
fn a_log_is_read_from_exactly_32_hex_digits() {
    let log = LogId(0xfeed);
    let value = serde_json::to_value(log).unwrap();
    assert_eq!(value, "0000000000000000000000000000feed");
    assert_eq!(serde_json::from_value::<LogId>(value).unwrap(), log);
    for other in ["feed", "0000000000000000000000000000FEED", "+000000000000000000000000000feed"] {
        assert!(serde_json::from_value::<LogId>(other.into()).is_err(), "{other}");
    }
}
