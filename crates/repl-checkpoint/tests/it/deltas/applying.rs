//! Deltas are applied strictly: what breaks a rule is damage.

use repl_checkpoint::{
    Checkpoint, CorruptReason, DeltaError, DeltaHeader, Generation, Header, JsonCodec, StoreId,
    UnsealError,
};
use repl_core::SeqRange;

use crate::support::deltas::{Chain, delta_on, ids, row, rows};
use crate::support::format::{DELTA, HEADER, delta_with_right_checksums, with_right_checksums};
use crate::support::{Named, header, marks};

/// Shards 1 to 3 in generation 1, with incarnation 4.
fn base() -> Chain {
    Chain::new(1, &rows(5, &[row(1, 4, 10), row(2, 4, 20), row(3, 4, 30)]))
}

fn is(chain: &Chain, expected: &Checkpoint) {
    let (header, found) = chain.unseal().unwrap();
    assert_eq!(header.generation, chain.base().0);
    assert_eq!(found, *expected);
}

fn refused(chain: &Chain) -> (Generation, DeltaError) {
    let CorruptReason::Unseal(reason) = chain.unseal().unwrap_err() else { panic!("not read") };
    assert!(reason.is_damage());
    let UnsealError::Delta { generation, source } = reason else { panic!("{reason}") };
    (generation, source)
}

#[test]
fn a_changed_row_replaces_its_shard_whole() {
    let mut ranges = row(2, 4, 25);
    ranges.completed = Box::new([SeqRange::new(30, 31)]);
    let chain = base().then(&rows(5, &[ranges.clone()]), &[]);
    is(&chain, &rows(5, &[row(1, 4, 10), ranges, row(3, 4, 30)]));
    let chain = chain.then(&rows(5, &[row(2, 4, 31)]), &[]);
    is(&chain, &rows(5, &[row(1, 4, 10), row(2, 4, 31), row(3, 4, 30)]));
}

#[test]
fn shards_are_added_removed_and_begun_again() {
    let chain = base().then(&rows(7, &[row(0, 5, 0), row(9, 6, 0)]), &[2]);
    is(&chain, &rows(7, &[row(0, 5, 0), row(1, 4, 10), row(3, 4, 30), row(9, 6, 0)]));
    // 2 comes back, 9 goes, 3 begins again below its mark.
    let chain = chain.then(&rows(9, &[row(2, 7, 1), row(3, 8, 0)]), &[9]);
    is(&chain, &rows(9, &[row(0, 5, 0), row(1, 4, 10), row(2, 7, 1), row(3, 8, 0)]));
    let chain = chain.then(&rows(9, &[]), &[0, 1, 2, 3]);
    is(&chain, &rows(9, &[]));
}

#[test]
fn an_empty_delta_changes_the_header_alone() {
    is(&base().then(&rows(5, &[]), &[]), &base().unseal().unwrap().1);
}

#[test]
fn a_removed_shard_is_there() {
    let absent = base().then(&rows(5, &[]), &[7]);
    assert!(matches!(refused(&absent), (3, DeltaError::NotThere { shard }) if shard.0 == 7));
    let twice = base().then(&rows(5, &[]), &[2]).then(&rows(5, &[]), &[2]);
    assert!(matches!(refused(&twice), (5, DeltaError::NotThere { shard }) if shard.0 == 2));
    // The last shard is checked as well as those before others.
    let added = base().then(&rows(6, &[row(9, 5, 1)]), &[]).then(&rows(6, &[]), &[8]);
    assert!(matches!(refused(&added), (5, DeltaError::NotThere { shard }) if shard.0 == 8));
}

/// The ids of removed shards in a delta, replaced.
fn with_removed(chain: &Chain, ids: &str) -> Chain {
    let mut chain = chain.clone();
    let delta = chain.deltas.last_mut().unwrap();
    delta[DELTA..DELTA + ids.len()].copy_from_slice(ids.as_bytes());
    *delta = delta_with_right_checksums(delta.clone());
    chain
}

