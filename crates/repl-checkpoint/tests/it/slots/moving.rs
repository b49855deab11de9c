//! When a save goes into a new file, and which checkpoints that file keeps.

use repl_checkpoint::{CheckpointStore, Codec, CodecError, Rows, Save, SaveError, ShardCheckpoint};
use repl_core::Incarnation;

use super::{FILE, PAGE, file, found_on, opened, save, slots, whole, with_saves};
use crate::protocol::bytes_of;
use crate::support::faulty::Faulty;
use crate::support::format::{CLOSING, HEADER};
use crate::support::{chain, header, loaded, marks, sealed};

fn long(generation: u64, shards: u64) -> Vec<u8> {
    let others = (2..shards).map(|id| (id, 7));
    let all: Vec<_> = [(1, generation * 10)].into_iter().chain(others).collect();
    sealed(generation, &marks(&all))
}

fn moved(disk: &Faulty) -> bool {
    let moved = disk.calls().iter().any(|call| call.starts_with("rename"));
    disk.arm(None);
    moved
}

#[test]
fn outgrowing_a_slot_keeps_the_two_checkpoints_before() {
    let (disk, mut store) = with_saves(5);
    let bytes = long(6, 200);
    store.save(Save { generation: 6, confirmed: 5, bytes: &bytes, base: None }).unwrap();
    assert!(moved(&disk));
    let found = loaded(&mut store).unwrap();
    let all: Vec<_> = found.into_iter().map(|c| c.bytes.unwrap()).collect();
    assert_eq!(all, [bytes, bytes_of(5), bytes_of(4)]);
    let size = (file(&disk).len() - PAGE) / 3;
    assert!(size.is_multiple_of(PAGE) && size > PAGE);
    // Later saves are in place again.
    for generation in 7..=9 {
        let bytes = long(generation, 200);
        store
            .save(Save { generation, confirmed: generation - 1, bytes: &bytes, base: None })
            .unwrap();
        assert!(!moved(&disk));
    }
    assert_eq!(slots(&file(&disk)), [Some(7), Some(8), Some(9)]);
    drop(store);
    assert_eq!(found_on(&disk), (9, 0));
}

/// A codec whose payload always has this length.
struct Long(usize);

impl Codec for Long {
    fn name(&self) -> &'static str {
        "long"
    }
    fn encode(&self, _: &mut Rows<'_>, out: &mut Vec<u8>) -> Result<(), CodecError> {
        out.resize(out.len() + self.0, b'x');
        Ok(())
    }
    fn decode(
        &self,
        _: &[u8],
        _: &mut dyn FnMut(ShardCheckpoint),
    ) -> Result<Incarnation, CodecError> {
        Err(CodecError::new("never decoded"))
    }
}

#[test]
fn an_envelope_that_fills_its_slot_to_the_last_byte_stays_in_place() {
    let (disk, mut store) = with_saves(3);
    let mut put = |generation, length: usize| {
        let bytes = marks(&[]).seal(&Long(length - HEADER), header(generation)).unwrap();
        assert_eq!(bytes.len(), length);
        store
            .save(Save { generation, confirmed: generation - 1, bytes: &bytes, base: None })
            .unwrap();
        let found = loaded(&mut store).unwrap().remove(0);
        assert!(found.generation == Some(generation) && found.bytes.unwrap() == bytes);
        moved(&disk)
    };
    let (one, two) = (PAGE - CLOSING, 2 * PAGE - CLOSING);
    assert!(!put(4, one - 1));
    assert!(!put(5, one));
    assert!(put(6, one + 1));
    assert!(!put(7, two));
    assert!(put(8, two + 1));
}

#[test]
fn a_save_goes_into_a_new_file_if_the_next_slot_must_be_kept() {
    let (disk, mut store) = with_saves(5);
    store.save(Save { generation: 6, confirmed: 3, bytes: &bytes_of(6), base: None }).unwrap();
    assert!(moved(&disk));
    assert_eq!(whole(&mut store), [6, 5, 4]);
    store.save(Save { generation: 7, confirmed: 5, bytes: &bytes_of(7), base: None }).unwrap();
    assert!(!moved(&disk));
    assert_eq!(whole(&mut store), [7, 6, 5]);
}

#[test]
fn the_confirmed_checkpoint_and_the_newest_are_never_overwritten() {
    for newest in 1..=6_u64 {
        for confirmed in newest.saturating_sub(2)..=newest {
            let (_disk, mut store) = with_saves(newest);
            let before = whole(&mut store);
            let bytes = bytes_of(newest + 1);
            store
                .save(Save { generation: newest + 1, confirmed, bytes: &bytes, base: None })
                .unwrap();
            let after = whole(&mut store);
            assert_eq!(after[0], newest + 1);
            let kept = before.iter().filter(|g| **g >= confirmed).take(2);
            assert!(kept.into_iter().all(|g| after.contains(g)), "{before:?} {after:?}");
        }
    }
}

#[test]
fn a_file_never_shrinks() {
    let disk = Faulty::new();
    let mut store = opened(&disk).unwrap();
    store.save(Save { generation: 1, confirmed: 0, bytes: &long(1, 400), base: None }).unwrap();
    let length = file(&disk).len();
    for generation in 2..=5 {
        save(&mut store, generation).unwrap();
    }
    drop(store);
    // The save goes into a new file of the same size.
    let mut store = opened(&disk).unwrap();
    store.save(Save { generation: 6, confirmed: 1, bytes: &bytes_of(6), base: None }).unwrap();
    assert_eq!(file(&disk).len(), length);
}

/// Left out of the new file, its damage would never be found, though a floor may rest on it.
#[test]
fn a_slot_file_whose_newest_checkpoint_is_gone_or_damaged_is_not_replaced() {
    let damages: [fn(&Faulty); 2] = [
        |disk| {
            let mut bytes = file(disk);
            bytes[2 * PAGE + 200] ^= 1; // generation 3
            disk.put(FILE, &bytes);
        },
        |disk| disk.put(FILE, &file(&with_saves(2).0)),
    ];
    for damage in damages {
        let (disk, mut store) = with_saves(3);
        damage(&disk);
        let before = file(&disk);
        let bytes = long(4, 200);
        let refused = store
            .save(Save { generation: 4, confirmed: 3, bytes: &bytes, base: None })
            .unwrap_err();
        assert!(matches!(&refused, SaveError::NotSaved { act: "replace", .. }), "{refused}");
        assert!(chain(&refused).contains("open the store again"), "{refused}");
        assert_eq!(file(&disk), before);
        drop(store);
        let found = found_on(&disk).0;
        assert_eq!(found, 2);
        let mut next = opened(&disk).unwrap();
        next.save(Save { generation: 4, confirmed: 1, bytes: &bytes, base: None }).unwrap();
    }
}
