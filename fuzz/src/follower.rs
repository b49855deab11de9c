//! A follower that recovers from a directory, saves, and is recovered again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use repl_checkpoint::{
    BincodeCodec, Checkpoint, CheckpointError, CheckpointStore, Codec, FileStore, JsonCodec,
    OnCorrupt, OpenStoreError, Recovered, SaveReport, Saved, SlotStore, Source, recover,
};
use repl_core::{AppliedSet, ShardId};
use repl_harness::crash::SimDisk;

use crate::chains::holds;
use crate::expected::{Holds, Outcome, check};
use crate::planted::STORE;

pub(crate) const DIR: &str = "/marks";
/// The shards passed to `recover`. Hardly any checkpoint holds the last one.
const NAMED: [ShardId; 3] = [ShardId(1), ShardId(2), ShardId(0xabcd_ef01)];

/// The store of a follower, and how it is opened.
pub(crate) struct Setup {
    pub(crate) in_slots: bool,
    pub(crate) codec: Box<dyn Codec>,
    pub(crate) on_corrupt: OnCorrupt,
    /// Whether the follower saves after its recovery.
    pub(crate) saves: bool,
}

impl Setup {
    fn open(&self, disk: &SimDisk) -> Result<Box<dyn CheckpointStore>, OpenStoreError> {
        let dir = Path::new(DIR);
        Ok(if self.in_slots {
            Box::new(SlotStore::open_on(disk.clone(), dir, STORE)?)
        } else {
            Box::new(FileStore::open_on(disk.clone(), dir, STORE)?)
        })
    }

    fn codec(&self) -> Box<dyn Codec> {
        if self.codec.name() == "json" { Box::new(JsonCodec) } else { Box::new(BincodeCodec) }
    }

    /// Whether the path is that of a temporary file of an unfinished save of this store.
    fn is_temp(&self, path: &Path) -> bool {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let Some((of, unique)) = name.split_once(".temp-") else { return false };
        let Some((process, n)) = unique.split_once('-') else { return false };
        let is_number = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
        let is_ours = if self.in_slots { of == "marks.slots" } else { generation(of).is_some() };
        is_ours && is_number(process) && is_number(n)
    }

