//! Crashes of saves of which most are deltas.

use super::disk::SECTOR;
use super::explore::{Config, Progress, Report, explore};
use super::kind::StoreKind;
use super::mutants::Mutant;

/// A checkpoint of so many shards fills five of the eight sectors of a slot.
const SHARDS: usize = 33;

/// The numbers of shards that move before the saves of a process. A delta holds those of two saves:
/// more than three fill two sectors.
///
/// The first two saves are whole. The next two append two sectors to a chain each, so that one is
/// left. The fifth needs two: it is whole and goes to the third slot. A delta fills the second
/// chain, and one begins on the third slot. The last save is whole again, over the first chain.
const MOVED: [usize; 8] = [0, 2, 2, 3, 1, 1, 2, 2];

/// The last shard is gone from the first delta on, comes back in the third, and goes again.
const TURNS: [usize; 3] = [2, 5, 6];

/// The numbers of crashes and of failing calls.
const BOUNDS: [(usize, usize); 2] = [(3, 0), (2, 1)];

/// Enumerates crashes of saves that are deltas where the store takes them: nothing if it does not.
///
/// The first process saves eight times, and each later one four times, of which two are deltas.
/// Three processes are ended by crashes, or two are and one call fails. `config` may narrow that.
/// Stops at the first violation.
pub fn deltas(
    config: &Config,
    mutant: Option<Mutant>,
    mut on_progress: impl FnMut(&Progress),
) -> Report {
    if config.store != StoreKind::Slots {
        return Report::default();
    }
    let within = |(crashes, faults)| (config.crashes.min(crashes), config.faults.min(faults));
    let mut all_bounds = BOUNDS.map(within).to_vec();
    all_bounds.dedup();
    let mut all = Report::default();
    for (crashes, faults) in all_bounds {
        let config = Config { crashes, faults, ..bounds(config) };
        all.add(explore(&config, mutant, &mut on_progress));
        if all.violation.is_some() {
            break;
        }
    }
    all
}

/// The saves of these processes.
pub(crate) fn bounds(config: &Config) -> Config {
    Config {
        saves: MOVED.len(),
        later_saves: 4,
        shards: SHARDS,
        completed: [0; 3],
        moved: MOVED,
        turns: TURNS,
        lengths: [0; 3],
        deltas: [0; 3],
        sector: SECTOR,
        ..*config
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crash::disk::State;
    use crate::crash::history::History;
    use crate::crash::layout::{PAGE, SLOTS, UNUSED, slot_file};
    use crate::crash::process::{Plan, run_process};
    use crate::crash::protocol::Protocol;

    /// What a chain takes of each slot after so many saves, in sectors.
    fn used(saves: usize) -> (u64, Vec<usize>) {
        let config = bounds(&Config { store: StoreKind::Slots, ..Config::default() });
        let plan = Plan::of(&config, 1, saves, 0);
        let (disk, protocol) = (State::new(), Protocol::of(StoreKind::Slots, None));
        let trace = run_process(protocol, &disk, &History::new(SHARDS), &plan);
        assert_eq!(trace.broken, None);
        let files = trace.states.last().unwrap().files();
        let slots = files[&slot_file()].bytes()[PAGE..].chunks(PAGE);
        let end = |slot: &[u8]| slot.iter().rposition(|b| *b != UNUSED).unwrap() + 1;
        let used: Vec<usize> = slots.map(|slot| end(slot).div_ceil(SECTOR)).collect();
        assert_eq!(used.len(), SLOTS);
        (trace.deltas, used)
    }

    #[test]
    fn chains_fill_and_begin_again() {
        let all: Vec<_> = (1..=8).map(used).collect();
        let expected = [
            (0, [5, 5, 5]),
            (0, [5, 5, 5]),
            (1, [5, 5, 7]),
            (2, [7, 5, 7]),
            (2, [7, 5, 7]),
            (3, [8, 5, 7]),
            (4, [8, 6, 7]),
            (4, [8, 6, 5]),
        ];
        assert_eq!(all, expected.map(|(deltas, used)| (deltas, used.to_vec())));
    }
}
