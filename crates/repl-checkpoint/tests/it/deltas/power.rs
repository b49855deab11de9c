//! A power cut while a delta is written.

use repl_checkpoint::OnCorrupt;

use super::{SECTOR, all, file, found_in, with_deltas};
use crate::support::deltas::{save_delta, save_whole};
use crate::support::{marks, shard};

/// The files before and after a save of generation 6.
fn around(whole: bool) -> (Vec<u8>, Vec<u8>) {
    let (disk, mut store) = with_deltas(5);
    let before = file(&disk);
    if whole {
        // Longer than what it overwrites.
        let mut longer = all(6);
        longer.shards.extend((100..200).map(|id| shard(id, 7)));
        save_whole(&mut store, 6, &longer).unwrap();
    } else {
        let others = (2..=40).map(|id| (id, 7));
        let changed = marks(&[(1, 60)].into_iter().chain(others).collect::<Vec<_>>());
        save_delta(&mut store, 6, &changed, &[]).unwrap();
    }
    (before, file(&disk))
}

fn differing(before: &[u8], after: &[u8]) -> Vec<usize> {
    let differs = |at: &usize| before[*at..*at + SECTOR] != after[*at..*at + SECTOR];
    (0..before.len()).step_by(SECTOR).filter(differs).collect()
}

#[test]
fn a_delta_of_which_any_sectors_are_written_leaves_the_older_checkpoint_or_the_new_one() {
    let (before, after) = around(false);
    let sectors = differing(&before, &after);
    assert!((3..10).contains(&sectors.len()), "{}", sectors.len());
    for lost in [0xff, 0] {
        for chosen in 0..1_u32 << sectors.len() {
            let mut image = after.clone();
            for (i, at) in sectors.iter().enumerate() {
                if chosen & (1 << i) == 0 {
                    image[*at..*at + SECTOR].fill(lost);
                }
            }
            let expected = match image {
                _ if image == after => (6, 0),
                _ if image == before => (5, 0),
                _ => (5, 1),
            };
            assert_eq!(found_in(&image, OnCorrupt::Fail), expected, "{chosen:b} with {lost}");
        }
    }
}

#[test]
fn a_delta_torn_at_any_byte_leaves_the_older_checkpoint_or_the_new_one() {
    let (before, after) = around(false);
    let changed: Vec<usize> = (0..after.len()).filter(|at| before[*at] != after[*at]).collect();
    let (first, last) = (changed[0], changed[changed.len() - 1]);
    assert!(first.is_multiple_of(SECTOR) && last - first > 2 * SECTOR);
    for torn in (first..=last + 1).filter(|at| at % 5 == 0 || at % SECTOR < 2 || *at > last - 2) {
        let head = [&after[..torn], &before[torn..]].concat();
        let tail = [&before[..torn], &after[torn..]].concat();
        for image in [head, tail] {
            let expected = match image {
                _ if image == after => (6, 0),
                _ if image == before => (5, 0),
                _ => (5, 1),
            };
            assert_eq!(found_in(&image, OnCorrupt::Fail), expected, "torn at {torn}");
        }
    }
}

#[test]
fn a_torn_whole_checkpoint_leaves_both_chains() {
    let (before, after) = around(true);
    let sectors = differing(&before, &after);
    for at in &sectors {
        let image = [&after[..*at], &before[*at..]].concat();
        let (generation, damaged) = found_in(&image, OnCorrupt::Fail);
        assert!(generation == 5 && damaged <= 1, "{at}: {generation} {damaged}");
    }
    assert!(sectors.len() > 2);
}
