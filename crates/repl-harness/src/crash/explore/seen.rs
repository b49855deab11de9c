//! What was visited, and what files may hold after a power cut.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use crate::crash::disk::{Content, FileNode};
use crate::crash::protocol::Protocol;

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

    /// How a reader answers to it: what it is known by.
    pub(super) fn verdict(&self, content: &Content) -> u128 {
        if self.prune {
            content.verdict(|bytes| self.protocol.verdict(bytes))
        } else {
            content.hash()
        }
    }

    /// One of each that recovery tells apart, and how many those stand for.
    pub(super) fn of(&self, file: &FileNode) -> Contents {
        let key = file.key(Content::hash);
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(contents) = known().get(&key) {
            return Arc::clone(contents);
        }
        let mut count = 0;
        let mut apart: BTreeMap<u128, (Content, u64)> = BTreeMap::new();
        for content in file.after_power_cut() {
            count += 1;
            let verdict = self.verdict(&content);
            apart.entry(verdict).or_insert((content, 0)).1 += 1;
        }
        let contents: Contents = Arc::new(apart.into_values().collect());
        // Two threads may have done the same work.
        if known().insert(key, Arc::clone(&contents)).is_none() {
            self.contents.fetch_add(count, Relaxed);
        }
        contents
    }

    pub(super) fn contents(&self) -> u64 {
        self.contents.load(Relaxed)
    }
}
