//! A slot file as a store leaves it, and what a crash or a fault of the disk makes of it.

use std::collections::BTreeMap;
use std::ops::Range;

use repl_checkpoint::{Checkpoint, Codec, Header};

use crate::chains::Link;
use crate::choices::Choices;
use crate::expected::Outcome;
use crate::format::{ALIGN, PAGE, closing, crc_of, first_page};
use crate::planted::{STORE, valid};
use crate::records::{Change, right_delta};
use crate::slot::UNUSED;

/// The chain in a slot.
#[derive(Clone)]
struct Chain {
    /// Its records with their closing checksums, and what is between them.
    bytes: Vec<u8>,
    /// Its last record.
    link: Link,
}

/// A slot file after some saves.
pub(crate) struct Sound {
    /// Before the last save, and after it.
    before: Vec<u8>,
    after: Vec<u8>,
    /// What the last save has written.
    written: Range<usize>,
    /// What each generation holds.
    history: BTreeMap<u64, Checkpoint>,
}

/// A save to a slot.
struct Writer<'a> {
    codec: &'a dyn Codec,
    size: usize,
    slots: [Chain; 3],
}

impl Sound {
    /// The first save of a process fills all slots, and each later one writes to one of them.
    pub(crate) fn of(c: &mut Choices<'_>, codec: &dyn Codec, size: usize) -> Self {
        let mut now = valid(c);
        let mut generation = 1 + c.below(3) as u64;
        let mut history = BTreeMap::from([(generation, now.clone())]);
        let first = envelope(codec, &now, generation, 0);
        let size = size.max(first.bytes.len().next_multiple_of(PAGE));
        let mut writer = Writer { codec, size, slots: [first.clone(), first.clone(), first] };
        let mut before = writer.file();
        // Of equal ones the last counts.
        let mut written = PAGE + 2 * size..before.len();
        for _ in 0..=c.below(7) {
            let kind = c.below(4);
            let change = Change::right(c, &now);
            // A delta holds what has changed since the save before the last one.
            let next = change.clone().applied_to(&now);
            let file = writer.file();
            let saved = match kind {
                0..3 => writer.append(generation, &history, &next),
                _ => None,
            };
            let Some(range) = saved.or_else(|| writer.overwrite(generation, &next)) else { break };
            generation += 1;
            history.insert(generation, next.clone());
            (now, before, written) = (next, file, range);
        }
        Sound { before, after: writer.file(), written, history }
    }

    /// The file with a few adjacent bytes of a slot changed.
    pub(crate) fn damaged(&self, c: &mut Choices<'_>) -> Vec<u8> {
        let mut file = self.after.clone();
        let size = (file.len() - PAGE) / 3;
        let start = PAGE + c.below(3) * size;
        // Mostly where something is.
        let length = if c.rarely(4) { size } else { size.min(PAGE / 4) };
        c.burst(&mut file[start..start + length]);
        file
    }

    /// The file with the last write torn: each sector is old, new or garbage.
    pub(crate) fn torn(&self, c: &mut Choices<'_>) -> Vec<u8> {
        let mut file = self.before.clone();
        let new = &self.after[self.written.clone()];
        let sectors = file[self.written.clone()].chunks_mut(ALIGN).zip(new.chunks(ALIGN));
        for (sector, new) in sectors {
            match c.below(8) {
                0..4 => sector.copy_from_slice(new),
                7 => sector.fill(c.byte()),
                _ => {}
            }
        }
        file
    }

    /// Asserts that nothing else is taken for the newest checkpoint, and nothing older in silence.
    pub(crate) fn check(&self, file: &[u8], found: &Outcome) {
        let mut newest = self.history.iter().rev();
        let last = newest.next().expect("something was saved");
        let previous = newest.next().unwrap_or(last);
        match found {
            Outcome::Resumed(generation, checkpoint) if generation == last.0 => {
                assert_eq!(**checkpoint, *last.1);
                let size = (file.len() - PAGE) / 3;
                let start = PAGE + (self.written.start - PAGE) / size * size;
                let slot = start..start + size;
                assert!(file[slot.clone()] == self.after[slot], "damage goes unseen");
            }
            Outcome::Resumed(generation, checkpoint) => {
                assert_eq!((generation, &**checkpoint), previous, "an older checkpoint");
                self.check_lost(file);
            }
            Outcome::FellBack(generation, checkpoint) => {
                let found = (generation, &**checkpoint);
                assert!(found == last || found == previous, "fell back to {generation}");
                assert!(file != self.after && file != self.before);
            }
            // The version in a header was changed.
            Outcome::Refused => assert!(file != self.after && file != self.before),
            found => panic!("after one fault: {found:?}"),
        }
    }

