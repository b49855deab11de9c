//! Damage to the file of a `SlotStore`.

use std::collections::BTreeSet;

use repl_checkpoint::{OnCorrupt, Recovered, Source};

use super::case::{Case, Hit, flips, lengths, of_another_store};
use super::format::Chain;
use super::{Base, Sweep, is_older};
use crate::crash::disk::State;
use crate::crash::invariant::Violation;
use crate::crash::layout::{PAGE, SLOTS, STORE_ID, slot_file};
use crate::crash::records::{generation_of, records};

/// Damages the file after each save of a process and of the next one. Flips single bits only after
/// the last save of the first process.
pub(super) fn sweep(sweep: &mut Sweep) -> Result<(), Violation> {
    let mut bases = Vec::new();
    for saves in 1..=sweep.config.saves {
        bases.push(sweep.base(None, saves)?);
    }
    for saves in 1..=sweep.config.later_saves {
        bases.push(sweep.base(bases.last(), saves)?);
    }
    for base in &bases {
        let file = File::of(base);
        for case in file.larger(sweep) {
            sweep.check(base, &slot_file(), &case)?;
        }
    }
    let Some(base) = bases.get(sweep.config.saves.saturating_sub(1)) else {
        return Ok(());
    };
    let file = File::of(base);
    for case in flips(&file.bytes, sweep.config.stride, |at| file.hit(at)) {
        sweep.check(base, &slot_file(), &case)?;
    }
    Ok(())
}

fn slot_file_of(state: &State) -> Option<Vec<u8>> {
    state.files().get(&slot_file()).map(|content| content.bytes().to_vec())
}

pub(super) struct File {
    pub(super) bytes: Vec<u8>,
    /// The length of a slot.
    size: usize,
    /// The slot of the newest checkpoint.
    newest: usize,
    /// The earlier contents of the file, the latest first.
    earlier: Vec<Vec<u8>>,
}

impl File {
    pub(super) fn of(base: &Base) -> Self {
        let bytes = slot_file_of(&base.state).unwrap_or_default();
        let size = bytes.len().saturating_sub(PAGE) / SLOTS;
        let mut earlier: Vec<Vec<u8>> =
            base.before.iter().rev().filter_map(slot_file_of).filter(|b| *b != bytes).collect();
        earlier.dedup();
        let mut file = File { bytes, size, newest: 0, earlier };
        let generation = |slot: &usize| file.generation(*slot);
        // Of equal generations the last slot counts.
        file.newest = (0..SLOTS).max_by_key(generation).unwrap_or(0);
        file
    }

    pub(super) fn slot(&self, slot: usize) -> std::ops::Range<usize> {
        PAGE + slot * self.size..PAGE + (slot + 1) * self.size
    }

    /// The envelope in a slot, without its deltas.
    fn envelope(&self, slot: usize) -> &[u8] {
        let bytes = &self.bytes[self.slot(slot)];
        records(bytes).first().map_or(&[], |record| &bytes[record.clone()])
    }

    fn generation(&self, slot: usize) -> Option<u64> {
        generation_of(self.bytes.get(self.slot(slot))?)
    }

    /// The part of the file that this byte belongs to.
    pub(super) fn hit(&self, at: usize) -> Hit {
        if at < PAGE {
            Hit::Page
        } else if self.slot(self.newest).contains(&at) {
            Hit::Newest
        } else {
            Hit::Older
        }
    }

    pub(super) fn with(&self, at: usize, bytes: &[u8]) -> Vec<u8> {
        let mut with = self.bytes.clone();
        with[at..at + bytes.len()].copy_from_slice(bytes);
        with
    }

    /// Every damage except single bits.
    fn larger(&self, sweep: &Sweep) -> Vec<Case> {
        let mut all = vec![Case::gone()];
        all.extend(lengths(&self.bytes, sweep.config.sector, sweep.config.stride));
        all.extend(self.sectors(sweep.config.sector));
        all.extend(self.slot_cases(sweep));
        all.extend(self.pages());
        all.extend(self.pairs());
        let envelope = self.envelope(self.newest).to_vec();
        all.push(Case::new("a FileStore's file", envelope, Hit::File));
        // A file that stays the same is no damage.
        all.retain(|case| case.bytes.as_ref() != Some(&self.bytes));
        all
    }

    pub(super) fn sectors(&self, length: usize) -> Vec<Case> {
        let mut all = Vec::new();
        for k in 0..self.bytes.len() / length {
            let at = k * length;
            let earlier = self.earlier.first().filter(|e| e.len() == self.bytes.len());
            let stale = earlier.map_or_else(|| vec![0; length], |e| e[at..at + length].to_vec());
            let of_page = self.bytes[..length].to_vec();
            let of_slot = self.bytes[PAGE..PAGE + length].to_vec();
            let kinds = [
                (vec![0; length], "lost"),
                (stale, "stale"),
                (of_page, "the first of the page"),
                (of_slot, "the first of a slot"),
                (vec![0xa5; length], "garbage"),
            ];
            for (sector, how) in kinds {
                let damaged = self.with(at, &sector);
                let hit = self.hit_in(at, &damaged);
                all.push(Case::new(format!("sector {k} is {how}"), damaged, hit));
            }
        }
        all.extend(self.lost_writes(length));
        all
    }

