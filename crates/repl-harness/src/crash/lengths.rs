//! Crashes of saves whose lengths are around those of pages.

use super::explore::{Config, Progress, Report, explore};
use super::kind::StoreKind;
use super::layout::PAGE;
use super::mutants::Mutant;
use super::records::CLOSING;

/// The lengths, closing checksum included: each of these multiples of a page, a byte less, and a
/// byte more.
const PAGES: [usize; 3] = [1, 2, 3];

/// The length of the checkpoints that deltas build on. A delta is at most half as long.
const BASE: usize = 3 * PAGE - CLOSING;

/// The lengths of deltas, closing checksum included: these, a byte less, and a byte more.
const DELTAS: [usize; 2] = [512, PAGE];

/// The numbers of crashes and of failing calls.
const BOUNDS: [(usize, usize); 2] = [(2, 0), (1, 1)];

/// Enumerates crashes of saves with exact lengths: one, two and three pages, closing checksum
/// included, each also with a byte more and a byte less.
///
/// Every ordered pair of these lengths is tried, the first of them in the first save of a process
/// and the other in a later one. So checkpoints grow and shrink by every one of these differences,
/// in place and, where the longer one no longer fits its slot, into a new file.
///
/// With a `SlotStore` also of deltas that end at a multiple of 512 bytes, and of a page, or a byte
/// before or after it: every ordered pair of them as the first and the second of a chain.
///
/// The sectors have the size of a page, so that a slot has few of them. Two processes are ended by
/// crashes, or one is and one call fails. `config` may narrow that. Stops at the first violation.
pub fn lengths(
    config: &Config,
    mutant: Option<Mutant>,
    mut on_progress: impl FnMut(&Progress),
) -> Report {
    let of_whole = triples().map(|lengths| Config { saves: 3, lengths, deltas: [0; 3], ..*config });
    let deltas = (config.store == StoreKind::Slots).then(triples_of_deltas);
    let of_deltas = deltas.into_iter().flatten();
    let of_deltas =
        of_deltas.map(|deltas| Config { saves: 6, lengths: [BASE; 3], deltas, ..*config });
    let mut configs: Vec<Config> = of_whole.chain(of_deltas).collect();
    if mutant == Some(Mutant::DeltaOnNewest) {
        configs.reverse(); // it changes nothing in the others, which take minutes
    }
    let mut all = Report::default();
    for config in &configs {
        add(&mut all, config, mutant, &mut on_progress);
    }
    all
}

/// Adds the enumerations of some lengths, unless a promise is broken already.
fn add(
    all: &mut Report,
    config: &Config,
    mutant: Option<Mutant>,
    on_progress: &mut impl FnMut(&Progress),
) {
    let within = |(crashes, faults)| (config.crashes.min(crashes), config.faults.min(faults));
    let mut bounds = BOUNDS.map(within).to_vec();
    bounds.dedup();
    for (crashes, faults) in bounds {
        if all.violation.is_some() {
            return;
        }
        let bounds = Config {
            later_saves: 2,
            shards: 2,
            completed: [0; 3],
            moved: [0; 8],
            turns: [usize::MAX; 3],
            crashes,
            faults,
            sector: PAGE,
            ..*config
        };
        all.add(explore(&bounds, mutant, &mut *on_progress));
    }
}

/// The lengths of records that take so many bytes with their closing checksum, and a byte less or
/// more.
fn around(length: usize) -> [usize; 3] {
    [-1, 0, 1].map(|by| (length - CLOSING).saturating_add_signed(by))
}

/// The lengths of three saves: each first with every pair of others.
fn triples() -> impl Iterator<Item = [usize; 3]> {
    let all: Vec<usize> = PAGES.into_iter().flat_map(|pages| around(pages * PAGE)).collect();
    // The longest first: only over a longer checkpoint are zeros written.
    let pairs: Vec<[usize; 2]> =
        all.chunks(2).map(|pair| [pair[0], pair[pair.len() - 1]]).collect();
    let firsts = all.into_iter().rev();
    firsts.flat_map(move |first| {
        pairs.clone().into_iter().map(move |[second, third]| [first, second, third])
    })
}

/// The lengths of the deltas of three saves: the third save begins a chain, to which the fifth adds
/// a delta, and the fourth another, to which the sixth adds one.
fn triples_of_deltas() -> impl Iterator<Item = [usize; 3]> {
    let all: Vec<usize> = DELTAS.into_iter().flat_map(around).collect();
    let pairs: Vec<[usize; 2]> = all.chunks(2).map(|pair| [pair[0], pair[1]]).collect();
    let thirds = all.into_iter().rev();
    thirds.flat_map(move |third| {
        pairs.clone().into_iter().map(move |[fourth, fifth]| [fourth, fifth, third])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ordered_pair_of_deltas_is_tried_in_a_chain_or_beside_it() {
        let lengths = [511, 512, 513, 4095, 4096, 4097].map(|closed| closed - CLOSING);
        for first in lengths {
            for later in lengths {
                let chained = |[a, b, c]: [usize; 3]| {
                    let chains = [(c, b), (a, c)];
                    chains.contains(&(first, later)) || chains.contains(&(later, first))
                };
                assert!(triples_of_deltas().any(chained), "{first}, then {later}");
            }
        }
    }

    #[test]
    fn every_ordered_pair_of_lengths_is_tried() {
        let lengths = [4095, 4096, 4097, 8191, 8192, 8193, 12287, 12288, 12289];
        let lengths = lengths.map(|closed| closed - CLOSING);
        for first in lengths {
            for later in lengths {
                let pair = |[a, b, c]: [usize; 3]| a == first && (b == later || c == later);
                assert!(triples().any(pair), "{first}, then {later}");
            }
        }
    }
}
