//! A handle with the record of its incarnation.

use std::sync::Arc;

use fastrand::Rng;
use repl_core::{SeqNo, Shard};

use super::ledger::{Kind, Record};
use super::seqnos;

/// A handle, and the record of its incarnation.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    pub(crate) handle: Shard,
    pub(crate) record: Arc<Record>,
}

impl Held {
    /// A seqno that a shard of this kind may reach soon.
    pub(crate) fn ahead(&self, rng: &mut Rng, kind: Kind) -> SeqNo {
        let (at, shard) = (self.handle.applied(), self.record.shard);
        match kind {
            Kind::Plain | Kind::Relay => seqnos::by_id(seqnos::progress(at) + rng.u64(..4), shard),
            Kind::Window { .. } => at.saturating_add(rng.u64(..16)),
        }
    }
}
