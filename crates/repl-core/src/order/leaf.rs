//! A leaf of the order: some shards, ascending, and where their cells are.

use std::sync::Arc;

use super::Change;
use super::cells::Cells;
use crate::epochs::Epochs;
use crate::ids::ShardId;
use crate::keys::{RUN, Run};
use crate::slabs::Place;

/// The largest number of shards in a leaf.
pub(super) const LEAF: usize = RUN;

/// Some shards, ascending.
#[derive(Clone, Default)]
pub(super) struct Leaf {
    /// Shared with snapshots.
    run: Arc<Run>,
    cells: Cells,
}

impl Leaf {
    pub(super) fn of(run: Arc<Run>, places: Vec<Place>) -> Self {
        debug_assert_eq!(run.len(), places.len());
        Leaf { run, cells: Cells::of(places) }
    }

    pub(super) fn run(&self) -> &Arc<Run> {
        &self.run
    }

    pub(super) fn cells(&self) -> &Cells {
        &self.cells
    }

    pub(super) fn len(&self) -> usize {
        self.cells.len()
    }

    /// The first shard. Only an empty leaf has none.
    pub(super) fn first(&self) -> ShardId {
        self.run.shards().first().copied().unwrap_or_default()
    }

    /// Where the cell of a shard is, and the epochs of the shard.
    pub(super) fn find(&self, shard: ShardId) -> Option<(Place, Epochs)> {
        let i = self.run.shards().binary_search(&shard).ok()?;
        Some((self.cells.place(i), self.run.epochs(shard).cloned().unwrap_or_default()))
    }

    /// Adds the shards of the next leaf.
    pub(super) fn append(&mut self, next: &Leaf) {
        Arc::make_mut(&mut self.run).extend(&next.run, 0..next.len());
        self.cells = Cells::of(self.cells.places().chain(next.cells.places()).collect());
    }

    /// Makes some changes. Returns the leaves behind this one, of what it has no room for.
    pub(super) fn change(&mut self, changes: &[Change]) -> Vec<Leaf> {
        match changes {
            [one] => self.change_one(one).into_iter().collect(),
            _ => self.change_many(changes),
        }
    }

    /// Changes the leaf in place, but for a run that it shares.
    fn change_one(&mut self, (shard, new): &Change) -> Option<Leaf> {
        let run = Arc::make_mut(&mut self.run);
        match (run.shards().binary_search(shard), new) {
            (Ok(i), Some((key, epochs, place))) => {
                run.set(i, *key, epochs.clone());
                self.cells.set(i, *place);
            }
            (Ok(i), None) => {
                run.remove(i);
                self.cells.remove(i);
            }
            (Err(i), Some((key, epochs, place))) => {
                run.insert(i, *key, epochs.clone());
                self.cells.insert(i, *place);
            }
            (Err(_), None) => {}
        }
        (run.len() > LEAF).then(|| {
            let rest = Arc::new(run.split_off(LEAF / 2));
            run.shrink();
            Leaf { run: rest, cells: self.cells.split_off(LEAF / 2) }
        })
    }

    /// Makes the leaf anew, in one pass over all shards.
    fn change_many(&mut self, changes: &[Change]) -> Vec<Leaf> {
        let (old, len) = (&*self.run, self.len().saturating_add(changes.len()));
        let (mut run, mut places) = (Run::with_room(len), Vec::with_capacity(len));
        let mut from = 0;
        for (shard, new) in changes {
            let to = from + old.shards()[from..].partition_point(|before| before < shard);
            run.extend(old, from..to);
            self.cells.add_to(from..to, &mut places);
            if let Some((key, epochs, place)) = new {
                run.push(*key, epochs.clone());
                places.push(*place);
            }
            from = to + usize::from(old.shards().get(to) == Some(shard));
        }
        run.extend(old, from..old.len());
        self.cells.add_to(from..old.len(), &mut places);
        // Full leaves where many shards are added at once; halves where one is added to a full leaf.
        let count = run.len().div_ceil(LEAF);
        let size = if count == 2 { run.len().div_ceil(2) } else { LEAF };
        let mut rest = Vec::new();
        for begin in (size..run.len()).step_by(size).rev() {
            rest.push(Leaf::of(Arc::new(run.split_off(begin)), places.split_off(begin)));
        }
        rest.reverse();
        run.shrink();
        *self = Leaf::of(Arc::new(run), places);
        rest
    }
}
