//! Chains to choose from, the highest last generation first.

use super::chain::Chain;
use crate::ids::Generation;

/// Chains that were not looked into, ascending.
pub(super) struct Pool(Vec<Chain>);

impl Pool {
    pub(super) fn new(chains: Vec<Chain>) -> Self {
        let mut pool = Pool(chains);
        pool.sort();
        pool
    }

    /// Of equal ones the last slot comes first, where a new file has the newest.
    fn sort(&mut self) {
        self.0.sort_by_key(|chain| (chain.generation(), chain.slot));
    }

    /// The highest generation; 0 for none.
    pub(super) fn highest(&self) -> Generation {
        self.0.last().map_or(0, Chain::generation)
    }

    pub(super) fn take(&mut self) -> Option<Chain> {
        self.0.pop()
    }

    /// Whether a chain that was taken is whole, of which so many deltas are. If it is, others of
    /// the same generation go; if not, the chain before the damage may be taken.
    pub(super) fn settle(&mut self, mut chain: Chain, whole: Option<usize>) -> Option<Chain> {
        match whole {
            Some(deltas) if deltas == chain.deltas.len() => {
                let generation = chain.generation();
                self.0.retain(|other| other.generation() != generation);
                return Some(chain);
            }
            Some(deltas) => {
                chain.deltas.truncate(deltas);
                self.0.push(chain);
                self.sort();
            }
            None => {}
        }
        None
    }
}
