//! Makes what a power cut may leave of a recorded disk.

use std::fmt;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use fastrand::Rng;

use super::device::{Blocks, Record};
use crate::done::Fallible;

/// What a device writes as a whole or not at all.
const SECTOR: usize = 512;

/// Chooses when the power is cut, in order: as numbers of records before the cut.
///
/// Half of the cuts come soon after a report of a writer, which is when a missing flush shows. The
/// others come anywhere, rather where many writes wait for a flush. Half of all come right before
/// the next flush.
pub(super) fn instants(
    records: &[Record],
    reported: &[usize],
    wanted: u64,
    rng: &mut Rng,
) -> Vec<usize> {
    let is_write = |record: &&Record| matches!(record, Record::Write(..));
    let before = |at: usize| records[..at].iter().rev().take_while(is_write).count();
    let after = |at: usize| records[at..].iter().take_while(is_write).count();
    let mut chosen: Vec<usize> = (0..wanted)
        .map(|_| {
            let at = match rng.choice(reported) {
                Some(report) if rng.bool() => (report + rng.usize(..4)).min(records.len()),
                _ => {
                    let anywhere = [(); 3].map(|()| rng.usize(..=records.len()));
                    let waiting = |at: &usize| before(*at) + after(*at);
                    anywhere.into_iter().max_by_key(waiting).unwrap_or(0)
                }
            };
            if rng.bool() { at + after(at) } else { at }
        })
        .collect();
    chosen.sort_unstable();
    chosen
}

/// The images of one recording, in the order of their cuts.
pub(super) struct Cuts<'a> {
    /// All that is durable.
    durable: Blocks,
    records: &'a [Record],
    /// The number of records that are in `durable`.
    done: usize,
    /// Writes of these bytes are not torn.
    whole: Range<u64>,
}

/// What became of the writes that no flush had made durable.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fate {
    pub(super) kept: u64,
    pub(super) lost: u64,
    pub(super) torn: u64,
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "writes kept: {}, lost: {}, torn: {}", self.kept, self.lost, self.torn)
    }
}

impl<'a> Cuts<'a> {
    pub(super) fn new(start: Blocks, records: &'a [Record], whole: Range<u64>) -> Self {
        Cuts { durable: start, records, done: 0, whole }
    }

    /// Writes an image of the disk after `at` records. Each cut must come at the one before it or
    /// later. Equal seeds give equal images of a cut.
    pub(super) fn image(&mut self, at: usize, seed: u64, image: &Path) -> Fallible<Fate> {
        let records = &self.records[..at.min(self.records.len())];
        let flush = records.iter().rposition(|record| matches!(record, Record::Flush));
        let settled = flush.map_or(0, |flush| flush + 1).max(self.done);
        for record in &records[self.done..settled] {
            if let Record::Write(at, bytes) = record {
                self.durable.write(*at, bytes);
            }
        }
        self.done = settled;
        let file = self.durable.save(image)?;
        let mut rng = Rng::with_seed(seed);
        let mut fate = Fate::default();
        // Of 8 writes so many are kept, and of 8 that are kept so many are torn.
        let kept = [0, 1, 4, 7, 8][rng.usize(..5)];
        let torn = [0, 1, 6][rng.usize(..3)];
        for record in &records[settled..] {
            let Record::Write(at, bytes) = record else { continue };
            if rng.u8(..8) >= kept {
                fate.lost += 1;
            } else if self.tears(*at, bytes) && rng.u8(..8) < torn {
                fate.torn += 1;
                let keeps = sectors(bytes.len().div_ceil(SECTOR), &mut rng);
                let sectors = bytes.chunks(SECTOR).zip(keeps).enumerate();
                for (number, (sector, _)) in sectors.filter(|(_, (_, keeps))| *keeps) {
                    file.write_all_at(sector, at + (number * SECTOR) as u64)?;
                }
            } else {
                fate.kept += 1;
                file.write_all_at(bytes, *at)?;
            }
        }
        Ok(fate)
    }

    fn tears(&self, at: u64, bytes: &[u8]) -> bool {
        let is_whole = at < self.whole.end && self.whole.start < at + bytes.len() as u64;
        bytes.len() > SECTOR && !is_whole
    }
}

