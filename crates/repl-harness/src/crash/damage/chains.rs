//! Damage to chains of deltas in a slot file.

use std::ops::Range;

use super::case::{Case, Hit, flips};
use super::slots::File;
use super::{Base, Sweep};
use crate::crash::deltas;
use crate::crash::invariant::Violation;
use crate::crash::layout::{SLOTS, STORE_ID, slot_file};
use crate::crash::records::{OF_DELTA, closed, in_store, next_record, number, records};

/// Damages the file after each save of a process whose saves are deltas from the third on. Flips
/// every bit of the deltas once two chains have some.
pub(super) fn sweep(sweep: &mut Sweep) -> Result<(), Violation> {
    let config = sweep.config;
    sweep.config = deltas::bounds(&config);
    let swept = all(sweep);
    sweep.config = config;
    swept
}

fn all(sweep: &mut Sweep) -> Result<(), Violation> {
    for saves in 3..=sweep.config.saves {
        let base = sweep.base(None, saves)?;
        let twin = sweep.base_of(None, saves, 2)?;
        let file = File::of(&base);
        let cases = file.of_chains(sweep, &File::of(&twin));
        for case in cases {
            sweep.check(&base, &slot_file(), &case)?;
        }
        if saves == sweep.config.saves - 2 {
            flip(sweep, &base, &file)?;
        }
    }
    late_write(sweep)
}

/// Flips the bits of deltas and of the unused bytes between them.
fn flip(sweep: &mut Sweep, base: &Base, file: &File) -> Result<(), Violation> {
    for (slot, deltas) in file.deltas() {
        let start = file.slot(slot).start;
        let (Some(first), Some(last)) = (deltas.first(), deltas.last()) else { continue };
        let part = start + first.start..start + next_record(last.end);
        for case in flips(&file.bytes[part.clone()], sweep.config.stride, |_| file.hit(part.start))
        {
            let bytes = case.bytes.as_deref().map(|flipped| file.with(part.start, flipped));
            let case = Case { how: format!("{} of slot {slot}", case.how), bytes, ..case };
            sweep.check(base, &slot_file(), &case)?;
        }
    }
    Ok(())
}

/// The delta of an earlier process, of the generation that a later one has used again, appears
/// behind the record on which it builds: the later process has the right one.
fn late_write(sweep: &mut Sweep) -> Result<(), Violation> {
    let earlier = File::of(&sweep.base(None, 3)?);
    let before = sweep.base(None, 2)?;
    let base = sweep.base(Some(&before), 1)?;
    let file = File::of(&base);
    let Some((from, deltas)) = earlier.deltas().pop() else { return Ok(()) };
    let Some(delta) = deltas.first() else { return Ok(()) };
    let envelope = &earlier.bytes[earlier.slot(from)][..delta.start];
    let record = &earlier.bytes[earlier.slot(from)][closed(delta)];
    for slot in 0..SLOTS {
        let there = &file.bytes[file.slot(slot)];
        if there.starts_with(envelope) {
            let bytes = file.with(file.slot(slot).start + delta.start, record);
            let how = format!("an earlier process's delta in slot {slot}");
            sweep.check(&base, &slot_file(), &Case::new(how, bytes, Hit::Older))?;
        }
    }
    Ok(())
}

impl File {
    /// The deltas in each slot that has some.
    fn deltas(&self) -> Vec<(usize, Vec<Range<usize>>)> {
        let of = |slot| (slot, records(&self.bytes[self.slot(slot)]).split_off(1));
        (0..SLOTS).map(of).filter(|(_, deltas)| !deltas.is_empty()).collect()
    }

    /// Damage to sectors and slots, and records in wrong places. `twin` was saved in the same way,
    /// with other marks.
    fn of_chains(&self, sweep: &Sweep, twin: &File) -> Vec<Case> {
        let mut all = self.sectors(sweep.config.sector);
        all.extend(self.slot_cases(sweep));
        all.extend(self.pairs());
        let deltas: Vec<(usize, Range<usize>)> = self
            .deltas()
            .into_iter()
            .flat_map(|(slot, deltas)| deltas.into_iter().map(move |delta| (slot, delta)))
            .collect();
        for (slot, delta) in &deltas {
            let at = self.slot(*slot).start + delta.start;
            let hit = self.hit(at);
            let generation = number(&self.bytes[at..], OF_DELTA.generation).unwrap_or(0);
            let mut put = |how: &str, record: &[u8]| {
                if at + record.len() <= self.slot(*slot).end {
                    let how = format!("delta {generation} is {how}");
                    all.push(Case::new(how, self.with(at, record), hit));
                }
            };
            for (other, record) in deltas.iter().filter(|other| *other != &(*slot, delta.clone())) {
                put("another", &self.bytes[self.slot(*other)][closed(record)]);
            }
            let own = &self.bytes[self.slot(*slot)][closed(delta)];
            put("another store's", &in_store(own, STORE_ID.0 + 1));
            put("of another chain", &twin.bytes[twin.slot(*slot)][closed(delta)]);
        }
        for (one, first) in &deltas {
            for (other, second) in deltas.iter().filter(|(other, _)| other > one) {
                let (one, other) = (self.slot(*one).start, self.slot(*other).start);
                let theirs = &self.bytes[other..][closed(second)];
                let ours = &self.bytes[one..][closed(first)];
                if ours.len() == theirs.len() {
                    let mut bytes = self.with(one + first.start, theirs);
                    bytes[other..][closed(second)].copy_from_slice(ours);
                    all.push(Case::new("two deltas are exchanged", bytes, Hit::Two));
                }
            }
        }
        all.retain(|case| case.bytes.as_ref() != Some(&self.bytes));
        all
    }
}
