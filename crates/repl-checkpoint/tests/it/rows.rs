//! A checkpoint is written and read row by row, and says what the whole one says.

use proptest::prelude::*;
use repl_checkpoint::{
    Checkpoint, CheckpointBytes, Codec, CodecError, FileStore, Header, InvalidCheckpoint,
    JsonCodec, NoSync, OnCorrupt, Rows, SealError, ShardCheckpoint, UnsealError, recover,
};
use repl_core::{Incarnation, ReplicationState, SeqRange, ShardId, SnapshotEntry};

use crate::codecs::encode;
use crate::support::arbitrary::{checkpoint, number};
use crate::support::{STORE, codecs, durable, every_field, header, marks, put, saved_in, sealed};

/// The JSON codec, which writes these bytes whatever the rows are.
struct Fixed(Vec<u8>);

impl Codec for Fixed {
    fn name(&self) -> &'static str {
        JsonCodec.name()
    }
    fn encode(&self, _: &mut Rows<'_>, out: &mut Vec<u8>) -> Result<(), CodecError> {
        out.extend_from_slice(&self.0);
        Ok(())
    }
    fn decode(
        &self,
        bytes: &[u8],
        row: &mut dyn FnMut(ShardCheckpoint),
    ) -> Result<Incarnation, CodecError> {
        JsonCodec.decode(bytes, row)
    }
}

/// An envelope around a checkpoint that may break any rule.
fn sealed_unchecked(checkpoint: &Checkpoint) -> Vec<u8> {
    let payload = Fixed(encode(&JsonCodec, checkpoint));
    Checkpoint::default().seal(&payload, Header::default()).unwrap()
}

/// The row as a state saves it: ranges that touch each other or the mark are joined.
fn joined(row: &ShardCheckpoint) -> ShardCheckpoint {
    let epochs = row.epochs.clone();
    ShardCheckpoint { epochs, ..SnapshotEntry::from(row).into() }
}

/// A checkpoint with up to three numbers replaced by arbitrary ones, and perhaps two shards
/// swapped.
fn broken() -> impl Strategy<Value = Checkpoint> {
    let change = (0..6_usize, any::<prop::sample::Index>(), 0..12_u64, number());
    (checkpoint(), proptest::collection::vec(change, 0..4)).prop_map(|(mut checkpoint, changes)| {
        for (what, at, small, number) in changes {
            if checkpoint.shards.is_empty() {
                break;
            }
            let i = at.index(checkpoint.shards.len());
            let row = &mut checkpoint.shards[i];
            match what {
                0 => checkpoint.next_incarnation = Incarnation(small),
                1 => row.incarnation = Incarnation(number),
                2 => row.completed = Box::new([SeqRange::new(small, small.max(number))]),
                3 => row.mark = number,
                4 => row.epochs.reverse(),
                _ => checkpoint.shards.swap(0, i),
            }
        }
        checkpoint
    })
}

