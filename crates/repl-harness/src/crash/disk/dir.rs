//! One directory: its durable names, its cached names, and the changes between the two.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};

pub(crate) type Ino = u32;
pub(crate) type Names = BTreeMap<OsString, Ino>;

/// The names of one directory.
#[derive(Clone, Default)]
pub(crate) struct DirNode {
    durable: Names,
    cached: Names,
    pending: Vec<Change>,
}

/// The changes of one call, name by name.
#[derive(Clone)]
struct Change {
    names: Vec<(OsString, Option<Ino>)>,
    /// Whether a sync of it has failed: no later sync writes it.
    lost: bool,
}

impl Change {
    /// Adds what the change makes of each set of names, whole or by half.
    fn spread(&self, found: &mut BTreeSet<Names>) {
        for before in found.clone() {
            let mut after = before;
            // The new name exists before the old one is gone.
            for name in &self.names {
                set(&mut after, name);
                found.insert(after.clone());
            }
        }
    }
}

/// The most pending changes whose subsets are enumerated.
pub(crate) const MOST_PENDING: usize = 12;

impl DirNode {
    pub(crate) fn settled(names: Names) -> Self {
        DirNode { durable: names.clone(), cached: names, pending: Vec::new() }
    }

    pub(crate) fn is_settled(&self) -> bool {
        self.pending.is_empty()
    }

    pub(crate) fn cached(&self) -> &Names {
        &self.cached
    }

    pub(crate) fn get(&self, name: &OsStr) -> Option<Ino> {
        self.cached.get(name).copied()
    }

    pub(crate) fn add(&mut self, name: &OsStr, ino: Ino) {
        self.change(vec![(name.to_owned(), Some(ino))]);
    }

    pub(crate) fn remove(&mut self, name: &OsStr) {
        self.change(vec![(name.to_owned(), None)]);
    }

    pub(crate) fn rename(&mut self, from: &OsStr, to: &OsStr, ino: Ino) {
        self.change(vec![(to.to_owned(), Some(ino)), (from.to_owned(), None)]);
    }

    fn change(&mut self, names: Vec<(OsString, Option<Ino>)>) {
        for name in &names {
            set(&mut self.cached, name);
        }
        self.pending.push(Change { names, lost: false });
    }

    /// A sync that succeeds. It does not write what an earlier sync failed to write, unless a later
    /// change of the same name replaces it.
    pub(crate) fn sync(&mut self) {
        let mut lost: Vec<Change> = Vec::new();
        for change in std::mem::take(&mut self.pending) {
            if change.lost {
                lost.push(change);
                continue;
            }
            for name in &change.names {
                set(&mut self.durable, name);
                for earlier in &mut lost {
                    earlier.names.retain(|(n, _)| *n != name.0);
                }
            }
        }
        lost.retain(|change| !change.names.is_empty());
        self.pending = lost;
    }

    /// A sync that fails.
    pub(crate) fn fail_sync(&mut self) {
        self.pending.iter_mut().for_each(|change| change.lost = true);
    }

    /// Every set of names that a power cut may leave: each pending change done or not, a rename
    /// also by half, with both names. `None` if too many changes are pending.
    pub(crate) fn after_power_cut(&self) -> Option<BTreeSet<Names>> {
        if self.pending.len() > MOST_PENDING {
            return None;
        }
        let mut found = BTreeSet::from([self.durable.clone()]);
        for change in &self.pending {
            change.spread(&mut found);
        }
        Some(found)
    }

    /// Every set of names that a power cut may leave and that has exactly these names. Works with
    /// any number of pending changes: a set is dropped as soon as no later change can correct it.
    pub(crate) fn images_with(&self, wanted: &BTreeSet<&OsStr>) -> BTreeSet<Names> {
        let fits = |names: &Names, name: &OsStr| names.contains_key(name) == wanted.contains(name);
        let mut last_touched: BTreeMap<&OsStr, usize> = BTreeMap::new();
        for (i, change) in self.pending.iter().enumerate() {
            last_touched.extend(change.names.iter().map(|(name, _)| (name.as_os_str(), i)));
        }
        let all = self.durable.keys().map(OsString::as_os_str).chain(wanted.iter().copied());
        let mut untouched = all.filter(|name| !last_touched.contains_key(name));
        if !untouched.all(|name| fits(&self.durable, name)) {
            return BTreeSet::new();
        }
        let mut found = BTreeSet::from([self.durable.clone()]);
        for (i, change) in self.pending.iter().enumerate() {
            change.spread(&mut found);
            let settled = change.names.iter().map(|(name, _)| name.as_os_str());
            let settled: Vec<&OsStr> = settled.filter(|name| last_touched[name] == i).collect();
            found.retain(|names| settled.iter().all(|name| fits(names, name)));
        }
        found
    }

    /// Every durable, pending and cached name with its inode, in a fixed order.
    pub(crate) fn all(&self) -> impl Iterator<Item = (u8, &OsStr, Option<Ino>)> {
        let durable = self.durable.iter().map(|(name, ino)| (0, name.as_os_str(), Some(*ino)));
        let pending = self.pending.iter().flat_map(|change| {
            let kind = if change.lost { 2 } else { 1 };
            // The first name of a change is marked, so that changes do not run together.
            let kind = move |i: usize| kind + if i == 0 { 0 } else { 2 };
            let names = change.names.iter().enumerate();
            names.map(move |(i, (name, ino))| (kind(i), name.as_os_str(), *ino))
        });
        let cached = self.cached.iter().map(|(name, ino)| (5, name.as_os_str(), Some(*ino)));
        durable.chain(pending).chain(cached)
    }
}

fn set(names: &mut Names, (name, ino): &(OsString, Option<Ino>)) {
    match ino {
        Some(ino) => names.insert(name.clone(), *ino),
        None => names.remove(name),
    };
}
