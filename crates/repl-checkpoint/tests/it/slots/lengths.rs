//! Checkpoints whose lengths are around those of pages, one written over the other.

use repl_checkpoint::{
    CheckpointStore, Codec, CodecError, Generation, JsonCodec, OnCorrupt, Rows, Save,
    ShardCheckpoint, Source, recover,
};
use repl_core::Incarnation;

use super::{ONE, PAGE, Slots, opened};
use crate::support::faulty::Faulty;
use crate::support::format::HEADER;
use crate::support::{header, marks};

/// The JSON codec with spaces up to this length of the payload.
struct Padded(usize);

impl Codec for Padded {
    fn name(&self) -> &'static str {
        "padded"
    }
    fn encode(&self, rows: &mut Rows<'_>, out: &mut Vec<u8>) -> Result<(), CodecError> {
        let end = out.len() + self.0;
        JsonCodec.encode(rows, out)?;
        out.resize(end, b' ');
        Ok(())
    }
    fn decode(
        &self,
        bytes: &[u8],
        row: &mut dyn FnMut(ShardCheckpoint),
    ) -> Result<Incarnation, CodecError> {
        JsonCodec.decode(bytes.trim_ascii_end(), row)
    }
}

/// One, two and three pages, each also with a byte less and a byte more.
fn lengths() -> impl Iterator<Item = usize> {
    [1, 2, 3].into_iter().flat_map(|pages| {
        let whole = pages * PAGE;
        [whole - 1, whole, whole + 1]
    })
}

fn save(store: &mut Slots, generation: Generation, length: usize) {
    let bytes = marks(&[(1, generation * 10)]);
    let bytes = bytes.seal(&Padded(length - HEADER), header(generation)).unwrap();
    assert_eq!(bytes.len(), length);
    store.save(Save { generation, confirmed: generation - 1, bytes: &bytes, base: None }).unwrap();
}

/// Checks that a process that starts now finds this generation, and no damage.
fn finds(disk: &Faulty, newest: Generation, what: &str) {
    let found = recover(opened(disk).unwrap(), Padded(0), &[ONE], OnCorrupt::Fail)
        .unwrap_or_else(|error| panic!("{what}: {error}"));
    assert!(
        matches!(found.report.source, Source::Resumed { generation } if generation == newest),
        "{what}: {:?}",
        found.report.source
    );
    assert_eq!(found.state.applied_seqno(ONE), Some(newest * 10), "{what}");
}

/// Saves these lengths, by one process. Recovers after each save; returns how many of the saves
/// replaced the file, besides the first of the process.
fn saved(disk: &Faulty, first: Generation, lengths: &[usize]) -> usize {
    let mut store = opened(disk).unwrap();
    let mut moved = 0;
    for (generation, length) in (first..).zip(lengths) {
        disk.arm(None);
        save(&mut store, generation, *length);
        let is_moved = disk.calls().iter().any(|call| call.starts_with("rename"));
        moved += usize::from(is_moved && generation != first);
        finds(&disk.copy(), generation, &format!("{lengths:?} from {first}: {generation}"));
    }
    moved
}

#[test]
fn the_newest_of_four_saves_is_found_at_every_length_around_a_page() {
    let (mut in_place, mut replaced) = (0, 0);
    for older in lengths() {
        for newer in lengths() {
            // The first save fills every slot with the older length.
            let disk = Faulty::new();
            let moves = saved(&disk, 1, &[older, newer, newer, newer]);
            in_place += usize::from(moves == 0);
            replaced += usize::from(moves > 0);
            // And the next process writes over what it has kept.
            saved(&disk, 5, &[newer, older, newer, older]);
        }
    }
    assert!(in_place >= 45 && replaced >= 9, "{in_place} in place, {replaced} into a new file");
}

#[test]
fn a_checkpoint_that_grows_and_shrinks_in_its_slot_is_found_at_every_length_around_a_page() {
    for older in lengths() {
        for newer in lengths() {
            // Slots that are long enough for both.
            let disk = Faulty::new();
            let large = 3 * PAGE + 1;
            let saves = [large, older, older, older, newer, newer, newer, older, older, older];
            assert_eq!(saved(&disk, 1, &saves), 0, "all of them fit");
        }
    }
}
