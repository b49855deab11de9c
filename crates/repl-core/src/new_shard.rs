//! What a new incarnation of a shard begins with.

use crate::epochs::Epochs;
use crate::ids::{LogId, SeqNo, ShardId};

/// What a new incarnation of a shard begins with: see [`ReplicationState::add_shard`].
///
/// ```
/// use repl_core::{LogId, NewShard, ShardId};
///
/// let copied_up_to_40 = NewShard::new(ShardId(7)).with_mark(40).with_log(LogId(0xfeed));
/// assert_eq!(copied_up_to_40.mark, 40);
/// ```
///
/// [`ReplicationState::add_shard`]: crate::ReplicationState::add_shard
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct NewShard {
    /// The shard.
    pub shard: ShardId,
    /// The log that it follows.
    pub log: LogId,
    /// The last segment that is already applied, for instance by a base copy; 0 for none.
    pub mark: SeqNo,
    /// The epochs of the log as far as it is applied, and those that have begun since.
    pub epochs: Epochs,
}

impl NewShard {
    /// A shard of an unnamed log without epochs, with nothing applied.
    pub fn new(shard: impl Into<ShardId>) -> Self {
        let epochs = Epochs::default();
        NewShard { shard: shard.into(), log: LogId::UNNAMED, mark: 0, epochs }
    }

    /// Starts at `mark`: every segment up to and including it counts as applied.
    #[must_use]
    pub fn with_mark(self, mark: SeqNo) -> Self {
        NewShard { mark, ..self }
    }

    /// Follows the log `log`.
    #[must_use]
    pub fn with_log(self, log: LogId) -> Self {
        NewShard { log, ..self }
    }

    /// Begins with these epochs: those of the log that the shard follows.
    ///
    /// A base copy brings them with it, as it brings its mark.
    #[must_use]
    pub fn with_epochs(self, epochs: Epochs) -> Self {
        NewShard { epochs, ..self }
    }
}

impl From<ShardId> for NewShard {
    fn from(shard: ShardId) -> Self {
        NewShard::new(shard)
    }
}
