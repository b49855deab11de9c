//! What was visited, and what files may hold after a power cut.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use crate::crash::disk::{Content, FileNode, hash128};
use crate::crash::protocol::{PAGE, Protocol, SLOTS, Store};

const PARTS: usize = 16;

/// A set of 128 bit hashes that threads share.
#[derive(Default)]
pub(super) struct Seen([Mutex<HashSet<u128>>; PARTS]);

impl Seen {
    /// Whether it is new.
    pub(super) fn insert(&self, hash: u128) -> bool {
        let part = usize::try_from(hash % PARTS as u128).unwrap_or(0);
        self.0[part].lock().unwrap_or_else(PoisonError::into_inner).insert(hash)
    }

    pub(super) fn len(&self) -> usize {
        self.0.iter().map(|part| part.lock().unwrap_or_else(PoisonError::into_inner).len()).sum()
    }
}

type Contents = Arc<Vec<(Content, u64)>>;

/// What a power cut may leave of each file that was ever seen unsettled.
pub(super) struct Choices {
    protocol: Protocol,
    prune: bool,
    known: Mutex<HashMap<u128, Contents>>,
    contents: AtomicU64,
}

impl Choices {
    pub(super) fn new(protocol: Protocol, prune: bool) -> Self {
        Choices { protocol, prune, known: Mutex::default(), contents: AtomicU64::new(0) }
    }

    /// What a file is known by: one that only has temporary names is never read, and a settled one
    /// is known by how a reader answers to it.
    pub(super) fn key(&self, file: &FileNode, temporary: bool) -> u128 {
        if self.prune && temporary {
            return 0;
        }
        file.key(|content| self.verdict(content))
    }

    fn verdict(&self, content: &Content) -> u128 {
        if self.prune {
            content.verdict(|bytes| self.protocol.verdict(bytes))
        } else {
            content.hash()
        }
    }

    /// One of each that recovery tells apart, and how many those stand for.
    pub(super) fn of(&self, file: &FileNode, temporary: bool) -> Contents {
        let key = hash128(&(file.key(Content::hash), temporary));
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(contents) = known().get(&key) {
            return Arc::clone(contents);
        }
        let contents: Contents = Arc::new(self.look_at(file, temporary));
        let count: u64 = contents.iter().map(|(_, alike)| alike).sum();
        // Two threads may have done the same work.
        if known().insert(key, Arc::clone(&contents)).is_none() && !(self.prune && temporary) {
            self.contents.fetch_add(count, Relaxed);
        }
        contents
    }

    fn look_at(&self, file: &FileNode, temporary: bool) -> Vec<(Content, u64)> {
        if self.prune && temporary {
            return vec![(file.cached().clone(), 1)];
        }
        if self.prune && self.protocol.store == Store::Slots {
            return file.told_apart(&ends_of_slots(file), &|bytes| self.protocol.verdict(bytes));
        }
        let mut apart: BTreeMap<u128, (Content, u64)> = BTreeMap::new();
        for content in file.after_power_cut() {
            let verdict = self.verdict(&content);
            apart.entry(verdict).or_insert((content, 0)).1 += 1;
        }
        apart.into_values().collect()
    }

    pub(super) fn contents(&self) -> u64 {
        self.contents.load(Relaxed)
    }
}

/// Before which sectors the first page and each slot end; where it has not that length, each page.
fn ends_of_slots(file: &FileNode) -> Vec<usize> {
    let length = file.longest();
    let slot = length.saturating_sub(PAGE) / SLOTS;
    let part = if slot > 0 && PAGE + SLOTS * slot == length { slot } else { PAGE };
    let ends = (0..).map(|i| PAGE + i * part).take_while(|end| *end < length);
    ends.chain([length]).map(|end| end.div_ceil(file.sector())).collect()
}

#[cfg(test)]
mod tests {
    use repl_checkpoint::{Checkpoint, Header, JsonCodec, seal};
    use repl_core::{ReplicationState, ShardId};