    /// Every way to lose some sectors of the last write in place: there is what was there before.
    fn lost_writes(&self, sector: usize) -> Vec<Case> {
        let earlier = self.earlier.first().filter(|e| e.len() == self.bytes.len());
        let Some(earlier) = earlier else { return Vec::new() };
        let differs = |at: &usize| earlier[*at..][..sector] != self.bytes[*at..][..sector];
        let written: Vec<usize> = (0..self.bytes.len()).step_by(sector).filter(differs).collect();
        let Some(first) = written.first().copied() else { return Vec::new() };
        if !(0..SLOTS).any(|slot| written.iter().all(|at| self.slot(slot).contains(at))) {
            return Vec::new(); // a new file
        }
        let lost = |some: u32| {
            let mut bytes = self.bytes.clone();
            for (_, at) in written.iter().enumerate().filter(|(i, _)| some & (1 << i) != 0) {
                bytes[*at..][..sector].copy_from_slice(&earlier[*at..][..sector]);
            }
            let hit = self.hit_in(first, &bytes);
            Case::new(format!("sectors {some:b} of the last write are lost"), bytes, hit)
        };
        (1..1 << written.len()).map(lost).collect()
    }

    /// The part of the file that was damaged there. No reader can detect that a slot is that of an
    /// older checkpoint again: its headers and closing checksums are right.
    fn hit_in(&self, at: usize, damaged: &[u8]) -> Hit {
        let is_older = |slot: usize| {
            let chain = Chain::of(&damaged[self.slot(slot)]);
            self.slot(slot).contains(&at)
                && !chain.is_damaged
                && chain.generation() < self.generation(slot)
        };
        if (0..SLOTS).any(is_older) { Hit::Whole } else { self.hit(at) }
    }

    pub(super) fn slot_cases(&self, sweep: &Sweep) -> Vec<Case> {
        let mut all = Vec::new();
        for slot in 0..SLOTS {
            let range = self.slot(slot);
            let hit = self.hit(range.start);
            let lost = self.with(range.start, &vec![0; self.size]);
            all.push(Case::new(format!("slot {slot} is lost"), lost, hit));
            for other in (0..SLOTS).filter(|other| *other != slot) {
                let theirs = self.bytes[self.slot(other)].to_vec();
                let damaged = self.with(range.start, &theirs);
                all.push(Case::new(format!("slot {slot} is slot {other}"), damaged, Hit::Whole));
            }
            let earlier: BTreeSet<&[u8]> =
                self.earlier.iter().filter_map(|e| e.get(range.clone())).collect();
            for (i, earlier) in earlier.into_iter().enumerate() {
                let damaged = self.with(range.start, earlier);
                let how = format!("slot {slot} is put back, {i}");
                all.push(Case::new(how, damaged, Hit::Whole));
            }
            let envelope = self.envelope(slot);
            if let Some(foreign) = of_another_store(sweep.protocol, envelope) {
                let damaged = self.with(range.start, &foreign);
                let how = format!("slot {slot} is another store's");
                all.push(Case::new(how, damaged, Hit::Foreign));
            }
        }
        all
    }

    fn pages(&self) -> Vec<Case> {
        let page = |line: String| {
            let mut page = format!("{line}{:08x}\n", crc32c::crc32c(line.as_bytes())).into_bytes();
            page.resize(PAGE, 0);
            self.with(0, &page)
        };
        let line = |version: u64, store: u128, size: usize| {
            format!("repl-checkpoint slots v{version} store={store:032x} slot={size:020} crc32c=")
        };
        let file = |how: &str, bytes| Case::new(how, bytes, Hit::File);
        vec![
            Case::new("the page is lost", self.with(0, &vec![0; PAGE]), Hit::Page),
            file("another store's page", page(line(2, STORE_ID.0 + 1, self.size))),
            file("another size's page", page(line(2, STORE_ID.0, 2 * self.size))),
            file("another version's page", page(line(3, STORE_ID.0, self.size))),
        ]
    }

    /// Damage to two slots.
    pub(super) fn pairs(&self) -> Vec<Case> {
        let pairs = [(0, 1), (0, 2), (1, 2)];
        let of = |(one, other): (usize, usize)| {
            let mut bytes = self.with(self.slot(one).start, &vec![0; self.size]);
            bytes[self.slot(other).start + 200] ^= 1;
            Case::new(format!("slots {one} and {other} are damaged"), bytes, Hit::Two)
        };
        pairs.into_iter().map(of).collect()
    }
}

/// Whether damage was not reported. Only the slots themselves tell which generation is the newest.
pub(super) fn is_silent(
    follower: &Recovered,
    base: &Base,
    case: &Case,
    on_corrupt: OnCorrupt,
) -> bool {
    let found = &follower.report;
    match (&found.source, case.hit) {
        (Source::Fresh, Hit::Gone) => found.missing.is_empty(),
        (Source::Resumed { .. }, Hit::Whole) => false,
        (Source::Resumed { .. }, Hit::Older | Hit::Foreign | Hit::Two) => {
            is_older(follower, base.newest)
        }
        (Source::Fresh, _)
        | (Source::Resumed { .. }, Hit::File | Hit::Page | Hit::Newest | Hit::Gone) => true,
        (Source::FellBack { damaged, .. }, _) => {
            on_corrupt == OnCorrupt::Fail && damaged.len() > 1 && case.hit != Hit::Two
        }
    }
}