#[test]
fn a_removed_shard_is_not_changed_as_well() {
    let chain = base().then(&rows(5, &[row(2, 4, 21)]), &[3]);
    let chain = with_removed(&chain, "00000000000000000002\n");
    let (3, DeltaError::RemovedAndChanged { shard }) = refused(&chain) else { panic!() };
    assert_eq!(shard.0, 2);
}

#[test]
fn the_ids_of_removed_shards_ascend_and_have_one_spelling() {
    let chain = base().then(&rows(5, &[]), &[1, 2]);
    for ids in [
        "00000000000000000002\n00000000000000000001\n",
        "00000000000000000002\n00000000000000000002\n",
        "+0000000000000000001\n",
        "0000000000000000001 \n",
        "00000000000000000001 ",
        "99999999999999999999\n",
    ] {
        let chain = with_removed(&chain, ids);
        assert!(matches!(refused(&chain), (3, DeltaError::RemovedIds)), "{ids}");
    }
}

#[test]
fn a_mark_does_not_fall_within_an_incarnation() {
    let lower = base().then(&rows(5, &[row(2, 4, 19)]), &[]);
    let is = |chain: &Chain, expected| {
        let (generation, DeltaError::LowerMark { shard, before, found }) = refused(chain) else {
            panic!()
        };
        assert_eq!((generation, shard.0, before, found), expected);
    };
    is(&lower, (3, 2, 20, 19));
    let between =
        base().then(&rows(5, &[row(2, 4, 29)]), &[]).then(&rows(5, &[row(2, 4, 28)]), &[]);
    is(&between, (5, 2, 29, 28));
    let removed = base().then(&rows(5, &[]), &[2]).then(&rows(5, &[row(2, 4, 19)]), &[]);
    is(&removed, (5, 2, 20, 19));
}

#[test]
fn the_incarnation_of_a_shard_does_not_fall() {
    let is = |chain: &Chain, expected| {
        let (generation, DeltaError::LowerIncarnation { shard, before, found }) = refused(chain)
        else {
            panic!()
        };
        assert_eq!((generation, shard.0, before.0, found.0), expected);
    };
    is(&base().then(&rows(5, &[row(3, 3, 99)]), &[]), (3, 3, 4, 3));
    let between = base().then(&rows(7, &[row(3, 6, 0)]), &[]).then(&rows(7, &[row(3, 5, 9)]), &[]);
    is(&between, (5, 3, 6, 5));
    let removed = base().then(&rows(5, &[]), &[3]).then(&rows(5, &[row(3, 3, 99)]), &[]);
    is(&removed, (5, 3, 4, 3));
}

#[test]
fn the_next_incarnation_does_not_fall() {
    let is = |chain: &Chain, expected| {
        let (generation, DeltaError::LowerNextIncarnation { before, found }) = refused(chain)
        else {
            panic!()
        };
        assert_eq!((generation, before.0, found.0), expected);
    };
    is(&base().then(&rows(4, &[]), &[]), (3, 5, 4));
    is(&base().then(&rows(9, &[]), &[]).then(&rows(8, &[]), &[]), (5, 9, 8));
}

#[test]
fn a_delta_builds_on_the_record_before_it() {
    let good = base().then(&rows(5, &[row(1, 4, 11)]), &[]);
    let (generation, crc) = base().base();
    let changed = rows(5, &[row(1, 4, 11)]);
    for wrong in [(generation, crc ^ 1), (generation + 1, crc), (0, crc)] {
        let mut chain = good.clone();
        chain.deltas[0] = delta_on(wrong, 3, &changed, &[]);
        assert!(matches!(refused(&chain), (3, DeltaError::Link)), "{wrong:?}");
    }
    let seal = |header: Header, codec: &Named| {
        let delta = DeltaHeader { header, base: generation, link: crc };
        changed.rows().seal_delta(codec, delta, &[]).unwrap()
    };
    let other_store = Header { store: StoreId(1), ..header(3) };
    for wrong in [seal(other_store, &Named("json")), seal(header(3), &Named("other"))] {
        let mut chain = good.clone();
        chain.deltas[0] = wrong;
        assert!(matches!(refused(&chain), (3, DeltaError::Link)));
    }
    let two = good.clone().then(&rows(5, &[row(1, 4, 12)]), &[]);
    let mut swapped = two.clone();
    swapped.deltas.swap(0, 1);
    assert!(matches!(refused(&swapped), (5, DeltaError::Link)));
    let mut left_out = two;
    left_out.deltas.remove(0);
    assert!(matches!(refused(&left_out), (5, DeltaError::Link)));
}

