//! The bytes of a chain: every prefix, flipped bit and extension is refused.

use repl_checkpoint::{CorruptReason, DeltaError, UnsealError};

use crate::support::deltas::{Chain, row, rows};
use crate::support::format::DELTA;

fn chain() -> Chain {
    let base = Chain::new(1, &rows(5, &[row(1, 4, 10), row(2, 4, 20)]));
    base.then(&rows(5, &[row(1, 4, 11)]), &[2]).then(&rows(6, &[row(7, 5, 1)]), &[])
}

/// Replaces the envelope, or a delta.
fn with(place: usize, record: Vec<u8>) -> Chain {
    let mut chain = chain();
    match place.checked_sub(1) {
        None => chain.bytes = record,
        Some(delta) => chain.deltas[delta] = record,
    }
    chain
}

fn record(place: usize) -> Vec<u8> {
    let chain = chain();
    place.checked_sub(1).map_or(chain.bytes, |delta| chain.deltas[delta].clone())
}

fn is_damage(chain: &Chain, what: &str) {
    match chain.unseal() {
        Err(CorruptReason::Unseal(reason)) => assert!(reason.is_damage(), "{what}: {reason}"),
        other => panic!("{what}: {other:?}"),
    }
}

#[test]
fn every_prefix_of_a_record_is_refused_as_damage() {
    for place in 0..3 {
        let whole = record(place);
        for length in 0..whole.len() {
            is_damage(&with(place, whole[..length].to_vec()), &format!("{place}, {length} bytes"));
        }
    }
}

#[test]
fn every_flipped_bit_of_a_record_is_refused_as_damage() {
    for place in 0..3 {
        let whole = record(place);
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            is_damage(&with(place, bytes), &format!("{place}, bit {bit}"));
        }
    }
}

#[test]
fn every_extension_of_a_record_is_refused_as_damage() {
    for place in 0..3 {
        for byte in 0..=u8::MAX {
            let extended = [record(place), vec![byte]].concat();
            is_damage(&with(place, extended), &format!("{place}, {byte}"));
        }
        let padded = [record(place), vec![0xff; 512]].concat();
        is_damage(&with(place, padded), "padded");
    }
}

#[test]
fn the_fields_of_a_delta_are_at_their_documented_offsets() {
    let bytes = record(1);
    let line = std::str::from_utf8(&bytes[..DELTA]).unwrap();
    assert_eq!(&line[..39], "repl-checkpoint delta v2 codec=json    ");
    assert_eq!(&line[39..78], " store=0000000000000000000000000000feed");
    assert_eq!(&line[78..110], " generation=00000000000000000003");
    assert_eq!(&line[110..141], " confirmed=00000000000000000002");
    assert_eq!(&line[141..167], " base=00000000000000000001");
    let (_, crc) = Chain::new(1, &rows(5, &[row(1, 4, 10), row(2, 4, 20)])).base();
    assert_eq!(line[167..181], format!(" link={crc:08x}"));
    assert_eq!(&line[181..210], " removed=00000000000000000001");
    let rest = &bytes[DELTA..];
    assert_eq!(line[210..238], format!(" length={:020}", rest.len()));
    assert_eq!(line[238..255], format!(" payload={:08x}", crc32c::crc32c(rest)));
    assert_eq!(line[255..], format!(" crc32c={:08x}\n", crc32c::crc32c(&bytes[..263])));
    let payload =
        "{\"next_incarnation\":5,\"shards\":[\n{\"shard\":1,\"incarnation\":4,\"mark\":11}]}";
    assert_eq!(rest, format!("00000000000000000002\n{payload}").as_bytes());
}

#[test]
fn a_delta_whose_numbers_contradict_each_other_is_refused() {
    let base = Chain::new(1, &rows(5, &[row(1, 4, 10), row(2, 4, 20)]));
    let forged = |field: usize, number: u64| {
        let mut chain = base.clone().then(&rows(5, &[row(1, 4, 11)]), &[2]);
        let bytes = &mut chain.deltas[0];
        bytes[field..field + 20].copy_from_slice(format!("{number:020}").as_bytes());
        let crc = format!("{:08x}", crc32c::crc32c(&bytes[..263]));
        bytes[263..271].copy_from_slice(crc.as_bytes());
        chain.unseal()
    };
    let (generation, confirmed, base, removed) = (90, 121, 147, 190);
    assert!(forged(generation, 3).is_ok(), "as it was");
    // Not above its base; confirms itself, or a later one; more removed shards than bytes.
    for (field, number) in [
        (generation, 1),
        (confirmed, 3),
        (confirmed, 4),
        (base, 3),
        (removed, 5),
        (removed, u64::MAX),
    ] {
        let refused = forged(field, number).unwrap_err();
        let CorruptReason::Unseal(UnsealError::Delta { source: DeltaError::Header, .. }) = refused
        else {
            panic!("{field} {number}: {refused:?}");
        };
    }
}
