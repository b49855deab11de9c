//! Which shards a recovery tracks, and how those that the checkpoint lacks begin.

use repl_checkpoint::{
    Checkpoint, FileStore, JsonCodec, OnCorrupt, Recovered, ShardCheckpoint, Track, recover,
};
use repl_core::{Incarnation, LogId, NewShard, SeqRange, ShardId};

use crate::support::{opened, put, recovered, save, saved_in, sealed, shard};

const LOG: LogId = LogId(0xfeed);

/// Shards 1 and 5, of the incarnations 3 and 6.
fn saved() -> Checkpoint {
    let five = ShardCheckpoint {
        log: LOG,
        incarnation: Incarnation(6),
        completed: Box::new([SeqRange::new(52, 53)]),
        ..shard(5, 50)
    };
    let one = ShardCheckpoint { incarnation: Incarnation(3), ..shard(1, 10) };
    Checkpoint { next_incarnation: Incarnation(7), shards: vec![one, five] }
}

fn tracking(track: impl Into<Track>) -> (tempfile::TempDir, Recovered) {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), 1, &sealed(1, &saved()));
    let store: FileStore = opened(dir.path());
    let recovered = recover(store, JsonCodec, track, OnCorrupt::Fail).unwrap();
    (dir, recovered)
}

fn tracked(recovered: &Recovered) -> Vec<(u64, u64, LogId)> {
    let snapshot = recovered.state.snapshot();
    snapshot.entries().map(|e| (e.shard.0, e.mark(), e.log)).collect()
}

#[test]
fn all_tracks_every_shard_of_the_checkpoint_and_orphans_none() {
    let (dir, mut follower) = tracking(Track::all());
    assert_eq!(tracked(&follower), [(1, 10, LogId::UNNAMED), (5, 50, LOG)]);
    assert_eq!((&*follower.report.orphaned, &*follower.report.missing), (&[][..], &[][..]));
    assert_eq!(follower.checkpointer.orphaned_shards(), []);
    let completed =
        follower.state.snapshot().applied_set(ShardId(5)).unwrap().above().collect::<Vec<_>>();
    assert_eq!(completed, [SeqRange::new(52, 53)]);
    let generation = save(&mut follower.checkpointer);
    assert_eq!(saved_in(dir.path(), generation).1, saved());
}

#[test]
fn all_tracks_nothing_where_nothing_was_saved() {
    let dir = tempfile::tempdir().unwrap();
    let store: FileStore = opened(dir.path());
    let follower = recover(store, JsonCodec, Track::all(), OnCorrupt::Fail).unwrap();
    assert_eq!(tracked(&follower), []);
    assert_eq!(follower.report.missing, []);
}

#[test]
fn a_shard_that_the_checkpoint_lacks_begins_at_the_given_mark_and_log() {
    let new = NewShard::new(ShardId(3)).with_mark(30).with_log(LogId(3));
    for (track, orphaned) in [
        (Track::all().or_start([new.clone()]), vec![]),
        (Track::only(&[ShardId(1), ShardId(3)]).or_start([new]), vec![ShardId(5)]),
    ] {
        let (dir, mut follower) = tracking(track);
        assert_eq!(tracked(&follower)[..2], [(1, 10, LogId::UNNAMED), (3, 30, LogId(3))]);
        assert_eq!(follower.report.missing, [ShardId(3)]);
        assert_eq!(follower.report.orphaned, orphaned);
        save(&mut follower.checkpointer);
        drop(follower);
        let again = recovered(dir.path(), &[1, 3, 5]);
        assert_eq!(tracked(&again), [(1, 10, LogId::UNNAMED), (3, 30, LogId(3)), (5, 50, LOG)]);
    }
}

#[test]
fn a_shard_that_the_checkpoint_holds_keeps_its_saved_mark_and_log() {
    let new = NewShard::new(ShardId(5)).with_mark(99).with_log(LogId(9));
    let (_dir, follower) = tracking(Track::only(&[]).or_start([new]));
    assert_eq!(tracked(&follower), [(5, 50, LOG)]);
    assert_eq!(follower.report.missing, []);
    assert_eq!(follower.report.orphaned, [ShardId(1)]);
}

