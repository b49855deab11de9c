//! Marks as bytes, for engines that keep them in their own transaction.

use std::sync::Arc;

use repl_core::{ReplicationState, ShardId};

use crate::checkpoint::{Rows, Track, restored};
use crate::codec::JsonCodec;
use crate::content::{Content, Unsealed};
use crate::envelope::{Header, UnsealError};
use crate::ids::StoreId;

/// Turns a [`ReplicationState`] into sealed bytes and back.
///
/// An engine that commits these bytes in the transaction of the data applies exactly once: data and
/// marks become durable together. The bytes are JSON, of an unnamed store with generation 0. For
/// another codec or a store id use [`Checkpoint::seal`], [`Checkpoint::unseal`] and
/// [`Checkpoint::state_of`].
///
/// [`Checkpoint::seal`]: crate::Checkpoint::seal
/// [`Checkpoint::unseal`]: crate::Checkpoint::unseal
/// [`Checkpoint::state_of`]: crate::Checkpoint::state_of
///
/// # In a transaction
/// Each transaction reads the bytes that are stored, adds its own moves to *them* with
/// [`next_checkpoint_bytes`](CheckpointBytes::next_checkpoint_bytes), and commits the result with its
/// data. Do not make the bytes from the live state, nor from a clone of it: appliers that commit
/// side by side would each write the marks of the others as they were before, and a segment would
/// be applied twice. Read the bytes in the transaction that writes them, and let the transactions
/// be serializable.
///
/// - *The live state advances* after the commit, once it is durable. Advanced before, it shows data
///   that a crash may lose.
/// - *Segments may be deleted* up to the marks of the live state:
///   [`Floors::of_durable`](crate::Floors::of_durable).
/// - *A commit in doubt* is one that failed and may have taken effect. Leave the live state alone,
///   and begin the transaction again. If it took effect, the stored mark is at the seqno already:
///   [`Advance::Stale`](repl_core::Advance::Stale). Write nothing, and advance the live state.
/// - *A shard is added, reset or removed* in the stored bytes first, by a transaction of its own,
///   then in the live state.
///
/// All marks are in one value, so each transaction costs a pass over all of them, and two that
/// overlap conflict. An engine with many shards keeps one value per shard.
///
/// ```
/// use repl_checkpoint::CheckpointBytes;
/// use repl_core::{Advance, NewShard, ReplicationState, ShardId};
///
/// let state = ReplicationState::new(&[ShardId(1), ShardId(2)]);
/// let mut stored = state.to_checkpoint_bytes(); // when the database is created
///
/// // In a transaction, for segment 7 of shard 1:
/// let (next, advance) = ReplicationState::next_checkpoint_bytes(&stored, |marks| {
///     marks.advance(ShardId(1), 7)
/// })?;
/// match advance {
///     Advance::Advanced { .. } => stored = next, // with the data of the segment
///     Advance::Stale { .. } => {} // an earlier transaction has applied it: write nothing
///     _ => return Err("the stored bytes lack the shard: add it there first".into()),
/// }
/// state.advance(ShardId(1), 7); // after the commit
///
/// // In a transaction of its own, to add shard 3:
/// let new = NewShard::new(ShardId(3));
/// let (next, added) =
///     ReplicationState::next_checkpoint_bytes(&stored, |marks| marks.add_shard(new.clone()))?;
/// added?;
/// stored = next;
/// state.add_shard(new)?; // after the commit
///
/// // After a crash:
/// let back = ReplicationState::from_checkpoint_bytes(&stored, &[ShardId(1), ShardId(3)])?;
/// assert_eq!(back.applied_seqno(ShardId(1)), Some(7));
/// assert_eq!(back.applied_seqno(ShardId(2)), None); // not asked for
/// assert_eq!(back.applied_seqno(ShardId(3)), Some(0));
/// assert!(ReplicationState::from_checkpoint_bytes(&stored[1..], &[]).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait CheckpointBytes: Sized {
    /// Returns the marks of all tracked shards, with their epochs and what is completed above them,
    /// as sealed bytes.
    ///
    /// Equal marks of the same incarnations give equal bytes.
    fn to_checkpoint_bytes(&self) -> Vec<u8>;

    /// Returns a state that tracks exactly `shards`, at the marks in `bytes`.
    ///
    /// A shard that `bytes` lack begins at 0, in the state alone: before a transaction moves its
    /// mark, add it to the stored bytes. A shard that is not in `shards` is dropped.
    ///
    /// # Errors
    /// [`UnsealError`] if `bytes` are damaged or are no checkpoint. Corrupt bytes never become a
    /// state with nothing applied.
    fn from_checkpoint_bytes(bytes: &[u8], shards: &[ShardId]) -> Result<Self, UnsealError>;

    /// Returns the bytes to store next: those stored now, with `moves` added; and what `moves`
    /// returns.
    ///
    /// `moves` gets the stored marks as a state of their own, which tracks every shard in the
    /// bytes, and advances, completes, adds or removes what the transaction does. O(shards).
    ///
    /// # Errors
    /// [`UnsealError`] if `stored` is damaged or is no checkpoint.
    fn next_checkpoint_bytes<R>(
        stored: &[u8],
        moves: impl FnOnce(&Self) -> R,
    ) -> Result<(Vec<u8>, R), UnsealError>;
}

impl CheckpointBytes for ReplicationState {
    fn to_checkpoint_bytes(&self) -> Vec<u8> {
        sealed(Rows::of(&self.snapshot()), Header::default(), 0)
    }

    fn from_checkpoint_bytes(bytes: &[u8], shards: &[ShardId]) -> Result<Self, UnsealError> {
        let track = Track::only(shards);
        let read = Unsealed::read(&JsonCodec, StoreId::UNNAMED, bytes, &[], &Track::all())?;
        Ok(restored(&read.content.marks, track).0)
    }

    fn next_checkpoint_bytes<R>(
        stored: &[u8],
        moves: impl FnOnce(&Self) -> R,
    ) -> Result<(Vec<u8>, R), UnsealError> {
        let read = Unsealed::read(&JsonCodec, StoreId::UNNAMED, stored, &[], &Track::all())?;
        let Content { marks, orphaned } = read.content;
        let state = ReplicationState::restore(&marks);
        let result = moves(&state);
        let next = Content { marks: Arc::new(state.snapshot()), orphaned };
        Ok((sealed(next.rows(), read.header, read.length), result))
    }
}

#[expect(clippy::expect_used, reason = "a state's snapshot is valid; a Vec takes any JSON")]
fn sealed(rows: Rows<'_>, header: Header, room: usize) -> Vec<u8> {
    let sealed = rows.seal_with_room(&JsonCodec, header, room);
    sealed.expect("a snapshot of a state can be sealed as JSON")
}
