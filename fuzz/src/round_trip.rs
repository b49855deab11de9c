//! Round trips of checkpoints, and laws of snapshots as sets of seqnos.

use std::collections::BTreeSet;

use repl_checkpoint::{BincodeCodec, Checkpoint, CheckpointBytes, Codec, JsonCodec, UnsealError};
use repl_core::{AppliedSet, ReplicationState, SeqNo, SeqRange, ShardId, Snapshot};

use crate::checkpoints::{checkpoint, header, is_valid};
use crate::choices::Choices;

/// Seals and opens two checkpoints with both codecs, restores a state from each and saves it again,
/// then checks laws of their snapshots.
pub fn round_trip(data: &[u8]) {
    let c = &mut Choices::of(data);
    let (first, second) = (checkpoint(c), checkpoint(c));
    sealed_and_opened(&first, c);
    sealed_and_opened(&second, c);
    if is_valid(&first) && is_valid(&second) {
        let (mut a, mut b) = (restored(&first), restored(&second));
        of_other_logs(&mut a, &mut b);
        laws(&a, &b);
    }
}

fn sealed_and_opened(checkpoint: &Checkpoint, c: &mut Choices<'_>) {
    let header = header(c);
    let in_order = header.confirmed == 0 || header.confirmed < header.generation;
    let codecs: [&dyn Codec; 2] = [&JsonCodec, &BincodeCodec];
    for (codec, other) in [(codecs[0], codecs[1]), (codecs[1], codecs[0])] {
        let sealed = checkpoint.seal(codec, header);
        assert_eq!(sealed.is_ok(), in_order && is_valid(checkpoint), "{sealed:?}");
        let Ok(bytes) = sealed else { continue };
        assert_eq!(
            Checkpoint::unseal(codec, header.store, &bytes).unwrap(),
            (header, checkpoint.clone())
        );
        let with_other = Checkpoint::unseal(other, header.store, &bytes);
        assert!(matches!(with_other, Err(UnsealError::OtherCodec { .. })), "{with_other:?}");
    }
}

/// Restores a state from a checkpoint. Returns its snapshot, which must hold the same.
fn restored(checkpoint: &Checkpoint) -> Snapshot {
    let ids: Vec<ShardId> = checkpoint.shards.iter().map(|s| s.shard).collect();
    let snapshot = checkpoint.state_of(&ids).snapshot();
    assert_eq!(snapshot.len(), ids.len());
    for shard in &checkpoint.shards {
        let entry = snapshot.entry(shard.shard).unwrap();
        assert_eq!((entry.log, entry.incarnation), (shard.log, shard.incarnation));
        let (mark, above) = joined(shard.mark, &shard.completed);
        assert_eq!((entry.mark(), entry.applied_set.above().collect()), (mark, above));
        assert_eq!(entry.epochs.as_slice(), &*shard.epochs);
    }
    let again = Checkpoint::of(&snapshot);
    assert_eq!(again.next_incarnation, checkpoint.next_incarnation);
    assert_eq!(again.state_of(&ids).snapshot(), snapshot);
    let bytes = again.state_of(&ids).to_checkpoint_bytes();
    let back = ReplicationState::from_checkpoint_bytes(&bytes, &ids).unwrap();
    assert_eq!(back.snapshot(), snapshot);
    assert_eq!(back.to_checkpoint_bytes(), bytes);
    snapshot
}

/// Joins ascending ranges that touch the mark or each other.
fn joined(mut mark: SeqNo, ranges: &[SeqRange]) -> (SeqNo, Vec<SeqRange>) {
    let mut above: Vec<SeqRange> = Vec::new();
    for range in ranges {
        match above.last_mut() {
            Some(before) if before.last() + 1 == range.first() => {
                *before = SeqRange::new(before.first(), range.last());
            }
            None if mark + 1 == range.first() => mark = range.last(),
            _ => above.push(*range),
        }
    }
    (mark, above)
}

/// Checks that shards whose named logs differ are not combined, and takes them out of both.
fn of_other_logs(a: &mut Snapshot, b: &mut Snapshot) {
    let (max, min) = (a.max(b), a.min(b));
    let differ: BTreeSet<ShardId> = a
        .entries()
        .filter(|ours| b.entry(ours.shard).is_some_and(|theirs| !ours.log.may_be(theirs.log)))
        .map(|ours| ours.shard)
        .collect();
    for shard in &differ {
        let (ours, theirs) = (a.entry(*shard), b.entry(*shard));
        let larger = if a.mark(*shard) > b.mark(*shard) { &ours } else { &theirs };
        let max = max.entry(*shard);
        assert!(max == ours || max == theirs);
        assert!(max == *larger || a.mark(*shard) == b.mark(*shard));
        assert!(min.entry(*shard).is_none());
    }
    assert!(differ.is_empty() || !(a.dominates(b) || b.dominates(a)));
    a.retain(|shard| !differ.contains(&shard));
    b.retain(|shard| !differ.contains(&shard));
}

fn laws(a: &Snapshot, b: &Snapshot) {
    let (max, min) = (a.max(b), a.min(b));
    assert_eq!(max, b.max(a));
    assert_eq!(min, b.min(a));
    assert_eq!(a.max(a), *a);
    assert_eq!(a.min(a), *a);
    assert_eq!(sets(&a.min(&max)), sets(a));
    assert_eq!(sets(&a.max(&min)), sets(a));
    assert!(max.dominates(a) && max.dominates(b) && a.dominates(&min) && b.dominates(&min));
    assert_eq!(a.dominates(b), sets(&max) == sets(a));
    assert_eq!(a.dominates(b) && b.dominates(a), sets(a) == sets(b));
    let ids: BTreeSet<ShardId> = a.iter().chain(b).map(|(shard, _)| shard).collect();
    assert!(max.iter().map(|(shard, _)| shard).eq(ids.iter().copied()));
    let (a_ids, b_ids) = (|s: &ShardId| a.mark(*s).is_some(), |s: &ShardId| b.mark(*s).is_some());
    assert!(min.iter().map(|(s, _)| s).eq(ids.iter().copied().filter(|s| a_ids(s) && b_ids(s))));
    for shard in ids {
        for seqno in edges(a, shard).chain(edges(b, shard)) {
            let (in_a, in_b) = (holds(a, shard, seqno), holds(b, shard, seqno));
            assert_eq!(holds(&max, shard, seqno), in_a || in_b, "{shard} {seqno}");
            let both = a_ids(&shard) && b_ids(&shard);
            assert_eq!(holds(&min, shard, seqno), both && in_a && in_b, "{shard} {seqno}");
        }
    }
}

/// The applied seqnos of each shard.
fn sets(snapshot: &Snapshot) -> Vec<(ShardId, AppliedSet)> {
    snapshot.entries().map(|entry| (entry.shard, entry.applied_set)).collect()
}

/// The seqnos at which membership may change.
fn edges(snapshot: &Snapshot, shard: ShardId) -> impl Iterator<Item = SeqNo> {
    let set = snapshot.applied_set(shard);
    let ends = set.into_iter().flat_map(|set| {
        let ranges = set.above().flat_map(|range| [range.first(), range.last()]);
        std::iter::once(set.mark()).chain(ranges).collect::<Vec<_>>()
    });
    ends.flat_map(|end| [end.saturating_sub(1), end, end.saturating_add(1)])
}

fn holds(snapshot: &Snapshot, shard: ShardId, seqno: SeqNo) -> bool {
    snapshot.applied_set(shard).is_some_and(|set| set.contains(seqno))
}