#[test]
fn any_shards_may_be_given_in_any_order_and_twice() {
    let of = |set: u64| (0..4).filter(move |id| set >> id & 1 == 1);
    for (given, saved) in (0..16).flat_map(|given| (0..16).map(move |saved| (given, saved))) {
        let dir = tempfile::tempdir().unwrap();
        let shards = of(saved).map(|id| shard(id, 10 + id)).collect();
        let checkpoint = Checkpoint { next_incarnation: Incarnation(1), shards };
        put(dir.path(), 1, &sealed(1, &checkpoint));
        let mut ids: Vec<ShardId> = of(given).chain(of(given)).map(ShardId).collect();
        ids.reverse();
        let store: FileStore = opened(dir.path());
        let follower = recover(store, JsonCodec, &ids, OnCorrupt::Fail).unwrap();
        let mark = |id| (id, if saved >> id & 1 == 1 { 10 + id } else { 0 }, LogId::UNNAMED);
        assert_eq!(tracked(&follower), of(given).map(mark).collect::<Vec<_>>());
        let ids = |set| of(set).map(ShardId).collect::<Vec<_>>();
        assert_eq!(follower.report.missing, ids(given & !saved));
        assert_eq!(follower.report.orphaned, ids(saved & !given));
    }
}

#[test]
fn of_two_starts_for_one_shard_the_later_counts() {
    let at = |mark| NewShard::new(ShardId(3)).with_mark(mark);
    let (_dir, follower) = tracking(Track::only(&[ShardId(3)]).or_start([at(1), at(2)]));
    assert_eq!(follower.state.applied_seqno(ShardId(3)), Some(2));
    let plain = NewShard::new(ShardId(3));
    let (_dir, follower) = tracking(Track::all().or_start([at(1), plain.clone()]));
    assert_eq!(follower.state.applied_seqno(ShardId(3)), Some(0));
    assert_eq!(Track::only(&[ShardId(3)]), Track::only(&[]).or_start([at(1), plain]));
}

#[test]
fn a_new_shard_gets_an_incarnation_above_those_of_orphans_too() {
    let (dir, mut follower) = tracking(&[ShardId(1), ShardId(3)]);
    assert_eq!(follower.report.orphaned, [ShardId(5)]);
    let incarnation = |follower: &Recovered, id| {
        let shard = follower.state.shard(ShardId(id)).unwrap();
        shard.incarnation()
    };
    assert_eq!(incarnation(&follower, 1), Incarnation(3));
    assert_eq!(incarnation(&follower, 3), Incarnation(7));
    let generation = save(&mut follower.checkpointer);
    let saved = saved_in(dir.path(), generation).1;
    let all: Vec<_> = saved.shards.iter().map(|s| s.incarnation.0).collect();
    assert_eq!((all, saved.next_incarnation), (vec![3, 7, 6], Incarnation(8)));
}

#[test]
fn a_state_of_a_checkpoint_tracks_as_recovery_does() {
    let new = NewShard::new(ShardId(3)).with_mark(30);
    let marks = |track: Track| saved().state_of(track).snapshot().marks().to_vec();
    assert_eq!(marks(Track::all()), [10, 50]);
    assert_eq!(marks(Track::all().or_start([new])), [10, 30, 50]);
    assert_eq!(saved().state_of(&[ShardId(5)]).snapshot().marks(), [50]);
}

#[test]
fn two_are_equal_exactly_if_they_track_the_same_shards_alike() {
    let (one, two) = (ShardId(1), ShardId(2));
    let at = |shard| NewShard::new(shard).with_mark(7);
    let tracks = [
        Track::all(),
        Track::all().or_start([at(one)]),
        Track::only(&[]),
        Track::only(&[one]),
        Track::only(&[two]),
        Track::only(&[one, two]),
        Track::only(&[one]).or_start([at(one)]),
        Track::only(&[one]).or_start([at(two)]),
    ];
    for (i, left) in tracks.iter().enumerate() {
        for (j, right) in tracks.iter().enumerate() {
            assert_eq!(left == right, i == j, "{left:?} and {right:?}");
        }
    }
}
