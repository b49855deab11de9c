//! Marks as bytes, for engines that keep them in their own transaction.

use repl_core::{ReplicationState, ShardId};

use crate::checkpoint::Checkpoint;
use crate::codec::JsonCodec;
use crate::envelope::{Header, UnsealError};
use crate::ids::StoreId;

/// Turns a [`ReplicationState`] into sealed bytes and back.
///
/// An engine that commits these bytes in the transaction of the data applies exactly once: data and
/// marks become durable together. The bytes are JSON, of an unnamed store with generation 0. For
/// another codec or a store id use [`Checkpoint::seal`], [`Checkpoint::unseal`] and
/// [`Checkpoint::state_of`].
///
/// Commit the marks as they will be, and advance the live state only afterwards: advanced before
/// the commit it shows data that may be lost, and bytes without the segment have it applied a
/// second time. Do these steps under one lock: two transactions side by side would each write the
/// other's mark as it was before.
///
/// ```
/// use repl_checkpoint::CheckpointBytes;
/// use repl_core::{ReplicationState, ShardId};
///
/// let state = ReplicationState::new(&[ShardId(1), ShardId(2)]);
/// // Under the engine's write lock, for segment 7 of shard 1:
/// let next = state.clone();
/// next.advance(ShardId(1), 7);
/// let bytes = next.to_checkpoint_bytes(); // commit them with the data of the segment
/// state.advance(ShardId(1), 7); // after the commit
///
/// let back = ReplicationState::from_checkpoint_bytes(&bytes, &[ShardId(1), ShardId(3)])?;
/// assert_eq!(back.applied_seqno(ShardId(1)), Some(7));
/// assert_eq!(back.applied_seqno(ShardId(2)), None); // not asked for
/// assert_eq!(back.applied_seqno(ShardId(3)), Some(0)); // not in the bytes
/// assert!(ReplicationState::from_checkpoint_bytes(&bytes[1..], &[]).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait CheckpointBytes: Sized {
    /// Returns the marks of all tracked shards, with what is completed above them, as sealed bytes.
    ///
    /// Equal marks of the same incarnations give equal bytes.
    fn to_checkpoint_bytes(&self) -> Vec<u8>;

    /// Returns a state that tracks exactly `shards`, at the marks in `bytes`.
    ///
    /// A shard that `bytes` lack begins at 0; a shard that is not in `shards` is dropped.
    ///
    /// # Errors
    /// [`UnsealError`] if `bytes` are damaged or are no checkpoint. Corrupt bytes never become a
    /// state with nothing applied.
    fn from_checkpoint_bytes(bytes: &[u8], shards: &[ShardId]) -> Result<Self, UnsealError>;
}

impl CheckpointBytes for ReplicationState {
    #[expect(clippy::expect_used, reason = "a state's snapshot is valid; a Vec takes any JSON")]
    fn to_checkpoint_bytes(&self) -> Vec<u8> {
        Checkpoint::of(&self.snapshot())
            .seal(&JsonCodec, Header::default())
            .expect("a snapshot of a state can be sealed as JSON")
    }

    fn from_checkpoint_bytes(bytes: &[u8], shards: &[ShardId]) -> Result<Self, UnsealError> {
        let (_, checkpoint) = Checkpoint::unseal(&JsonCodec, StoreId::UNNAMED, bytes)?;
        Ok(checkpoint.state_of(shards))
    }
}