    use super::*;
    use crate::crash::disk::SECTOR;
    use crate::crash::protocol::STORE;

    fn sealed(generation: u64) -> Vec<u8> {
        let header = Header { store: STORE, generation, confirmed: generation - 1 };
        let shards: Vec<ShardId> = (0..12).map(ShardId).collect();
        let state = ReplicationState::new(&shards);
        for shard in &shards {
            state.advance(*shard, generation * 1_000_000);
        }
        seal(&JsonCodec, header, &Checkpoint::of(&state.snapshot())).unwrap()
    }

    /// A file of the generations 5, 6 and 4 in its slots.
    fn file() -> FileNode {
        let line = format!("repl-checkpoint slots v1 store={STORE} slot={PAGE:020} crc32c=");
        let mut bytes = format!("{line}{:08x}\n", crc32c::crc32c(line.as_bytes())).into_bytes();
        for (slot, generation) in [5, 6, 4].into_iter().enumerate() {
            bytes.resize(PAGE * (slot + 1), 0);
            bytes.extend(sealed(generation));
        }
        bytes.resize(PAGE * (SLOTS + 1), 0);
        FileNode::settled(Content::new(bytes), SECTOR)
    }

    fn protocol() -> Protocol {
        Protocol::of(Store::Slots, None)
    }

    /// Each verdict, and how many contents have it.
    fn counts(contents: impl IntoIterator<Item = (Content, u64)>) -> BTreeMap<u128, u64> {
        let mut counts = BTreeMap::new();
        for (content, alike) in contents {
            *counts.entry(protocol().verdict(content.bytes())).or_insert(0) += alike;
        }
        counts
    }

    #[test]
    fn slots_one_by_one_are_answered_as_all_contents_are() {
        let envelope = sealed(7);
        assert!(envelope.len() > SECTOR);
        let sectors = envelope.len().next_multiple_of(SECTOR);
        let mut padded = envelope.clone();
        padded.resize(sectors + SECTOR, 0);
        let mut two = file();
        // The oldest slot and a part of the newest; some of it twice, and a sync that failed.
        two.write_at(3 * PAGE, &padded);
        two.write_at(2 * PAGE + 300, &[b'x'; 300]);
        two.fail_sync(true);
        two.write_at(3 * PAGE + 100, &envelope[100..300]);
        let mut page = file();
        page.write_at(20, b"another");
        page.write_at(3 * PAGE, &envelope);
        for file in [two, page] {
            let all = file.after_power_cut();
            let apart = file.told_apart(&ends_of_slots(&file), &|b| protocol().verdict(b));
            assert!(all.len() > 20 && apart.len() > 3 && apart.len() < all.len());
            assert_eq!(counts(apart), counts(all.into_iter().map(|content| (content, 1))));
        }
    }

    #[test]
    fn a_new_slot_file_is_answered_in_every_way_that_counts() {
        let new = file();
        let bytes = new.cached().bytes().to_vec();
        let mut file = FileNode::settled(Content::new(Vec::new()), SECTOR);
        file.write_at(0, &bytes);
        let apart = file.told_apart(&ends_of_slots(&file), &|b| protocol().verdict(b));
        let found = counts(apart);
        // Whole, empty, of another length with a page and without, and without a whole page.
        let of = |bytes: &[u8]| protocol().verdict(bytes);
        let mut garbled = bytes.clone();
        garbled[..SECTOR].fill(0);
        let cut = bytes[..2 * PAGE].to_vec();
        for seen in [&bytes, &cut, &garbled, &garbled[..2 * PAGE].to_vec()] {
            assert!(found.contains_key(&of(seen)), "{} bytes", seen.len());
        }
        // Each slot whole or damaged in several ways, and the page too.
        assert!(found.len() > 2 * 2 * 2 * 2, "{}", found.len());
    }
}
