//! One directory: the names that are durable, those that are seen, and what happened in between.

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

/// One call's work: what becomes of each name.
#[derive(Clone)]
struct Change {
    names: Vec<(OsString, Option<Ino>)>,
    /// Whether a sync that was to write it has failed: no later one writes it.
    lost: bool,
}

impl Change {
    /// To each set of names those that it makes of it, done or by half.
    fn spread(&self, found: &mut BTreeSet<Names>) {
        for before in found.clone() {
            let mut after = before;
            // The new name is there before the old one is gone.
            for name in &self.names {
                set(&mut after, name);
                found.insert(after.clone());
            }
        }
    }
}

/// Subsets of more changes than this are not all enumerated.
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

    /// A sync that succeeds. What an earlier one failed to write it does not write, unless a later
    /// change of the same name takes its place.
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
    /// also by half, with both names. `None` where there are too many changes to say.
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

    /// Those of them that hold just these names. However many changes are pending: a choice that
    /// leaves a name wrong which no later change touches is given up at once.
    pub(crate) fn left_as(&self, wanted: &BTreeSet<&OsStr>) -> BTreeSet<Names> {
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

    /// All names with what they stand for, in the order in which they count for equality.
    pub(crate) fn all(&self) -> impl Iterator<Item = (u8, &OsStr, Option<Ino>)> {
        let durable = self.durable.iter().map(|(name, ino)| (0, name.as_os_str(), Some(*ino)));
        let pending = self.pending.iter().flat_map(|change| {
            let kind = if change.lost { 2 } else { 1 };
            // The first name of a change is told from those that belong to it.
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
