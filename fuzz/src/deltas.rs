//! A checkpoint and deltas on it, right and wrong.

use std::path::PathBuf;

use repl_checkpoint::{Candidate, Checkpoint, Codec, CorruptReason, DeltaHeader, Header};

use crate::chains::{Link, any_chain, holds, removed_in};
use crate::choices::Choices;
use crate::expected::Holds;
use crate::format::{DELTA_HEADER, delta_in};
use crate::planted::{STORE, codec};
use crate::records::{Change, right_delta};

/// Unseals a chain, and compares the result with that of applying its deltas one by one. What is
/// accepted is sealed again, damaged, and made into a single delta.
pub fn deltas(data: &[u8]) {
    let c = &mut Choices::of(data);
    let codec = codec(c);
    let (envelope, deltas) = any_chain(c, &*codec);
    let expected = holds(&*codec, &envelope, &deltas);
    let found = unseal(&*codec, &envelope, &deltas);
    match (&expected, &found) {
        (Holds::Whole(generation, checkpoint), Ok((header, found))) => {
            assert_eq!((*generation, &**checkpoint), (header.generation, found));
            for record in &deltas {
                seals_again(&*codec, record);
            }
            joined(&*codec, &envelope, *header, found, deltas.is_empty());
            damaged(c, &*codec, envelope, deltas);
        }
        (Holds::Corrupt, Err(CorruptReason::Unseal(reason))) => assert!(reason.is_damage()),
        (Holds::Foreign, Err(CorruptReason::Unseal(reason))) => assert!(!reason.is_damage()),
        _ => panic!("{found:?}"),
    }
}

fn unseal(
    codec: &dyn Codec,
    envelope: &[u8],
    deltas: &[Vec<u8>],
) -> Result<(Header, Checkpoint), CorruptReason> {
    let (bytes, deltas) = (Ok(envelope.to_vec()), deltas.to_vec());
    Candidate { path: PathBuf::new(), generation: None, bytes, deltas }.unseal(codec, STORE)
}

/// Asserts that what is in a delta is sealed to the same bytes.
fn seals_again(codec: &dyn Codec, record: &[u8]) {
    let (delta, ..) = delta_in(record).expect("an accepted delta has a right header");
    let ids = usize::try_from(delta.removed).expect("they are in memory") * 21;
    let (ids, payload) = record[DELTA_HEADER..].split_at(ids);
    let removed = removed_in(ids).expect("an accepted delta has right ids");
    let changed = Checkpoint::decode(codec, payload).expect("an accepted payload is decoded");
    let header =
        Header { store: delta.store, generation: delta.generation, confirmed: delta.confirmed };
    let header = DeltaHeader { header, base: delta.base, link: delta.link };
    let again = changed.rows().seal_delta(codec, header, &removed);
    assert!(again.expect("what was accepted can be sealed") == record, "sealed differently");
}

/// Asserts that one delta with all that differs gives the same as the deltas of a chain.
fn joined(codec: &dyn Codec, envelope: &[u8], last: Header, found: &Checkpoint, is_whole: bool) {
    if is_whole {
        return;
    }
    let (_, base) = unseal(codec, envelope, &[]).expect("it was accepted with its deltas");
    let link = Link::of(envelope).expect("an accepted envelope has a right header");
    let change = Change::between(&base, found);
    let delta = right_delta(codec, &link, last.generation, last.confirmed, &change);
    assert_eq!(unseal(codec, envelope, &[delta]).unwrap(), (last, found.clone()));
}

/// Asserts that a chain is refused if a few bytes have changed, or if a delta is missing that
/// another builds on.
fn damaged(
    c: &mut Choices<'_>,
    codec: &dyn Codec,
    mut envelope: Vec<u8>,
    mut deltas: Vec<Vec<u8>>,
) {
    if deltas.len() > 1 {
        let mut fewer = deltas.clone();
        fewer.remove(c.place(deltas.len() - 1));
        assert!(unseal(codec, &envelope, &fewer).is_err(), "a missing delta goes unseen");
    }
    let at = c.place(1 + deltas.len());
    c.burst(deltas.get_mut(at).unwrap_or(&mut envelope));
    assert!(unseal(codec, &envelope, &deltas).is_err(), "damage goes unseen");
}
