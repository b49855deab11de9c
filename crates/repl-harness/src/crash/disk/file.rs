//! One file: its durable bytes, its cached bytes, and every unsettled sector.

mod images;

use std::collections::BTreeMap;

use super::content::{Content, hash128};

/// The bytes that a device writes as a unit, by default.
pub(crate) const SECTOR: usize = 512;

/// Why a power cut cannot leave a file with given bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Mismatch {
    Length { length: usize, durable: usize, reach: usize },
    Sector(usize),
}

/// The data of one inode.
#[derive(Clone)]
pub(crate) struct FileNode {
    durable: Content,
    cached: Content,
    /// The sectors that a power cut may leave in more than one way.
    unsettled: BTreeMap<usize, Unsettled>,
    /// The greatest length after a power cut; the durable length if no other is pending.
    reach: usize,
    /// Whether the next sync makes the length durable.
    size_dirty: bool,
    /// The number of bytes that a device writes as a unit.
    sector: usize,
}

#[derive(Clone)]
struct Unsettled {
    /// Every content in the cache since the last sync, besides the durable one.
    versions: Vec<Content>,
    /// Whether the next sync writes it. After a failed sync its page counts as clean.
    dirty: bool,
}

impl FileNode {
    /// A file with nothing pending.
    pub(crate) fn settled(content: Content, sector: usize) -> Self {
        FileNode {
            reach: content.len(),
            durable: content.clone(),
            cached: content,
            unsettled: BTreeMap::new(),
            size_dirty: false,
            sector,
        }
    }

    pub(crate) fn is_settled(&self) -> bool {
        self.unsettled.is_empty() && self.reach == self.durable.len() && self.durable == self.cached
    }

    pub(crate) fn durable(&self) -> &Content {
        &self.durable
    }

    pub(crate) fn cached(&self) -> &Content {
        &self.cached
    }

    /// The number of bytes that a device writes as a unit.
    pub(crate) fn sector(&self) -> usize {
        self.sector
    }

    /// The greatest length that a power cut may leave.
    pub(crate) fn longest(&self) -> usize {
        self.reach.max(self.durable.len())
    }

    pub(crate) fn write_at(&mut self, offset: usize, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let mut cached = self.cached.bytes().to_vec();
        let end = offset + bytes.len();
        // The gap between the old end and the offset is written with zeros.
        let first = offset.min(cached.len()) / self.sector;
        if cached.len() < end {
            cached.resize(end, 0);
            self.size_dirty = true;
            self.reach = self.reach.max(end);
        }
        cached[offset..end].copy_from_slice(bytes);
        for k in first..end.div_ceil(self.sector) {
            let version = Content::new(sector(&cached, k, self.sector));
            let unsettled =
                self.unsettled.entry(k).or_insert(Unsettled { versions: Vec::new(), dirty: true });
            unsettled.dirty = true;
            if !unsettled.versions.contains(&version) {
                unsettled.versions.push(version);
            }
        }
        self.cached = Content::new(cached);
    }

    /// A sync that succeeds. It does not write what an earlier sync failed to write.
    pub(crate) fn sync(&mut self) {
        let size_lost = self.reach != self.durable.len() && !self.size_dirty;
        let length = if size_lost { self.durable.len() } else { self.cached.len() };
        let mut durable = self.durable.bytes().to_vec();
        durable.resize(length, 0);
        for (k, at) in (0..length).step_by(self.sector).enumerate() {
            let end = length.min(at + self.sector);
            if self.unsettled.get(&k).is_none_or(|u| u.dirty) {
                let new = sector(self.cached.bytes(), k, self.sector);
                durable[at..end].copy_from_slice(&new[..end - at]);
            }
        }
        self.unsettled.retain(|_, unsettled| !unsettled.dirty);
        self.durable = Content::new(durable);
        if !size_lost {
            self.reach = length;
        }
        self.size_dirty = false;
    }

    /// A sync that fails: it may have written anything, and no later sync writes the rest.
    pub(crate) fn fail_sync(&mut self, cache_survives: bool) {
        self.unsettled.values_mut().for_each(|unsettled| unsettled.dirty = false);
        self.size_dirty = false;
        if !cache_survives {
            self.cached = self.durable.clone();
        }
    }

    /// Every content that a power cut may leave.
    pub(crate) fn after_power_cut(&self) -> Vec<Content> {
        let mut found: BTreeMap<u128, Content> = BTreeMap::new();
        for size in self.sizes() {
            let mut partial = vec![Vec::with_capacity(size)];
            for k in 0..size.div_ceil(self.sector) {
                let options = self.options(k);
                let length = self.sector.min(size - k * self.sector);
                let grown = |before: &Vec<u8>| {
                    let with = |option: &Vec<u8>| [before, &option[..length]].concat();
                    options.iter().map(with).collect::<Vec<_>>()
                };
                partial = partial.iter().flat_map(grown).collect();
            }
            for bytes in partial {
                let content = Content::new(bytes);
                found.insert(content.hash(), content);
            }
        }
        found.into_values().collect()
    }

