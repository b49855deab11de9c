//! The real types behind the interface of the suite.

use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use repl_checkpoint::{
    CheckpointError, Checkpointer, FileStore, Floors, Generation, JsonCodec, OnCorrupt, Recovered,
    Saved, StoreId, recover,
};
use repl_core::{
    Advance, AppliedSet, ApplyWindow, ClaimError, CompleteError, Completion, Incarnation, NewShard,
    NextChange, Reached, ReplicationState, SeqNo, Shard, ShardId, Snapshot, WindowError,
};

use super::subject::{
    Attempt, Changes, Claim, Handle, NotSaved, Subject, SubjectError, Wait, Waited, Window,
};
use crate::locked::locked;

/// The real types: `ReplicationState`, `Checkpointer` and `FileStore` on the real disk.
#[derive(Debug)]
pub struct Real {
    state: Arc<ReplicationState>,
    checkpointer: Mutex<Checkpointer>,
    floors: Floors,
}

impl Wait for Reached {
    fn wait(self) -> Waited {
        self.wait()
    }

    fn wait_timeout(self, timeout: Duration) -> Waited {
        self.wait_timeout(timeout)
    }
}

impl Wait for NextChange<'_> {
    fn wait(self) -> Waited {
        self.wait()
    }

    fn wait_timeout(self, timeout: Duration) -> Waited {
        self.wait_timeout(timeout)
    }
}

impl Handle for Shard {
    type Reached = Reached;
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

    fn reached(&self, seqno: SeqNo) -> Reached {
        self.reached(seqno)
    }

    fn changes(&self) -> repl_core::Changes {
        self.changes()
    }

    fn contains(&self, seqno: SeqNo) -> bool {
        self.contains(seqno)
    }

    fn applied_set(&self) -> AppliedSet {
        self.applied_set()
    }

    fn window(&self, capacity: u64) -> Result<ApplyWindow, WindowError> {
        ApplyWindow::new(self.clone(), capacity)
    }
}

impl Changes for repl_core::Changes {
    type Next<'a> = NextChange<'a>;

    fn next(&mut self) -> NextChange<'_> {
        self.next()
    }
}

impl Window for ApplyWindow {
    type Claim = repl_core::Claim;

    fn try_claim(&self, seqno: SeqNo) -> Result<repl_core::Claim, ClaimError> {
        self.try_claim(seqno)
    }

    fn complete(&self, seqno: SeqNo) -> Result<Completion, CompleteError> {
        self.complete(seqno)
    }

    fn skip(&self, range: RangeInclusive<SeqNo>) -> Result<Completion, CompleteError> {
        self.skip(range)
    }
}

impl Claim for repl_core::Claim {
    fn complete(self) -> Result<Completion, CompleteError> {
        self.complete()
    }
}

impl Attempt for repl_checkpoint::Attempt {
    fn marks(&self) -> &Snapshot {
        self.marks()
    }

    fn lower(&mut self, shard: ShardId, mark: SeqNo) {
        self.lower(shard, mark);
    }

    fn drop_above(&mut self, shard: ShardId) {
        self.drop_above(shard);
    }
}

impl Subject for Real {
    type Handle = Shard;
    type Attempt = repl_checkpoint::Attempt;

    fn open(dir: &Path, shards: &[ShardId]) -> Result<Self, SubjectError> {
        let store = FileStore::open(dir, StoreId::UNNAMED).map_err(SubjectError::new)?;
        let recovered = recover(store, JsonCodec, shards, OnCorrupt::Fail);
        let Recovered { state, checkpointer, .. } = recovered.map_err(SubjectError::new)?;
        Ok(Real { state, floors: checkpointer.floors(), checkpointer: Mutex::new(checkpointer) })
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

    fn reached(&self, shard: ShardId, seqno: SeqNo) -> Reached {
        self.state.reached(shard, seqno)
    }

    fn close(&self) {
        self.state.close();
    }

    fn begin(&self) -> Result<Option<Self::Attempt>, SubjectError> {
        locked(&self.checkpointer).begin().map_err(SubjectError::new)
    }

    fn save(&self, attempt: Self::Attempt) -> Result<Option<Generation>, NotSaved> {
        match locked(&self.checkpointer).save(attempt) {
            Ok(Saved::Written(report)) => Ok(Some(report.generation)),
            Ok(Saved::Unchanged) => Ok(None),
            Err(CheckpointError::Superseded) => Err(NotSaved::Superseded),
            Err(other) => Err(NotSaved::Failed(SubjectError::new(other))),
        }
    }

    fn is_unreferenced(&self, shard: ShardId) -> bool {
        self.floors.is_unreferenced(shard)
    }

    fn checkpointed(&self, shard: ShardId) -> Option<SeqNo> {
        self.floors.checkpointed(shard)
    }

    fn floor(&self, shard: ShardId) -> Option<SeqNo> {
        self.floors.retention_floor(shard)
    }
}
