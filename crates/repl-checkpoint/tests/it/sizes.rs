//! Damage to checkpoints of many sizes is detected, in files and in slots.

use repl_checkpoint::{
    Checkpoint, CheckpointStore, Codec, CorruptReason, Generation, OnCorrupt, Save, Source, recover,
};
use repl_core::{Incarnation, SeqRange, ShardId};

use crate::protocol::open_slots;
use crate::support::faulty::Faulty;
use crate::support::format::closed;
use crate::support::{CODECS, STORE, codecs, header, shard};

const SIZES: [u64; 3] = [0, 1, 28];
const FILE: &str = "/disk/marks/marks.slots";
const PAGE: usize = 4096;

/// A checkpoint of `shards` shards; every third has completed ranges.
fn checkpoint(shards: u64, generation: Generation) -> Checkpoint {
    let of = |id: u64| {
        let mut shard = shard(id, generation * 100 + id);
        if id.is_multiple_of(3) {
            let range = |first, last| SeqRange::new(first, last);
            let mark = shard.mark;
            shard.completed = Box::new([range(mark + 2, mark + 2), range(mark + 9, u64::MAX)]);
        }
        shard
    };
    Checkpoint { next_incarnation: Incarnation(generation), shards: (0..shards).map(of).collect() }
}

fn sealed_by(codec: &dyn Codec, shards: u64, generation: Generation) -> Vec<u8> {
    checkpoint(shards, generation).seal(codec, header(generation)).unwrap()
}

/// Flips of one bit, truncations, and extensions by one byte; every `step`-th of them.
fn damaged(whole: &[u8], bits: usize) -> impl Iterator<Item = (String, Vec<u8>)> {
    let flipped = |bit: usize| {
        let mut bytes = whole.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        (format!("bit {bit}"), bytes)
    };
    let cut = |length: usize| (format!("cut to {length}"), whole[..length].to_vec());
    let longer = move |byte: u8| (format!("with {byte}"), [whole, &[byte]].concat());
    let flips = (0..whole.len() * 8).step_by(bits).map(flipped);
    flips.chain((0..whole.len()).map(cut)).chain((0..=u8::MAX).map(longer))
}

#[test]
fn no_damage_to_a_sealed_checkpoint_of_any_size_goes_unseen() {
    for codec in codecs() {
        for shards in SIZES {
            let whole = sealed_by(codec, shards, 4);
            assert_eq!(Checkpoint::unseal(codec, STORE, &whole).unwrap().1, checkpoint(shards, 4));
            for (how, bytes) in damaged(&whole, 1) {
                let refused = Checkpoint::unseal(codec, STORE, &bytes).unwrap_err();
                assert!(refused.is_damage(), "{}, {shards}: {how}: {refused}", codec.name());
            }
        }
    }
}

/// A slot file whose newest checkpoint is generation 4, and the offset of its slot.
fn slot_file(codec: &dyn Codec, shards: u64) -> (Vec<u8>, usize) {
    let disk = Faulty::new();
    let mut store = open_slots(&disk).unwrap();
    for generation in 1..=4 {
        let bytes = sealed_by(codec, shards, generation);
        store
            .save(Save { generation, confirmed: generation - 1, bytes: &bytes, base: None })
            .unwrap();
    }
    let file = disk.bytes(FILE).unwrap();
    let last_slot = PAGE + (file.len() - PAGE) / 3 * 2;
    assert!(file[last_slot..].starts_with(&closed(&sealed_by(codec, shards, 4))));
    (file, last_slot)
}

#[test]
fn no_damage_to_the_newest_slot_of_any_size_goes_unseen() {
    for (codec, new) in codecs().into_iter().zip(CODECS) {
        for shards in SIZES {
            let (file, slot) = slot_file(codec, shards);
            let whole = closed(&sealed_by(codec, shards, 4));
            let named: Vec<ShardId> = (0..shards).map(ShardId).collect();
            // Step 9, as these slots are long; it reaches each of the eight bits in turn.
            let bits = if shards == 28 { 9 } else { 1 };
            for (how, bytes) in damaged(&whole, bits) {
                let mut damaged = file.clone();
                damaged[slot..slot + whole.len()].fill(0xff);
                damaged[slot..slot + bytes.len()].copy_from_slice(&bytes);
                // 0xff follows the record, so one more or one less changes nothing.
                if damaged == file {
                    continue;
                }
                let disk = Faulty::new();
                disk.mkdir("/disk/marks");
                disk.put(FILE, &damaged);
                let what = format!("{}, {shards}: {how}", codec.name());
                let store = open_slots(&disk).unwrap();
                let found = recover(store, new(), &named, OnCorrupt::Fail).unwrap();
                let Source::FellBack { generation, damaged } = &found.report.source else {
                    panic!("{what}: {:?}", found.report.source);
                };
                // What follows it does it no harm.
                let expected = if bytes.starts_with(&whole) { 4 } else { 3 };
                assert_eq!(*generation, expected, "{what}");
                let [newest] = damaged.as_slice() else { panic!("{what}: {damaged:?}") };
                let CorruptReason::Unseal(reason) = &newest.reason else {
                    panic!("{what}: {newest}")
                };
                assert!(reason.is_damage() && newest.path.to_str() == Some(FILE), "{what}");
                for id in &named {
                    assert_eq!(
                        found.state.applied_seqno(*id),
                        Some(expected * 100 + id.0),
                        "{what}"
                    );
                }
            }
        }
    }
}