    /// Asserts that of a write that goes unseen the beginning was lost, and a part of its end: the
    /// end of the record, or unused bytes behind it.
    fn check_lost(&self, file: &[u8]) {
        let Range { start, end } = self.written.clone();
        let (old, new) = (&self.before[start..end], &self.after[start..end]);
        let length = new.iter().rposition(|byte| *byte != UNUSED).map_or(0, |last| last + 1);
        let is_lost = |sector: &usize| {
            let sector = sector * ALIGN..(sector + 1) * ALIGN;
            old[sector.clone()] != new[sector.clone()]
                && file[start..end][sector.clone()] != new[sector]
        };
        let sectors = (length - 1) / ALIGN..new.len() / ALIGN;
        assert!(
            is_lost(&0) && sectors.clone().any(|sector| is_lost(&sector)),
            "a torn write goes unseen"
        );
        // Behind a chain nothing goes unseen.
        let is_behind = old.iter().all(|byte| *byte == UNUSED);
        assert!(!is_behind || file[start..end] == *old, "a torn delta goes unseen");
    }
}

fn envelope(codec: &dyn Codec, now: &Checkpoint, generation: u64, confirmed: u64) -> Chain {
    let header = Header { store: STORE, generation, confirmed };
    let bytes = now.seal(codec, header).expect("a valid checkpoint can be sealed");
    let link = Link::of(&bytes).expect("its header is right");
    Chain { bytes: [bytes, closing(link.crc)].concat(), link }
}

impl Writer<'_> {
    fn file(&self) -> Vec<u8> {
        let mut file = first_page(2, STORE, self.size);
        for (slot, chain) in (1..).zip(&self.slots) {
            file.extend_from_slice(&chain.bytes);
            file.resize(PAGE + slot * self.size, UNUSED);
        }
        file
    }

    /// The slots by generation; of equal ones the last is the newest.
    fn by_age(&self) -> [usize; 3] {
        let mut all = [0, 1, 2];
        all.sort_by_key(|slot| (self.slots[*slot].link.generation, *slot));
        all
    }

    /// Writes a whole checkpoint over the oldest slot, if it fits.
    fn overwrite(&mut self, confirmed: u64, now: &Checkpoint) -> Option<Range<usize>> {
        let [slot, ..] = self.by_age();
        let new = envelope(self.codec, now, confirmed + 1, confirmed);
        let start = PAGE + slot * self.size;
        let length = new.bytes.len().max(self.slots[slot].bytes.len()).next_multiple_of(PAGE);
        (length <= self.size).then(|| {
            self.slots[slot] = new;
            start..start + length
        })
    }

    /// Appends a delta to the slot before the newest, if it is another generation and has room.
    fn append(
        &mut self,
        confirmed: u64,
        history: &BTreeMap<u64, Checkpoint>,
        now: &Checkpoint,
    ) -> Option<Range<usize>> {
        let [_, slot, newest] = self.by_age();
        let base = &self.slots[slot];
        if base.link.generation == self.slots[newest].link.generation {
            return None;
        }
        let change = Change::between(&history[&base.link.generation], now);
        let record = right_delta(self.codec, &base.link, confirmed + 1, confirmed, &change);
        let (link, ..) = base.link.then(&record).expect("it is a right delta");
        let at = base.bytes.len().next_multiple_of(ALIGN);
        let mut bytes = base.bytes.clone();
        bytes.resize(at, UNUSED);
        bytes.extend_from_slice(&record);
        bytes.extend_from_slice(&closing(crc_of(&record)));
        let end = bytes.len().next_multiple_of(ALIGN);
        (end <= self.size).then(|| {
            self.slots[slot] = Chain { bytes, link };
            let start = PAGE + slot * self.size;
            start + at..start + end
        })
    }
}
