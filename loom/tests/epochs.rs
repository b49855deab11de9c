//! Epochs that begin while handles of earlier ones advance, and while bookmarks are waited for.

use std::sync::Arc;

use loom_models::{Bookmark, BookmarkError, EpochStart, LogId, ReplicationState};

use crate::{Advance, SHARD, check, one_shard, step, thread};

const THIRD: EpochStart = EpochStart { epoch: 3, first: 1 };
const FOURTH: EpochStart = EpochStart { epoch: 4, first: 3 };

fn wait(
    state: &Arc<ReplicationState>,
    epoch: u64,
    seqno: u64,
) -> thread::JoinHandle<Result<u64, BookmarkError>> {
    let state = Arc::clone(state);
    let bookmark = Bookmark { log: LogId::UNNAMED, epoch, seqno };
    thread::spawn(move || step(|| state.reached_bookmark(SHARD, bookmark)).wait())
}

#[test]
fn an_advance_that_is_not_refused_is_kept_or_undone() {
    check(|| {
        let (state, _) = one_shard();
        let old = state.begin_epoch(SHARD, THIRD).unwrap().shard;
        let racing = thread::spawn(move || step(|| old.advance(5)));
        let begun = step(|| state.begin_epoch(SHARD, FOURTH)).unwrap();
        let racing = racing.join().unwrap();
        assert!(racing == Advance::Removed || begun.undo == [(3..=5).into()], "{racing:?}");
        assert!(begun.shard.applied() <= 2);
    });
}

#[test]
fn a_wait_for_a_bookmark_ends_when_its_write_is_replaced() {
    check(|| {
        let (state, _) = one_shard();
        let old = state.begin_epoch(SHARD, THIRD).unwrap().shard;
        let waiting = wait(&state, 3, 5);
        let begun = step(|| state.begin_epoch(SHARD, FOURTH)).unwrap();
        assert_eq!(old.advance(5), Advance::Removed);
        begun.shard.advance(5);
        assert_eq!(waiting.join().unwrap(), Err(BookmarkError::Lost));
    });
}

#[test]
fn a_wait_for_a_bookmark_of_a_later_epoch_finds_it_in_that_epoch() {
    check(|| {
        let (state, old) = one_shard();
        old.advance(9);
        let waiting = wait(&state, 4, 3);
        let begun = step(|| state.begin_epoch(SHARD, FOURTH)).unwrap();
        begun.shard.advance(3);
        assert_eq!(waiting.join().unwrap(), Ok(3));
    });
}