#[test]
fn the_payload_of_a_delta_and_the_result_are_valid() {
    let with_payload = |from: &str, to: &str| {
        let mut chain = base().then(&rows(6, &[row(1, 4, 11), row(2, 4, 22)]), &[]);
        let text = String::from_utf8(chain.deltas[0].clone()).unwrap();
        assert!(text.contains(from));
        let changed = text.replace(from, to).into_bytes();
        chain.deltas[0] = delta_with_right_checksums(changed);
        refused(&chain)
    };
    let payload = |found| {
        let (3, DeltaError::Payload(reason)) = found else { panic!("{found:?}") };
        *reason
    };
    let descends = payload(with_payload("\"shard\":2", "\"shard\":0"));
    assert!(matches!(descends, UnsealError::Invalid(_)), "{descends}");
    let incarnation = payload(with_payload("\"incarnation\":4", "\"incarnation\":6"));
    assert!(matches!(incarnation, UnsealError::Invalid(_)), "{incarnation}");
    let spelled = payload(with_payload("\"mark\":22", "\"mark\": 2"));
    assert!(matches!(spelled, UnsealError::Payload(_)), "{spelled}");
}

#[test]
fn a_checkpoint_with_a_shard_twice_is_refused_below_a_delta_too() {
    // The second row of shard 1 would pass if it were removed with the first.
    for (ids, changed) in [(&[1][..], rows(5, &[])), (&[], rows(5, &[row(1, 4, 99)]))] {
        let text = String::from_utf8(base().bytes).unwrap();
        let bytes = text.replace("\"shard\":2", "\"shard\":1").into_bytes();
        let mut chain = base();
        chain.bytes = with_right_checksums(bytes);
        let chain = chain.then(&changed, ids);
        let CorruptReason::Unseal(UnsealError::Invalid(_)) = chain.unseal().unwrap_err() else {
            panic!("{ids:?}")
        };
    }
}

#[test]
fn a_checkpoint_that_is_not_valid_is_refused_even_if_a_delta_would_mend_it() {
    let text = String::from_utf8(base().bytes).unwrap();
    for (from, to) in [
        ("\"incarnation\":4,\"mark\":20", "\"incarnation\":6,\"mark\":20"),
        ("\"mark\":20", "\"mark\":20,\"completed\":[[9,9]]"),
    ] {
        let mut bytes = text.replace(from, to).into_bytes();
        let length = format!("{:020}", bytes.len() - HEADER);
        bytes[143..163].copy_from_slice(length.as_bytes());
        let mut chain = base();
        chain.bytes = with_right_checksums(bytes);
        let chain = chain.then(&rows(9, &[row(2, 7, 0)]), &[]);
        let CorruptReason::Unseal(UnsealError::Invalid(_)) = chain.unseal().unwrap_err() else {
            panic!("{to}")
        };
    }
}

#[test]
fn nothing_is_sealed_that_is_refused() {
    let seal = |header, base, changed: &Checkpoint, removed: &[u64]| {
        let delta = DeltaHeader { header, base, link: 7 };
        changed.rows().seal_delta(&JsonCodec, delta, &ids(removed)).map(drop).unwrap_err()
    };
    let plain = marks(&[(1, 5)]);
    for refused in [
        seal(header(3), 3, &plain, &[]),
        seal(Header { confirmed: 3, ..header(3) }, 1, &plain, &[]),
        seal(header(3), 1, &plain, &[1]),
        seal(header(3), 1, &plain, &[3, 2]),
        seal(header(3), 1, &plain, &[2, 2]),
        seal(header(3), 1, &marks(&[(2, 1), (1, 1)]), &[]),
    ] {
        assert!(!refused.to_string().is_empty());
    }
    let delta = DeltaHeader { header: header(3), base: 1, link: 7 };
    let named = plain.rows().seal_delta(&Named("no name"), delta, &[]);
    assert!(named.is_err());
}
