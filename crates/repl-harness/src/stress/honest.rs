//! The real thing.

use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use repl_checkpoint::{
    CheckpointError, Checkpointer, FileStore, Floors, JsonCodec, OnCorrupt, Recovered, Saved,
    StoreId, recover,
};
use repl_core::{
    Advance, AppliedSet, ApplyWindow, ClaimError, Completion, Incarnation, NewShard,
    ReplicationState, SeqNo, SeqRange, Shard, ShardId, Snapshot, WindowError, WindowFull,
};

use super::subject::{
    Changes, Claim, FlushRefused, Handle, NotSaved, Subject, SubjectError, Waited, Waiting, Window,
};

/// The real thing: `ReplicationState`, `Checkpointer` and `FileStore` on the real disk.
#[derive(Debug)]
pub struct Honest {
    state: Arc<ReplicationState>,
    checkpointer: Mutex<Checkpointer>,
    floors: Floors,
}

impl Handle for Shard {
    type Changes = repl_core::Changes;
    type Window = ApplyWindow;

    fn incarnation(&self) -> Incarnation {
        self.incarnation()
    }

    fn applied(&self) -> SeqNo {
        self.applied()
    }

    fn advance(&self, seqno: SeqNo) -> Advance {
        self.advance(seqno)
    }

    fn wait_for(&self, seqno: SeqNo) -> Waited {
        self.wait_for(seqno)
    }

    fn wait_for_timeout(&self, seqno: SeqNo, timeout: Duration) -> Waited {
        self.wait_for_timeout(seqno, timeout)
    }

    fn reached(&self, seqno: SeqNo) -> Waiting<'static> {
        Box::pin(self.reached(seqno))
    }

    fn changes(&self) -> repl_core::Changes {
        self.changes()
    }

    fn completed(&self) -> AppliedSet {
        self.completed()
    }

    fn window(&self, capacity: u64) -> Result<ApplyWindow, WindowError> {
        ApplyWindow::new(self.clone(), capacity)
    }
}

impl Changes for repl_core::Changes {
    fn next(&mut self) -> Waiting<'_> {
        Box::pin(self.next())
    }

    fn wait_next_timeout(&mut self, timeout: Duration) -> Waited {
        self.wait_next_timeout(timeout)
    }
}

impl Window for ApplyWindow {
    type Claim = repl_core::Claim;

    fn claim(&self, seqno: SeqNo) -> Result<repl_core::Claim, ClaimError> {
        self.claim(seqno)
    }

    fn complete(&self, seqno: SeqNo) -> Result<Completion, WindowFull> {
        self.complete(seqno)
    }

    fn skip(&self, range: RangeInclusive<SeqNo>) -> Result<Completion, WindowFull> {
        self.skip(range)
    }

    fn contains(&self, seqno: SeqNo) -> bool {
        self.contains(seqno)
    }

    fn pending(&self) -> Vec<SeqRange> {
        self.pending()
    }
}

impl Claim for repl_core::Claim {
    fn complete(self) -> Completion {
        self.complete()
    }
}

impl Subject for Honest {
    type Handle = Shard;

    fn open(dir: &Path, shards: &[ShardId]) -> Result<Self, SubjectError> {
        let store = FileStore::open(dir, StoreId::UNNAMED).map_err(SubjectError::new)?;
        let recovered = recover(store, JsonCodec, shards, OnCorrupt::Fail);
        let Recovered { state, checkpointer, .. } = recovered.map_err(SubjectError::new)?;
        Ok(Honest { state, floors: checkpointer.floors(), checkpointer: Mutex::new(checkpointer) })
    }

    fn handle(&self, shard: ShardId) -> Option<Shard> {
        self.state.shard(shard)
    }

    fn advance(&self, shard: ShardId, seqno: SeqNo) -> Advance {
        self.state.advance(shard, seqno)
    }

    fn applied(&self, shard: ShardId) -> Option<SeqNo> {
        self.state.applied_seqno(shard)
    }

    fn snapshot(&self) -> Snapshot {
        self.state.snapshot()
    }

    fn add(&self, new: NewShard) -> Option<Shard> {
        self.state.add_shard(new).ok()
    }

    fn reset(&self, new: NewShard) -> Option<Shard> {
        self.state.reset_shard(new)
    }

    fn remove(&self, shard: ShardId) -> bool {
        self.state.remove_shard(shard).is_some()
    }

    fn wait_for_timeout(&self, shard: ShardId, seqno: SeqNo, timeout: Duration) -> Waited {
        self.state.wait_for_timeout(shard, seqno, timeout)
    }

    fn close(&self) {
        self.state.close();
    }

    fn checkpoint(
        &self,
        flush: &mut dyn FnMut(&mut Snapshot) -> Result<(), FlushRefused>,
    ) -> Result<Saved, NotSaved> {
        let checkpointer = self.checkpointer.lock();
        let mut checkpointer = checkpointer.unwrap_or_else(PoisonError::into_inner);
        checkpointer.checkpoint(flush).map_err(|error| match error {
            CheckpointError::Flush(refused) => refused.into(),
            other => NotSaved::Failed(SubjectError::new(other)),
        })
    }

    fn checkpointed(&self, shard: ShardId) -> Option<SeqNo> {
        self.floors.checkpointed(shard)
    }

    fn floor(&self, shard: ShardId) -> Option<SeqNo> {
        self.floors.retention_floor(shard)
    }
}