    /// Recovers and checks the result, then saves some times, and recovers again.
    ///
    /// `highest` is the highest generation in the directory.
    pub(crate) fn run(&self, disk: &SimDisk, expected: &Outcome, highest: u64) {
        let before = disk.files();
        let store = self.open(disk).expect("the directory can be opened");
        let temps: BTreeSet<&PathBuf> = before.keys().filter(|path| self.is_temp(path)).collect();
        let kept = |files: BTreeMap<PathBuf, Vec<u8>>| {
            let kept = files.into_iter().filter(|(path, _)| !temps.contains(path));
            kept.filter(|(path, _)| !path.ends_with("repl-checkpoint.lock"))
                .collect::<BTreeMap<_, _>>()
        };
        let planted = kept(before.clone());
        let found = recover(store, self.codec(), &NAMED, self.on_corrupt);
        check(expected, &found);
        let now = disk.files();
        assert!(temps.iter().all(|temp| !now.contains_key(*temp)), "a temporary file remains");
        assert!(kept(now) == planted, "the recovery changed a file");
        let Ok(recovered) = found else { return };
        match expected {
            Outcome::Resumed(_, checkpoint) | Outcome::FellBack(_, checkpoint) => {
                assert_state(&recovered, checkpoint);
            }
            _ => assert_state(&recovered, &Checkpoint::default()),
        }
        if !self.saves {
            return;
        }
        self.save_and_recover(disk, recovered, highest);
        let ours = |path: &Path| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            name == "marks.slots" || generation(name).is_some()
        };
        let now = disk.files();
        let foreign = planted.iter().filter(|(path, _)| !ours(path));
        assert!(foreign.into_iter().all(|(path, bytes)| now.get(path) == Some(bytes)));
        assert!(now.keys().all(|path| !self.is_temp(path)), "a save left a temporary file");
    }

    /// Saves some times, the last time without the orphaned shards. Then recovers.
    fn save_and_recover(&self, disk: &SimDisk, mut recovered: Recovered, highest: u64) {
        let mut saved = vec![highest];
        let orphaned = recovered.report.orphaned.clone();
        // From the third save on, what has changed of many shards is saved alone.
        let times = if orphaned.len() > 30 { 5 } else { 3 };
        for save in 1..=times {
            let mark = recovered.state.applied_seqno(NAMED[0]).unwrap();
            recovered.state.advance(NAMED[0], mark.saturating_add(1));
            for shard in orphaned.iter().filter(|_| save == times) {
                assert!(recovered.checkpointer.drop_orphan(*shard));
            }
            match recovered.checkpointer.checkpoint(|_| Ok(())) {
                Ok(Saved::Written(SaveReport { generation, .. })) => saved.push(generation),
                // A mark of `u64::MAX` does not move.
                Ok(Saved::Unchanged) => assert_eq!(mark, u64::MAX),
                Err(CheckpointError::NoGenerationLeft) => {
                    assert_eq!(saved.last(), Some(&u64::MAX));
                    return;
                }
                Err(error) => panic!("a save failed: {error:?}"),
            }
        }
        assert!(saved.windows(2).all(|pair| pair[0] < pair[1]), "{saved:?}");
        let marks = recovered.state.snapshot();
        drop(recovered);
        let of = |checkpoint: &Checkpoint| -> Vec<ShardId> {
            let all = checkpoint.shards.iter().map(|s| s.shard);
            all.filter(|shard| !NAMED.contains(shard)).collect()
        };
        let mut store = self.open(disk).expect("the directory is unlocked");
        let kept: Vec<_> = store.load().unwrap().collect();
        let newest_two = saved.iter().rev().zip(&kept).take(2).enumerate();
        for (before, (generation, candidate)) in newest_two {
            let bytes = candidate.bytes.as_ref().unwrap();
            let holds = holds(&*self.codec, bytes, &candidate.deltas);
            let Holds::Whole(found, checkpoint) = holds else {
                panic!("one of the two newest checkpoints is not valid");
            };
            assert_eq!(found, *generation);
            assert!(before == 0 || saved.len() <= times || of(&checkpoint) == orphaned);
        }
        let again = recover(store, self.codec(), &NAMED, OnCorrupt::Fail).unwrap();
        let is_newest = |generation| saved.last() == Some(&generation);
        let origin = &again.report.source;
        assert!(matches!(origin, Source::Resumed { generation } if is_newest(*generation)));
        assert_eq!(again.state.snapshot(), marks);
        assert_eq!((again.report.orphaned, again.report.missing), (Vec::new(), Vec::new()));
    }
}

/// The generation of a checkpoint file's name.
pub(crate) fn generation(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".checkpoint")?;
    let is_number = digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit());
    digits.parse().ok().filter(|_| is_number)
}

/// Asserts that a follower has the state of a checkpoint.
fn assert_state(recovered: &Recovered, checkpoint: &Checkpoint) {
    let is_named = |shard: &ShardId| NAMED.contains(shard);
    let saved: Vec<ShardId> = checkpoint.shards.iter().map(|s| s.shard).collect();
    let orphaned: Vec<ShardId> = saved.iter().copied().filter(|s| !is_named(s)).collect();
    let missing: Vec<ShardId> = NAMED.into_iter().filter(|s| !saved.contains(s)).collect();
    assert_eq!((&recovered.report.orphaned, &recovered.report.missing), (&orphaned, &missing));
    for shard in NAMED {
        let applied = recovered.state.shard(shard).unwrap().applied_set();
        let Some(saved) = checkpoint.shard(shard) else {
            assert_eq!(applied, AppliedSet::default());
            continue;
        };
        for range in &saved.completed {
            assert!(applied.contains(range.first()) && applied.contains(range.last()));
        }
        // The mark is higher than saved only if a completed range touches it.
        let touches = saved.completed.first().is_some_and(|range| range.first() == saved.mark + 1);
        assert!(touches || applied.mark() == saved.mark);
        assert!(applied.mark() >= saved.mark);
    }
}