proptest! {
    #[test]
    fn the_rows_of_marks_are_those_of_their_checkpoint(checkpoint in checkpoint()) {
        let marks = checkpoint.state_of(repl_checkpoint::Track::all()).snapshot();
        let whole = Checkpoint::of(&marks);
        prop_assert_eq!(Rows::of(&marks).to_checkpoint(), whole.clone());
        for codec in codecs() {
            let sealed = Rows::of(&marks).seal(codec, header(1)).unwrap();
            prop_assert_eq!(sealed, whole.seal(codec, header(1)).unwrap());
        }
    }

    #[cfg(feature = "serde")]
    #[test]
    fn rows_are_serialized_as_a_checkpoint_of_those_that_are_left(checkpoint in checkpoint()) {
        let marks = checkpoint.state_of(repl_checkpoint::Track::all()).snapshot();
        let mut rows = [checkpoint.rows(), Rows::of(&marks)];
        for left in (0..=checkpoint.shards.len()).rev() {
            for rows in &mut rows {
                prop_assert_eq!(rows.len(), left);
                prop_assert_eq!(rows.is_empty(), left == 0);
                let json = serde_json::to_string(rows).unwrap();
                let read: Checkpoint = serde_json::from_str(&json).unwrap();
                prop_assert_eq!(&read, &rows.to_checkpoint());
                prop_assert_eq!(read.shards.len(), left);
                prop_assert_eq!(rows.next().is_some(), left > 0);
            }
        }
    }

    #[test]
    fn a_save_holds_every_recovered_row_tracked_or_not(
        checkpoint in checkpoint(),
        tracked in any::<u8>(),
    ) {
        let dir = tempfile::tempdir().unwrap();
        put(dir.path(), 1, &sealed(1, &checkpoint));
        let is_tracked = |i: usize| tracked >> i & 1 == 1;
        let rows = || checkpoint.shards.iter().enumerate();
        let ids: Vec<ShardId> =
            rows().filter(|(i, _)| is_tracked(*i)).map(|(_, row)| row.shard).collect();
        let store = FileStore::open_on(NoSync, dir.path(), STORE).unwrap();
        let mut follower = recover(store, JsonCodec, &ids, OnCorrupt::Fail).unwrap();
        follower.checkpointer.checkpoint(durable).unwrap();
        let expected: Vec<ShardCheckpoint> =
            rows().map(|(i, row)| if is_tracked(i) { joined(row) } else { row.clone() }).collect();
        let (_, saved) = saved_in(dir.path(), 2);
        prop_assert_eq!(saved.next_incarnation, checkpoint.next_incarnation);
        prop_assert_eq!(saved.shards, expected);
    }

    #[test]
    fn rows_that_are_read_one_by_one_break_the_same_rule_first(checkpoint in broken()) {
        let bytes = sealed_unchecked(&checkpoint);
        match (checkpoint.validate(), ReplicationState::from_checkpoint_bytes(&bytes, &[])) {
            (Ok(()), Ok(_)) => {}
            (Err(rule), Err(UnsealError::Invalid(found))) => prop_assert_eq!(found, rule),
            (rule, found) => prop_assert!(false, "{rule:?}, {found:?}"),
        }
    }
}

/// A codec that refuses every checkpoint before its first row.
struct Refuses;

impl Codec for Refuses {
    fn name(&self) -> &'static str {
        "refuses"
    }
    fn encode(&self, _: &mut Rows<'_>, _: &mut Vec<u8>) -> Result<(), CodecError> {
        Err(CodecError::new("never"))
    }
    fn decode(
        &self,
        _: &[u8],
        row: &mut dyn FnMut(ShardCheckpoint),
    ) -> Result<Incarnation, CodecError> {
        row(marks(&[(1, 1)]).shards.remove(0));
        row(marks(&[(1, 1)]).shards.remove(0));
        Err(CodecError::new("never"))
    }
}

#[test]
fn a_row_that_is_not_valid_is_named_whatever_the_codec_reads() {
    let mut checkpoint = every_field();
    let last = checkpoint.shards.len() - 1;
    checkpoint.shards[last].shard = ShardId(0);
    let rule = InvalidCheckpoint::ShardOrder { shard: ShardId(0) };
    for codec in [&Refuses as &dyn Codec, &Fixed(Vec::new()), &JsonCodec] {
        let refused = checkpoint.seal(codec, header(1)).unwrap_err();
        assert!(matches!(refused, SealError::Invalid(found) if found == rule), "{refused:?}");
    }
}

#[test]
fn bytes_that_the_codec_refuses_are_refused_for_that_whatever_rows_it_read_before() {
    let bytes = Checkpoint::default().seal(&Named(Refuses), header(1)).unwrap();
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), 1, &bytes);
    let store = FileStore::open_on(NoSync, dir.path(), STORE).unwrap();
    let refused = recover(store, Refuses, &[], OnCorrupt::Fail).unwrap_err();
    let causes = std::error::Error::source(&refused).unwrap().to_string();
    assert_eq!(causes, "its payload cannot be decoded");
}

/// Writes nothing, under the name of another codec.
struct Named<C>(C);

impl<C: Codec> Codec for Named<C> {
    fn name(&self) -> &'static str {
        self.0.name()
    }
    fn encode(&self, _: &mut Rows<'_>, _: &mut Vec<u8>) -> Result<(), CodecError> {
        Ok(())
    }
    fn decode(
        &self,
        bytes: &[u8],
        row: &mut dyn FnMut(ShardCheckpoint),
    ) -> Result<Incarnation, CodecError> {
        self.0.decode(bytes, row)
    }
}
