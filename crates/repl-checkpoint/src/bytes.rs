//! The marks as bytes, for engines that keep them in their own transaction.

use repl_core::{ReplicationState, ShardId};

use crate::checkpoint::Checkpoint;
use crate::codec::JsonCodec;
use crate::envelope::{Header, StoreId, UnsealError, open, seal};

/// Turns a [`ReplicationState`] into bytes and back, sealed as JSON of an unnamed store with
/// generation 0.
///
/// An engine that commits these bytes with the data they speak of applies exactly once: there is no
/// instant at which one is durable and the other is not. With another codec or a store's name, use
/// [`seal`] and [`open`] with a [`Checkpoint`], and
/// [`Checkpoint::state_of`].
///
/// ```
/// use repl_checkpoint::CheckpointBytes;
/// use repl_core::{ReplicationState, ShardId};
///
/// let state = ReplicationState::new(&[ShardId(1), ShardId(2)]);
/// state.advance(ShardId(1), 7);
/// let bytes = state.to_checkpoint_bytes();
/// let back = ReplicationState::from_checkpoint_bytes(&bytes, &[ShardId(1), ShardId(3)])?;
/// assert_eq!(back.applied_seqno(ShardId(1)), Some(7));
/// assert_eq!(back.applied_seqno(ShardId(2)), None); // not named
/// assert_eq!(back.applied_seqno(ShardId(3)), Some(0)); // not in the bytes
/// assert!(ReplicationState::from_checkpoint_bytes(&bytes[1..], &[]).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait CheckpointBytes: Sized {
    /// The sealed marks of all tracked shards. The same marks of the same lives of shards give the
    /// same bytes.
    fn to_checkpoint_bytes(&self) -> Vec<u8>;

    /// A state of exactly `shards`, at the marks that `bytes` hold: a shard that they do not name
    /// starts at 0, and one that is not in `shards` is dropped.
    ///
    /// # Errors
    /// [`UnsealError`] where `bytes` are damaged or not such bytes: never a state that has silently
    /// nothing applied.
    fn from_checkpoint_bytes(bytes: &[u8], shards: &[ShardId]) -> Result<Self, UnsealError>;
}

impl CheckpointBytes for ReplicationState {
    #[expect(clippy::expect_used, reason = "a state's snapshot is valid; a Vec takes any JSON")]
    fn to_checkpoint_bytes(&self) -> Vec<u8> {
        seal(&JsonCodec, Header::default(), &Checkpoint::of(&self.snapshot()))
            .expect("a snapshot of a state can be sealed as JSON")
    }

    fn from_checkpoint_bytes(bytes: &[u8], shards: &[ShardId]) -> Result<Self, UnsealError> {
        let (_, checkpoint) = open(&JsonCodec, StoreId::UNNAMED, bytes)?;
        Ok(checkpoint.state_of(shards))
    }
}
