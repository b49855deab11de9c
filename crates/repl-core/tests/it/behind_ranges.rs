//! What is completed behind a range is not left there when the gap before the range is closed.

use repl_core::{ApplyWindow, Completion, ReplicationState, SeqRange, Shard, ShardId};

fn shard() -> Option<Shard> {
    ReplicationState::single().shard(ShardId::SINGLE)
}

#[test]
fn closing_the_gap_before_a_restored_range_moves_the_mark_over_what_is_completed_behind_it() {
    let restored = [SeqRange::new(2, 3), SeqRange::new(6, 9)];
    let window =
        ApplyWindow::restore(shard().expect("tracked"), 256, &restored).expect("no window yet");
    for seqno in [4, 5, 10] {
        window.claim(seqno).expect("free").complete();
    }
    assert_eq!(window.claim(1).expect("free").complete(), Completion::Completed { mark: 10 });
    assert_eq!((window.shard().applied(), window.pending()), (10, vec![]));
}

#[test]
fn closing_the_gap_before_a_skip_moves_the_mark_over_what_is_completed_behind_it() {
    let window = ApplyWindow::new(shard().expect("tracked"), 256).expect("no window yet");
    window.skip(2..=3).expect("near");
    window.complete(4).expect("near");
    assert_eq!(window.complete(1), Ok(Completion::Completed { mark: 4 }));
    assert_eq!((window.shard().applied(), window.pending()), (4, vec![]));
}
