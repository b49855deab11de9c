//! The candidates of a slot file, each read when the iterator returns it.

use std::io;
use std::path::PathBuf;

use super::chain::Chain;
use super::found::{SlotFile, reader};
use super::pool::Pool;
use super::{SLOTS, offset};
use crate::disk::Disk;
use crate::store::Candidate;

/// First what is damaged, which counts as newer than all that is whole.
pub(crate) struct FoundCandidates<'a, D> {
    disk: &'a D,
    path: PathBuf,
    size: usize,
    damaged: std::vec::IntoIter<(Candidate, Option<usize>)>,
    chains: Pool,
    /// The chain of the candidate that was returned last.
    given: Option<Chain>,
}

/// Where a candidate is in its file.
#[derive(Debug, Clone, Default)]
pub(crate) struct Location {
    /// Its slot; `None` for the first page.
    pub(crate) slot: Option<usize>,
    /// The offset of the first byte.
    pub(crate) offset: u64,
    /// The offsets of its deltas.
    pub(crate) deltas: Vec<u64>,
}

impl<'a, D: Disk> FoundCandidates<'a, D> {
    pub(super) fn new(file: SlotFile, disk: &'a D, path: PathBuf) -> Self {
        let chains = Pool::new(file.chains);
        let candidate = |generation, bytes| Candidate {
            path: path.clone(),
            generation,
            bytes,
            deltas: Vec::new(),
        };
        let mut damaged = Vec::with_capacity(SLOTS + 1);
        damaged.extend(file.damaged_page.map(|head| (candidate(None, Ok(head)), None)));
        let count = file.damaged.len() as u64;
        damaged.extend(file.damaged.into_iter().zip(0..).map(|((slot, bytes), i)| {
            let generation = chains.highest().saturating_add(count - i);
            (candidate(Some(generation), bytes), Some(slot))
        }));
        let (size, damaged) = (file.size, damaged.into_iter());
        FoundCandidates { disk, path, size, damaged, chains, given: None }
    }
}

impl<D: Disk> FoundCandidates<'_, D> {
    fn read(&self, chain: &Chain) -> (io::Result<Vec<u8>>, Vec<Vec<u8>>) {
        let start = offset(chain.slot, self.size);
        let bytes = self.disk.read_at(&self.path, start as u64, chain.envelope.length);
        let mut reader = reader(self.disk, &self.path, chain.slot, self.size);
        let deltas = chain.deltas.iter().map(|delta| reader.owned(delta.at, delta.length));
        match deltas.collect() {
            Ok(deltas) => (bytes, deltas),
            Err(error) => (bytes.and(Err(error)), Vec::new()),
        }
    }
}

impl<D: Disk> FoundCandidates<'_, D> {
    /// Says that the last candidate was whole, which spares reading it again.
    pub(crate) fn settle_whole(&mut self) {
        if let Some(chain) = self.given.take() {
            let deltas = chain.deltas.len();
            self.chains.settle(chain, Some(deltas));
        }
    }

    /// The next candidate, and where it is.
    pub(crate) fn next_with_location(&mut self) -> Option<(Candidate, Location)> {
        let start = |slot| offset(slot, self.size) as u64;
        if let Some((candidate, slot)) = self.damaged.next() {
            let offset = slot.map_or(0, start);
            return Some((candidate, Location { slot, offset, deltas: Vec::new() }));
        }
        // The one before was not taken. Only now it matters where its damage is.
        if let Some(chain) = self.given.take() {
            let mut reader = reader(self.disk, &self.path, chain.slot, self.size);
            let whole = chain.whole_deltas(&mut reader);
            drop(reader);
            self.chains.settle(chain, whole);
        }
        let chain = self.chains.take()?;
        let (path, generation) = (self.path.clone(), Some(chain.generation()));
        let (bytes, deltas) = self.read(&chain);
        let at = start(chain.slot);
        let delta_offsets = chain.deltas.iter().map(|delta| at + delta.at as u64).collect();
        let location = Location { slot: Some(chain.slot), offset: at, deltas: delta_offsets };
        self.given = Some(chain);
        Some((Candidate { path, generation, bytes, deltas }, location))
    }
}

impl<D: Disk> Iterator for FoundCandidates<'_, D> {
    type Item = Candidate;

    fn next(&mut self) -> Option<Candidate> {
        self.next_with_location().map(|(candidate, _)| candidate)
    }
}
