//! Why a delta is not applied.

use std::error::Error;
use std::fmt;

use repl_core::{Incarnation, SeqNo, ShardId};

use super::UnsealError;

/// Why a delta is not applied.
#[derive(Debug)]
#[non_exhaustive]
pub enum DeltaError {
    /// Its header is cut off or damaged, or is that of another version.
    Header,
    /// It does not build on the record before it.
    Link,
    /// The ids of removed shards are cut off, in another spelling or out of order.
    RemovedIds,
    /// Its payload is damaged or is not a valid checkpoint.
    Payload(Box<UnsealError>),
    /// It removes a shard that is not there.
    NotThere {
        /// The shard.
        shard: ShardId,
    },
    /// It changes a shard that it removes.
    RemovedAndChanged {
        /// The shard.
        shard: ShardId,
    },
    /// It lowers a mark within one incarnation.
    LowerMark {
        /// The shard.
        shard: ShardId,
        /// The mark before.
        before: SeqNo,
        /// The mark that it says.
        found: SeqNo,
    },
    /// It lowers the incarnation of a shard.
    LowerIncarnation {
        /// The shard.
        shard: ShardId,
        /// The incarnation before.
        before: Incarnation,
        /// The incarnation that it says.
        found: Incarnation,
    },
    /// It lowers the next incarnation.
    LowerNextIncarnation {
        /// The next incarnation before.
        before: Incarnation,
        /// The next incarnation that it says.
        found: Incarnation,
    },
}

impl fmt::Display for DeltaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DeltaError::Header => f.write_str("its header line is damaged"),
            DeltaError::Link => f.write_str("it does not build on the record before it"),
            DeltaError::RemovedIds => f.write_str("its ids of removed shards are damaged"),
            DeltaError::Payload(error) => error.fmt(f),
            DeltaError::NotThere { shard } => {
                write!(f, "it removes shard {shard}, which is not there")
            }
            DeltaError::RemovedAndChanged { shard } => {
                write!(f, "it removes shard {shard}, and changes it as well")
            }
            DeltaError::LowerMark { shard, before, found } => {
                write!(f, "it lowers the mark of shard {shard} from {before} to {found}")
            }
            DeltaError::LowerIncarnation { shard, before, found } => {
                write!(f, "it lowers the incarnation of shard {shard} from {before} to {found}")
            }
            DeltaError::LowerNextIncarnation { before, found } => {
                write!(f, "it lowers the next incarnation from {before} to {found}")
            }
        }
    }
}

impl Error for DeltaError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            DeltaError::Payload(error) => error.source(),
            _ => None,
        }
    }
}

impl From<UnsealError> for DeltaError {
    fn from(error: UnsealError) -> Self {
        DeltaError::Payload(Box::new(error))
    }
}
