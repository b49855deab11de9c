//! A directory of a `FileStore`, with files chosen by the fuzzer.

use std::collections::BTreeMap;
use std::path::Path;

use repl_checkpoint::{Codec, Disk, FileStore, OnCorrupt, OpenStoreError};
use repl_harness::crash::SimDisk;

use crate::choices::Choices;
use crate::expected::{Holds, expected};
use crate::follower::{DIR, Setup, generation};
use crate::peeked::check_peek;
use crate::planted::{Planted, STORE, codec, planted};

/// Creates up to seven files, recovers, saves, and recovers again.
pub fn recovery(data: &[u8]) {
    let c = &mut Choices::of(data);
    let on_corrupt = if c.rarely(2) { OnCorrupt::FallBack } else { OnCorrupt::Fail };
    let saves = c.rarely(2);
    let setup = Setup { in_slots: false, codec: codec(c), on_corrupt, saves };
    let disk = SimDisk::new();
    disk.create_dir(Path::new(DIR)).unwrap();
    let mut files = BTreeMap::new();
    for _ in 0..c.below(8) {
        let (name, file) = named(c, &*setup.codec);
        disk.put(&Path::new(DIR).join(&name), &file.bytes).unwrap();
        files.insert(name, file);
    }
    if files.contains_key("marks.slots") {
        let opened = FileStore::open_on(disk, Path::new(DIR), STORE);
        assert!(matches!(opened, Err(OpenStoreError::OtherKind { .. })), "{opened:?}");
        return;
    }
    let mut ours: Vec<(u64, &Planted)> =
        files.iter().filter_map(|(name, file)| Some((generation(name)?, file))).collect();
    ours.sort_by_key(|(generation, _)| std::cmp::Reverse(*generation));
    let highest = ours.first().map_or(0, |(generation, _)| *generation);
    let holds = |(generation, file): (u64, &Planted)| match Holds::of(&file.bytes, &*setup.codec) {
        Holds::Whole(found, _) if found != generation => Holds::Corrupt,
        Holds::Whole(..) if file.is_corrupted => panic!("a corrupt checkpoint is accepted"),
        holds => holds,
    };
    let peeked = files.iter().filter(|(name, _)| generation(name).is_some());
    let found = expected(ours.iter().copied().map(holds), OnCorrupt::FallBack, 0);
    check_peek(peeked.map(|(name, file)| (&**name, &*file.bytes)), &found);
    let expected = expected(ours.into_iter().map(holds), on_corrupt, 0);
    setup.run(&disk, &expected, highest);
}

fn named(c: &mut Choices<'_>, codec: &dyn Codec) -> (String, Planted) {
    let generation = if c.rarely(16) { c.number() } else { c.below(6) as u64 };
    let name = match c.below(16) {
        12 => format!("{generation:020}.checkpoint.temp-{}-{}", c.byte(), c.byte()),
        11 => format!("{generation:0width$}.checkpoint", width = 18 + c.below(5)),
        13 => format!("{generation:020}.checkpoint.temp-{}-x", c.byte()),
        14 => any_name(c),
        15 => {
            ["repl-checkpoint.lock", "marks.slots", "marks.slots.temp-1-1"][c.below(3)].to_owned()
        }
        _ => format!("{generation:020}.checkpoint"),
    };
    (name, planted(c, codec, generation))
}

/// A name made of the characters of valid names.
fn any_name(c: &mut Choices<'_>) -> String {
    const LETTERS: &[u8] = b"0123456789.checkpoint-temp-slotsmark_~";
    let letter = |b: &u8| char::from(LETTERS[usize::from(*b) % LETTERS.len()]);
    let name: String = c.bytes().iter().map(letter).collect();
    format!("0{name}")
}