/// Which sectors of a torn write are kept: the first, the last, or any.
fn sectors(count: usize, rng: &mut Rng) -> Vec<bool> {
    let edge = rng.usize(1..count.max(2));
    match rng.u8(..3) {
        0 => (0..count).map(|sector| sector < edge).collect(),
        1 => (0..count).map(|sector| sector >= edge).collect(),
        _ => (0..count).map(|_| rng.bool()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECTORS: usize = 8;

    /// The number of each sector's last write, in an image of a cut.
    fn image(cuts: &mut Cuts<'_>, at: usize, seed: u64) -> (Vec<u8>, Fate) {
        let file = tempfile::NamedTempFile::new().unwrap();
        let fate = cuts.image(at, seed, file.path()).unwrap();
        let bytes = std::fs::read(file.path()).unwrap();
        assert_eq!(bytes.len(), SECTORS * SECTOR);
        let of = |sector: &[u8]| {
            assert!(sector.iter().all(|byte| *byte == sector[0]), "a sector is torn");
            sector[0]
        };
        (bytes.chunks(SECTOR).map(of).collect(), fate)
    }

    /// An empty disk, and records: 1 everywhere, a flush, 2 in the first half, 3 in the last
    /// sector, a flush, 4 everywhere.
    fn recorded() -> (impl Fn() -> Blocks, Vec<Record>) {
        let start = || {
            let file = tempfile::NamedTempFile::new().unwrap();
            file.as_file().set_len((SECTORS * SECTOR) as u64).unwrap();
            Blocks::load(file.path()).unwrap()
        };
        let write = |sector: usize, count: usize, byte| {
            Record::Write((sector * SECTOR) as u64, vec![byte; count * SECTOR])
        };
        let records = vec![
            write(0, 8, 1),
            Record::Flush,
            write(0, 4, 2),
            write(7, 1, 3),
            Record::Flush,
            write(0, 8, 4),
        ];
        (start, records)
    }

    #[test]
    fn a_cut_leaves_all_that_was_flushed_and_nothing_that_came_later() {
        let (start, records) = recorded();
        for seed in 0..200 {
            let mut cuts = Cuts::new(start(), &records, 0..0);
            let (bytes, fate) = image(&mut cuts, 2, seed);
            assert_eq!((&bytes[..], fate), (&[1; SECTORS][..], Fate::default()));
            let (bytes, _) = image(&mut cuts, 5, seed);
            assert_eq!(bytes, [2, 2, 2, 2, 1, 1, 1, 3]);
        }
    }

    #[test]
    fn writes_since_the_flush_are_kept_lost_and_torn_each_on_its_own() {
        let (start, records) = recorded();
        let mut cuts = Cuts::new(start(), &records, 0..0);
        let mut found = std::collections::BTreeSet::new();
        for seed in 0..8000 {
            let (bytes, fate) = image(&mut cuts, 4, seed);
            assert_eq!(fate.kept + fate.lost + fate.torn, 2);
            assert!(bytes[..4].iter().all(|byte| [1, 2].contains(byte)), "{bytes:?}");
            assert_eq!(bytes[4..7], [1; 3]);
            found.insert((bytes[..4].to_vec(), bytes[7]));
        }
        // Each of four sectors old or new, and the last sector old or new.
        assert_eq!(found.len(), 32);
    }

    #[test]
    fn a_write_of_the_superblock_is_not_torn() {
        let (start, records) = recorded();
        let superblock = 3 * SECTOR as u64..4 * SECTOR as u64;
        let mut cuts = Cuts::new(start(), &records, superblock);
        for seed in 0..500 {
            let (bytes, fate) = image(&mut cuts, 4, seed);
            assert!(bytes[..4] == [1; 4] || bytes[..4] == [2; 4], "{bytes:?}");
            assert_eq!(fate.torn, 0);
        }
    }

    #[test]
    fn cuts_come_in_order_and_within_the_records() {
        let (_, records) = recorded();
        let mut rng = Rng::with_seed(1);
        let chosen = instants(&records, &[0, 6], 500, &mut rng);
        assert_eq!(chosen.len(), 500);
        assert!(chosen.is_sorted());
        for at in 0..=records.len() {
            assert!(chosen.contains(&at), "{at}");
        }
    }
}