    /// Some contents that a power cut may leave, at the least and the greatest length: all unsettled
    /// sectors old, new or garbage, and each sector different from all others. Of a new file only
    /// the first sector differs.
    pub(crate) fn some_after_power_cut(&self) -> Vec<Content> {
        let (low, high) = (self.durable.len(), self.reach);
        let sectors: Vec<_> = (0..high.div_ceil(self.sector)).map(|k| self.options(k)).collect();
        let last = |options: &Vec<Vec<u8>>| options.len() - 1;
        let mut found: BTreeMap<u128, Content> = BTreeMap::new();
        // Old, garbage, and the last written version.
        let of_others: [fn(usize) -> usize; 3] = [|_| 0, |last| last.min(1), |last| last];
        for others in of_others {
            for apart in 0..if low == 0 { 1 } else { sectors.len() } {
                for choice in 0..sectors.get(apart).map_or(1, Vec::len) {
                    let chosen = |(k, options): (usize, &Vec<Vec<u8>>)| {
                        options[if k == apart { choice } else { others(last(options)) }].clone()
                    };
                    let bytes: Vec<u8> = sectors.iter().enumerate().flat_map(chosen).collect();
                    for size in [low, high] {
                        let mut bytes = bytes.clone();
                        bytes.resize(size, 0);
                        let content = Content::new(bytes);
                        found.insert(content.hash(), content);
                    }
                }
            }
        }
        found.into_values().collect()
    }

    /// Checks that a power cut may leave exactly these bytes. Returns the number of garbage sectors.
    pub(crate) fn may_leave(&self, bytes: &[u8]) -> Result<u64, Mismatch> {
        let (length, durable, reach) = (bytes.len(), self.durable.len(), self.reach);
        let unchanged = length == durable;
        let changed = durable != reach && (length == 0 || (durable..=reach).contains(&length));
        if !unchanged && !changed {
            return Err(Mismatch::Length { length, durable, reach });
        }
        let mut garbage = 0;
        for (k, found) in bytes.chunks(self.sector).enumerate() {
            let is = |content: &[u8]| content[..found.len()] == *found;
            if is(&sector(self.durable.bytes(), k, self.sector)) {
                continue;
            }
            let unsettled = self.unsettled.get(&k).ok_or(Mismatch::Sector(k))?;
            garbage += u64::from(!unsettled.versions.iter().any(|version| is(version.bytes())));
        }
        Ok(garbage)
    }

    /// The lengths that a power cut may leave. That is the durable one. If another is pending, also
    /// 0, and between the two every multiple of a sector and one byte to each side of it.
    fn sizes(&self) -> Vec<usize> {
        let (low, high) = (self.durable.len(), self.reach);
        if low == high {
            return vec![low];
        }
        let near = |at: usize| [at.saturating_sub(1), at, at + 1];
        let mut sizes: Vec<usize> = (0..=high).step_by(self.sector).flat_map(near).collect();
        sizes.extend([low, high, high - 1]);
        sizes.retain(|size| *size == 0 || (low..=high).contains(size));
        sizes.sort_unstable();
        sizes.dedup();
        sizes
    }

    fn options(&self, k: usize) -> Vec<Vec<u8>> {
        let durable = sector(self.durable.bytes(), k, self.sector);
        let Some(unsettled) = self.unsettled.get(&k) else {
            return vec![durable];
        };
        let mut options = vec![durable, garbage(k, self.sector)];
        options.extend(unsettled.versions.iter().map(|version| version.bytes().to_vec()));
        options
    }

    /// A key that only equal files share. The key of a settled file is its verdict.
    pub(crate) fn key(&self, verdict: impl FnOnce(&Content) -> u128) -> u128 {
        if self.is_settled() {
            return verdict(&self.durable);
        }
        let unsettled: Vec<(usize, bool, Vec<u128>)> = self
            .unsettled
            .iter()
            .map(|(k, u)| (*k, u.dirty, u.versions.iter().map(Content::hash).collect()))
            .collect();
        let (durable, cached) = (self.durable.hash(), self.cached.hash());
        hash128(&(durable, cached, unsettled, self.reach, self.size_dirty))
    }
}

/// One sector, padded with zeros.
fn sector(bytes: &[u8], k: usize, length: usize) -> Vec<u8> {
    let start = bytes.len().min(k * length);
    let end = bytes.len().min(start + length);
    let mut sector = bytes[start..end].to_vec();
    sector.resize(length, 0);
    sector
}

/// Bytes that were never written.
fn garbage(k: usize, length: usize) -> Vec<u8> {
    let byte = |i: usize| u8::try_from((i * 31 + k * 7 + i / 5) % 251).unwrap_or(0) | 0x80;
    (0..length).map(byte).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn some_contents_have_each_sector_different_from_all_others() {
        let mut file = FileNode::settled(Content::new(vec![b'o'; 3 * SECTOR]), SECTOR);
        file.write_at(0, &[b'n'; 3 * SECTOR]);
        let kind = |sector: &[u8]| match sector[0] {
            kind @ (b'o' | b'n') => char::from(kind),
            _ => 'g',
        };
        let text = |content: &Content| content.bytes().chunks(SECTOR).map(kind).collect();
        let some: BTreeSet<String> = file.some_after_power_cut().iter().map(text).collect();
        // All but those in which the three are of three kinds.
        assert_eq!(some.len(), 27 - 6, "{some:?}");
        assert!(["ooo", "ggg", "nnn", "ono", "gng"].iter().all(|text| some.contains(*text)));
        assert!(some.len() < file.after_power_cut().len());
    }
}
