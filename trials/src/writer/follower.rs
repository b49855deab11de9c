//! The followers that share a filesystem: one directory, format and number of shards each.

use std::path::Path;

use repl_checkpoint::{
    BincodeCodec, CheckpointStore, Disk, FileStore, JsonCodec, OnCorrupt, OpenStoreError,
    RecoverError, Recovered, SlotStore, StoreId, recover,
};
use repl_core::ShardId;
use repl_harness::crash::StoreKind;

/// The codec of a follower.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Format {
    /// [`JsonCodec`]
    Json,
    /// [`BincodeCodec`]
    Bincode,
}

/// A follower with a directory of its own on the filesystem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Follower {
    /// Its store.
    pub(crate) kind: StoreKind,
    /// Its codec.
    pub(crate) format: Format,
    /// Its number of shards.
    pub(crate) shards: usize,
}

/// A shard moves with one stamp of so many.
const TURNS: u64 = 20;

/// Their checkpoints take from less than a sector to some forty pages.
const SHARDS: [usize; 4] = [1, 30, 300, 3000];

impl Follower {
    /// Every follower with this kind of store.
    pub(crate) fn all(kind: StoreKind) -> Vec<Follower> {
        let of = |format| SHARDS.map(|shards| Follower { kind, format, shards });
        let pairs = of(Format::Json).into_iter().zip(of(Format::Bincode));
        pairs.flat_map(|(json, bincode)| [json, bincode]).collect()
    }

    /// The follower whose directory has this name.
    pub(crate) fn named(name: &str) -> Option<Follower> {
        let all = StoreKind::ALL.iter().copied().flat_map(Follower::all);
        all.into_iter().find(|follower| follower.name() == name)
    }

    /// The name of its directory.
    pub(crate) fn name(self) -> String {
        format!("{:?}-{:?}-{}", self.kind, self.format, self.shards).to_lowercase()
    }

    /// Its shards. They have long numbers, so that few of them fill a sector.
    pub(super) fn ids(self) -> Vec<ShardId> {
        (1..=self.shards as u64).map(|i| ShardId(u64::MAX / 2 + i)).collect()
    }

    pub(super) fn open(
        self,
        disk: impl Disk + 'static,
        dir: &Path,
    ) -> Result<Box<dyn CheckpointStore>, OpenStoreError> {
        let id = StoreId(0x00c0_ffee);
        Ok(match self.kind {
            StoreKind::Files => Box::new(FileStore::open_on(disk, dir, id)?),
            StoreKind::Slots => Box::new(SlotStore::open_on(disk, dir, id)?),
        })
    }

    pub(super) fn recover(
        self,
        store: impl CheckpointStore + 'static,
    ) -> Result<Recovered, RecoverError> {
        Ok(match self.format {
            Format::Json => recover(store, JsonCodec, &self.ids(), OnCorrupt::Fail)?,
            Format::Bincode => recover(store, BincodeCodec, &self.ids(), OnCorrupt::Fail)?,
        })
    }
}

/// The mark of a shard in the save with this stamp. The first shard moves with every stamp. The
/// others take turns, so that a `SlotStore` is given deltas.
pub(super) fn mark(stamp: u64, shard: usize) -> u64 {
    let since = if shard == 0 { 0 } else { (stamp + TURNS - shard as u64 % TURNS) % TURNS };
    stamp.saturating_sub(since) * factor(shard)
}

/// The stamp from which every mark was made.
///
/// # Errors
/// If the marks come from different stamps: names the first that differs.
pub(super) fn stamp(marks: impl Iterator<Item = u64>) -> Result<u64, String> {
    let mut marks = marks.enumerate().peekable();
    let stamp = marks.peek().map_or(0, |(shard, mark)| mark / factor(*shard));
    match marks.find(|(shard, found)| *found != mark(stamp, *shard)) {
        None => Ok(stamp),
        Some((shard, found)) => {
            Err(format!("shard {shard} has mark {found}, which is not of stamp {stamp}"))
        }
    }
}

/// Long, and different for neighbors, so that a torn checkpoint mixes different digits.
fn factor(shard: usize) -> u64 {
    1 + (shard as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) % (1 << 30)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_of_two_saves_have_no_common_stamp() {
        let marks = |of: u64| (0..30).map(move |shard| mark(of, shard));
        assert_eq!(stamp(marks(7)), Ok(7));
        assert_eq!(stamp(marks(0)), Ok(0));
        for other in [6, 8, 30] {
            assert!(stamp(marks(7).take(1).chain(marks(other).skip(1))).is_err(), "{other}");
        }
    }

    #[test]
    fn few_marks_move_with_a_stamp_and_none_falls() {
        for stamp in 1..100 {
            let moved = (0..30).filter(|shard| mark(stamp, *shard) > mark(stamp - 1, *shard));
            assert!((2..=3).contains(&moved.count()), "{stamp}");
            assert!((0..30).all(|shard| mark(stamp, shard) >= mark(stamp - 1, shard)));
        }
    }

    #[test]
    fn the_name_of_its_directory_identifies_a_follower() {
        for follower in Follower::all(StoreKind::Slots) {
            assert_eq!(Follower::named(&follower.name()), Some(follower));
        }
    }
}
