//! The situations visited so far, and what files may hold after a power cut.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use crate::crash::disk::{Content, FileNode, hash128};
use crate::crash::kind::StoreKind;
use crate::crash::layout::{PAGE, SLOTS};
use crate::crash::protocol::Protocol;
use crate::locked::locked;

const PARTS: usize = 16;

/// A set of 128 bit hashes that threads share.
#[derive(Default)]
pub(super) struct Visited([Mutex<HashSet<u128>>; PARTS]);

impl Visited {
    /// Returns whether the hash is new.
    pub(super) fn insert(&self, hash: u128) -> bool {
        let part = usize::try_from(hash % PARTS as u128).unwrap_or(0);
        locked(&self.0[part]).insert(hash)
    }

    pub(super) fn len(&self) -> usize {
        self.0.iter().map(|part| locked(part).len()).sum()
    }
}

type Contents = Arc<Vec<(Content, u64)>>;

/// The contents that a power cut may leave of each unsettled file.
pub(super) struct FileContents {
    protocol: Protocol,
    prune: bool,
    known: Mutex<HashMap<u128, Contents>>,
    contents: AtomicU64,
}

impl FileContents {
    pub(super) fn new(protocol: Protocol, prune: bool) -> Self {
        FileContents { protocol, prune, known: Mutex::default(), contents: AtomicU64::new(0) }
    }

    /// The key of a file. A file with only temporary names is never read: all have the same key. The
    /// key of a settled file is its verdict.
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

    /// One content of each verdict, and the number of contents that share it.
    pub(super) fn of(&self, file: &FileNode, temporary: bool) -> Contents {
        let key = hash128(&(file.key(Content::hash), temporary));
        let known = || locked(&self.known);
        if let Some(contents) = known().get(&key) {
            return Arc::clone(contents);
        }
        let contents: Contents = Arc::new(self.enumerate(file, temporary));
        let count: u64 = contents.iter().map(|(_, count)| count).sum();
        // Two threads may have done the same work.
        if known().insert(key, Arc::clone(&contents)).is_none() && !(self.prune && temporary) {
            self.contents.fetch_add(count, Relaxed);
        }
        contents
    }

    fn enumerate(&self, file: &FileNode, temporary: bool) -> Vec<(Content, u64)> {
        if self.prune && temporary {
            return vec![(file.cached().clone(), 1)];
        }
        if self.prune && self.protocol.store == StoreKind::Slots {
            return file
                .distinguishable(&ends_of_slots(file), &|bytes| self.protocol.verdict(bytes));
        }
        let mut distinct: BTreeMap<u128, (Content, u64)> = BTreeMap::new();
        for content in file.after_power_cut() {
            let verdict = self.verdict(&content);
            distinct.entry(verdict).or_insert((content, 0)).1 += 1;
        }
        distinct.into_values().collect()
    }

    pub(super) fn contents(&self) -> u64 {
        self.contents.load(Relaxed)
    }
}

/// The sectors before which the first page and each slot end; if the length is not that of a slot
/// file, those before which each page ends.
fn ends_of_slots(file: &FileNode) -> Vec<usize> {
    let length = file.longest();
    let slot = length.saturating_sub(PAGE) / SLOTS;
    let part = if slot > 0 && PAGE + SLOTS * slot == length { slot } else { PAGE };
    let ends = (0..).map(|i| PAGE + i * part).take_while(|end| *end < length);
    ends.chain([length]).map(|end| end.div_ceil(file.sector())).collect()
}

#[cfg(test)]
mod tests {
    use repl_checkpoint::{Checkpoint, Header, JsonCodec};
    use repl_core::{ReplicationState, ShardId};

    use super::*;
    use crate::crash::disk::SECTOR;
    use crate::crash::layout::{STORE_ID, UNUSED};
    use crate::crash::records::closing;

    /// A checkpoint as it is in a slot.
    fn sealed(generation: u64) -> Vec<u8> {
        let header = Header { store: STORE_ID, generation, confirmed: generation - 1 };
        let shards: Vec<ShardId> = (0..12).map(ShardId).collect();
        let state = ReplicationState::new(&shards);
        for shard in &shards {
            state.advance(*shard, generation * 1_000_000);
        }
        let mut record = Checkpoint::of(&state.snapshot()).seal(&JsonCodec, header).unwrap();
        let closing = closing(&record);
        record.extend(closing);
        record
    }

    /// A file of the generations 5, 6 and 4 in its slots.
    fn file() -> FileNode {
        let line = format!("repl-checkpoint slots v2 store={STORE_ID} slot={PAGE:020} crc32c=");
        let mut bytes = format!("{line}{:08x}\n", crc32c::crc32c(line.as_bytes())).into_bytes();
        for (slot, generation) in [5, 6, 4].into_iter().enumerate() {
            bytes.resize(PAGE * (slot + 1), if slot == 0 { 0 } else { UNUSED });
            bytes.extend(sealed(generation));
        }
        bytes.resize(PAGE * (SLOTS + 1), UNUSED);
        FileNode::settled(Content::new(bytes), SECTOR)
    }

    fn protocol() -> Protocol {
        Protocol::of(StoreKind::Slots, None)
    }

    /// The number of contents of each verdict.
    fn counts(contents: impl IntoIterator<Item = (Content, u64)>) -> BTreeMap<u128, u64> {
        let mut counts = BTreeMap::new();
        for (content, count) in contents {
            *counts.entry(protocol().verdict(content.bytes())).or_insert(0) += count;
        }
        counts
    }

    #[test]
    fn slots_tried_part_by_part_have_the_verdicts_of_all_contents() {
        let envelope = sealed(7);
        assert!(envelope.len() > SECTOR);
        let sectors = envelope.len().next_multiple_of(SECTOR);
        let mut padded = envelope.clone();
        padded.resize(sectors + SECTOR, UNUSED);
        let mut two = file();
        // The oldest slot and a part of the newest; a part is written again after a failed sync.
        two.write_at(3 * PAGE, &padded);
        two.write_at(2 * PAGE + 300, &[b'x'; 300]);
        two.fail_sync(true);
        two.write_at(3 * PAGE + 100, &envelope[100..300]);
        let mut page = file();
        page.write_at(20, b"another");
        page.write_at(3 * PAGE, &envelope);
        for file in [two, page] {
            let all = file.after_power_cut();
            let apart = file.distinguishable(&ends_of_slots(&file), &|b| protocol().verdict(b));
            assert!(all.len() > 20 && apart.len() > 3 && apart.len() < all.len());
            assert_eq!(counts(apart), counts(all.into_iter().map(|content| (content, 1))));
        }
    }

    #[test]
    fn a_new_slot_file_has_every_kind_of_verdict() {
        let new = file();
        let bytes = new.cached().bytes().to_vec();
        let mut file = FileNode::settled(Content::new(Vec::new()), SECTOR);
        file.write_at(0, &bytes);
        let apart = file.distinguishable(&ends_of_slots(&file), &|b| protocol().verdict(b));
        let found = counts(apart);
        // Whole, cut off, with a damaged page, and both.
        let of = |bytes: &[u8]| protocol().verdict(bytes);
        let mut garbled = bytes.clone();
        garbled[..SECTOR].fill(0);
        let cut = bytes[..2 * PAGE].to_vec();
        for seen in [&bytes, &cut, &garbled, &garbled[..2 * PAGE].to_vec()] {
            assert!(found.contains_key(&of(seen)), "{} bytes", seen.len());
        }
        // The page and each slot are whole or damaged in several ways.
        assert!(found.len() > 2 * 2 * 2 * 2, "{}", found.len());
    }
}
