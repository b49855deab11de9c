//! What a process is to do.

use std::sync::Arc;

use crate::crash::explore::Config;
use crate::crash::fault::Fault;

/// What a process is to do.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// The marks of each save, each above those before.
    pub(crate) saves: Vec<Arc<[u64]>>,
    /// A shard that comes and goes: its mark is 0 in the saves in which it is gone.
    pub(crate) guest: Option<usize>,
    /// The marks of more saves, so that two follow after a reopen.
    pub(crate) spare: Vec<Arc<[u64]>>,
    /// The number of ranges above the first mark, for one save after the other. All of them end
    /// before the next mark.
    pub(crate) completed: [u64; 3],
    /// The exact length of each checkpoint, for one save after the other; 0 for as long as it is.
    pub(crate) lengths: [usize; 3],
    /// The same for the record of a delta.
    pub(crate) deltas: [usize; 3],
    /// The place of the first save in the sequence of what is begun and not saved before each save.
    pub(crate) turn: usize,
    /// Whether another process saves while the store is closed to be opened again.
    pub(crate) other: bool,
    pub(crate) fault: Option<Fault>,
    /// Whether it begins after a power cut: then everything that it finds is durable.
    pub(crate) after_cut: bool,
}

impl Plan {
    /// What process number `process`, from 1 on, is to do, without a failing call. Its marks are
    /// above those of the processes before.
    pub(crate) fn of(config: &Config, process: u64, saves: usize, spare: usize) -> Self {
        let mark = |save: usize, shard: usize| {
            // As long as marks get.
            process * 1_000_000_000_000_000_000 + (save * 1000 + shard) as u64
        };
        let mut marks: Vec<u64> = vec![0; config.shards];
        let mut all = Vec::new();
        let has_guest = config.turns.iter().any(|turn| *turn != usize::MAX);
        let guest = config.shards.checked_sub(1).filter(|_| has_guest);
        for save in 1..=saves + spare {
            for shard in moved(config, save) {
                marks[shard] = mark(save, shard);
            }
            let mut with_guest = marks.clone();
            if let Some(guest) = guest.filter(|_| is_gone(config, save - 1)) {
                with_guest[guest] = 0;
            }
            all.push(Arc::from(with_guest));
        }
        let spare = all.split_off(saves);
        let Config { completed, lengths, deltas, .. } = *config;
        let (turn, other, fault, after_cut) = (0, false, None, true);
        Plan { saves: all, spare, guest, completed, lengths, deltas, turn, other, fault, after_cut }
    }

    pub(super) fn marks(&self, save: usize) -> Option<Arc<[u64]>> {
        self.saves.iter().chain(&self.spare).nth(save).cloned()
    }

    pub(super) fn completed(&self, save: usize) -> u64 {
        self.completed[save % self.completed.len()]
    }

    /// The exact lengths of a whole checkpoint and of a delta.
    pub(super) fn lengths(&self, save: usize) -> (usize, usize) {
        (self.lengths[save % self.lengths.len()], self.deltas[save % self.deltas.len()])
    }
}

/// Whether the guest is gone in a save, from 0 on.
fn is_gone(config: &Config, save: usize) -> bool {
    config.turns.iter().filter(|turn| **turn <= save).count() % 2 == 1
}

/// The shards whose marks move before save number `save`, from 1 on.
fn moved(config: &Config, save: usize) -> impl Iterator<Item = usize> {
    let count = match config.moved[(save - 1) % config.moved.len()] {
        some if some > 0 && save > 1 => some,
        _ => config.shards,
    };
    // Others than before the save before.
    let first = save * 3;
    let shards = config.shards;
    (first..first + count.min(shards)).map(move |shard| shard % shards)
}
