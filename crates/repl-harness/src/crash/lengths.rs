//! Crashes of saves whose lengths are around those of pages.

use super::explore::{Config, Progress, Report, explore};
use super::layout::PAGE;
use super::mutants::Mutant;

/// The lengths: each of these multiples of a page, a byte less, and a byte more.
const PAGES: [usize; 3] = [1, 2, 3];

/// The numbers of crashes and of failing calls.
const BOUNDS: [(usize, usize); 2] = [(2, 0), (1, 1)];

/// Enumerates crashes of saves with exact lengths: one, two and three pages, each also with a byte
/// more and a byte less.
///
/// Every ordered pair of these lengths is tried, the first of them in the first save of a process
/// and the other in a later one. So checkpoints grow and shrink by every one of these differences,
/// in place and, where the longer one no longer fits its slot, into a new file.
///
/// The sectors have the size of a page, so that a slot has few of them. Two processes are ended by
/// crashes, or one is and one call fails. `config` may narrow that. Stops at the first violation.
pub fn lengths(
    config: &Config,
    mutant: Option<Mutant>,
    mut on_progress: impl FnMut(&Progress),
) -> Report {
    let mut all = Report::default();
    let within = |(crashes, faults)| (config.crashes.min(crashes), config.faults.min(faults));
    let mut bounds = BOUNDS.map(within).to_vec();
    bounds.dedup();
    for (lengths, (crashes, faults)) in
        triples().flat_map(|lengths| bounds.iter().map(move |bounds| (lengths, *bounds)))
    {
        let bounds = Config {
            saves: lengths.len(),
            later_saves: 2,
            shards: 2,
            completed: [0; 3],
            lengths,
            crashes,
            faults,
            sector: PAGE,
            ..*config
        };
        all.add(explore(&bounds, mutant, &mut on_progress));
        if all.violation.is_some() {
            break;
        }
    }
    all
}

/// The lengths of three saves: each first with every pair of others.
fn triples() -> impl Iterator<Item = [usize; 3]> {
    let around = |pages: usize| [-1, 0, 1].map(|by| (pages * PAGE).saturating_add_signed(by));
    let all: Vec<usize> = PAGES.into_iter().flat_map(around).collect();
    // The longest first: only over a longer checkpoint are zeros written.
    let pairs: Vec<[usize; 2]> =
        all.chunks(2).map(|pair| [pair[0], pair[pair.len() - 1]]).collect();
    let firsts = all.into_iter().rev();
    firsts.flat_map(move |first| {
        pairs.clone().into_iter().map(move |[second, third]| [first, second, third])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ordered_pair_of_lengths_is_tried() {
        let lengths = [4095, 4096, 4097, 8191, 8192, 8193, 12287, 12288, 12289];
        for first in lengths {
            for later in lengths {
                let pair = |[a, b, c]: [usize; 3]| a == first && (b == later || c == later);
                assert!(triples().any(pair), "{first}, then {later}");
            }
        }
    }
}
