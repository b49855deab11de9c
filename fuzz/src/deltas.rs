//! A checkpoint and deltas on it, right and wrong.

use std::path::PathBuf;

use repl_checkpoint::{Candidate, CorruptReason};

use crate::chains::{any_chain, holds};
use crate::choices::Choices;
use crate::expected::Holds;
use crate::planted::{STORE, codec};

/// Unseals a chain, and compares the result with that of applying its deltas one by one.
pub fn deltas(data: &[u8]) {
    let c = &mut Choices::of(data);
    let codec = codec(c);
    let (envelope, deltas) = any_chain(c, &*codec);
    let expected = holds(&*codec, &envelope, &deltas);
    let candidate =
        Candidate { path: PathBuf::new(), generation: None, bytes: Ok(envelope), deltas };
    let found = candidate.unseal(&*codec, STORE);
    match (&expected, &found) {
        (Holds::Whole(generation, checkpoint), Ok((header, found))) => {
            assert_eq!((*generation, &**checkpoint), (header.generation, found));
        }
        (Holds::Corrupt, Err(CorruptReason::Unseal(reason))) => assert!(reason.is_damage()),
        (Holds::Foreign, Err(CorruptReason::Unseal(reason))) => assert!(!reason.is_damage()),
        _ => panic!("{found:?}"),
    }
}
