//! Segments that are applied in parallel and finish in any order: the mark moves over the
//! contiguous prefix.
//!
//! # How the mark moves, and why no completion is left behind
//! Completing the seqno that follows the mark raises the mark and then *follows*: it moves the mark
//! over all that is completed next. Completing a later one must leave a note for whoever closes the
//! gap. Two completers may close the two halves of one gap at once:
//!
//! | completing `s`, not next to the mark | raising the mark to `s - 1` |
//! | --- | --- |
//! | 1. complete the slot of `s` | 1. raise the mark, a read-modify-write |
//! | 2. meet the mark, a read-modify-write that changes nothing | 2. look at the slot of `s` |
//! | 3. follow, if the mark is at `s - 1` or beyond | 3. follow, if it is completed |
//!
//! As with waiters (`waiters.rs`, which argues it) one of the two read-modify-writes is the later
//! in the mark's modification order, and who makes it sees what the other did before: either the
//! completer finds the mark at `s - 1`, or the raiser finds the slot completed. With a plain load
//! in place of the meeting neither may, and the mark stays where it is for good: the loom twin
//! `a_plain_load_after_completing_leaves_the_mark_behind`. Each step that follows raises the mark
//! again, so the argument holds at every seqno that it comes to, as long as it goes on until
//! nothing follows: the loom twin `following_only_once_leaves_the_mark_behind`.
//!
//! Who takes a snapshot follows as well, and may be stopped half-way: nobody relies on it. A
//! completer that finds the mark beyond its own seqno goes on from there all the same, over the
//! ranges that are next too. So once all completions have returned the mark stands where it should.
//!
//! An advance from outside follows the window that it finds under the shard's lock. Should another
//! have taken its place by then, it follows that one too: the completers there have left what lies
//! behind a mark that this advance has raised to it.
//!
//! # Near and far
//! Seqnos up to the ring's length above the mark are *near*: their state is in the ring, without a
//! lock. Beyond it completions and skips are ranges in the cell, claims a set here. A seqno that
//! was far becomes near as the mark moves; so `far` is the highest that ever was among the far
//! ones, and who finds a near one at or below it looks there too. Far claims are entered under a
//! lock: raise `far`, then meet the mark, then give way if the seqno is near now. Who took it for
//! near without seeing `far` had read a mark raised before that meeting: then the meeting returns
//! it. Without it, or with a plain load, both get the seqno: the loom twins
//! `a_far_claim_without_a_second_look_is_given_twice` and
//! `a_far_claim_with_a_plain_load_for_a_second_look_is_given_twice`.

mod claim;
mod core;
mod follow;
mod open;
mod outcome;
mod ring;

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::ids::SeqNo;
use crate::ranges::SeqRange;
use crate::reached::WaitError;
use crate::shard::Shard;

pub use self::claim::Claim;
pub(crate) use self::core::Core;
use self::open::Open;
pub use self::outcome::{ClaimError, Completion, WindowError, WindowFull};

/// Lets many threads apply the segments of one shard in any order. Each [claims](Self::claim) a
/// seqno, applies it and [completes](Claim::complete) it; the shard's mark moves over the
/// contiguous prefix of what is completed.
///
/// Share it by reference or in an [`Arc`]; claims may outlive it. Claims and completions within
/// 16,384 seqnos of the mark take no lock, unless a seqno as high was ever skipped or claimed from
/// afar.
///
/// ```
/// use repl_core::{ApplyWindow, ReplicationState, SeqRange, ShardId};
///
/// let state = ReplicationState::single();
/// let shard = state.shard(ShardId::SINGLE).ok_or("not tracked")?;
/// let window = ApplyWindow::new(shard.clone(), 1024)?;
/// let (first, third) = (window.claim(1)?, window.claim(3)?);
/// assert!(window.claim(3).is_err()); // it is given to one applier only
///
/// third.complete();
/// assert_eq!((shard.applied(), window.pending()), (0, vec![SeqRange::new(3, 3)]));
/// first.complete();
/// drop(window.claim(2)?); // an applier that fails: the seqno is free again
/// window.claim(2)?.complete();
/// assert_eq!((shard.applied(), window.pending()), (3, vec![]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # What it takes
/// `capacity` says how far above the mark seqnos may be claimed or completed: beyond, the answer is
/// [`WindowFull`], and nothing is dropped. Memory: 8 bytes for each seqno of the capacity, at most
/// 128 KiB, and a node of a tree for every range or claim farther away.
///
/// # Numbers that jump
/// The mark waits for every seqno. Where numbers are positions of a log, [skip](Self::skip) those
/// between two records; a skip costs the same whatever its length.
///
/// # Together with `Shard::advance`
/// An advance of the shard from elsewhere counts as a skip up to its seqno, and takes a short lock.
/// A shard has one window at a time.
pub struct ApplyWindow {
    core: Arc<Open>,
}

impl ApplyWindow {
    /// A window over a shard, from its mark on. What the shard knows to be completed above the
    /// mark, from a checkpoint or an earlier window's skips, is completed here.
    ///
    /// # Errors
    /// [`WindowError`].
    pub fn new(shard: Shard, capacity: u64) -> Result<Self, WindowError> {
        if capacity == 0 {
            return Err(WindowError::NoCapacity);
        }
        Core::attached(shard, capacity).map(|core| ApplyWindow { core })
    }

    /// As [`new`](Self::new), with these ranges completed as well: for an engine that keeps what is
    /// completed in its own transaction. (Recovered checkpoints bring theirs along.)
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn restore(
        shard: Shard,
        capacity: u64,
        completed: &[SeqRange],
    ) -> Result<Self, WindowError> {
        let window = Self::new(shard, capacity)?;
        for range in completed {
            window.core.complete_range(*range);
        }
        Ok(window)
    }

    /// The shard.
    pub fn shard(&self) -> &Shard {
        self.core.shard()
    }

    /// How far above the mark seqnos may be claimed or completed.
    pub fn capacity(&self) -> u64 {
        self.core.capacity()
    }

    /// Gives `seqno` to the caller alone, until the claim is completed or dropped.
    ///
    /// Nobody is told of a claim that is dropped: appliers that go through the seqnos in order must
    /// come back to it. Nor does closing the state end the claiming of what there is room for.
    ///
    /// # Errors
    /// [`ClaimError`].
    pub fn claim(&self, seqno: SeqNo) -> Result<Claim, ClaimError> {
        let place = self.core.claim(seqno)?;
        Ok(Claim::new(Arc::clone(&self.core), seqno, place))
    }

    /// As [`claim`](Self::claim), but where the window is full it blocks until there is room.
    ///
    /// # Errors
    /// [`ClaimError`], never [`ClaimError::Full`].
    pub fn claim_blocking(&self, seqno: SeqNo) -> Result<Claim, ClaimError> {
        loop {
            match self.claim(seqno) {
                Err(ClaimError::Full(full)) => self.wait_for_room(full)?,
                result => return result,
            }
        }
    }

    /// Completes a seqno without a claim: for an engine that gives each seqno to one applier by its
    /// own means.
    ///
    /// # Errors
    /// [`WindowFull`].
    #[inline]
    pub fn complete(&self, seqno: SeqNo) -> Result<Completion, WindowFull> {
        self.core.complete(seqno)
    }

    /// As [`complete`](Self::complete), but where the window is full it blocks until there is room.
    ///
    /// # Errors
    /// [`WaitError::Closed`]; the seqno is not completed.
    pub fn complete_blocking(&self, seqno: SeqNo) -> Result<Completion, WaitError> {
        loop {
            match self.complete(seqno) {
                Ok(completion) => return Ok(completion),
                Err(full) => match self.wait_for_room(full) {
                    Err(WaitError::Removed) => return Ok(Completion::Removed),
                    waited => waited?,
                },
            }
        }
    }

    /// Declares that nothing will come for the seqnos of `range`, or that they need not be applied:
    /// they count as completed, and are in what a checkpoint records. Claims of seqnos in it stay
    /// with their holders; completing them changes nothing.
    ///
    /// Costs the same for one seqno as for a billion. An empty range, and one of which all was
    /// skipped before or lies at or below the mark, changes nothing:
    /// [`Completion::AlreadyCompleted`].
    ///
    /// # Errors
    /// [`WindowFull`] where it begins too far above the mark; however far it ends.
    pub fn skip(&self, range: RangeInclusive<SeqNo>) -> Result<Completion, WindowFull> {
        self.core.skip(SeqRange::new(*range.start(), *range.end()))
    }

    /// Whether a seqno is completed: at or below the mark, or above it.
    pub fn contains(&self, seqno: SeqNo) -> bool {
        self.core.contains(seqno)
    }

    /// The highest seqno that is completed or skipped; the mark where none is above it. Costs
    /// as much as [`Shard::completed`].
    pub fn highest(&self) -> SeqNo {
        self.core.shard().completed().highest()
    }

    /// What is completed above the mark, ascending; with the mark it is [`Shard::completed`]. Costs
    /// as much as [`Shard::completed`].
    pub fn pending(&self) -> Vec<SeqRange> {
        self.core.shard().completed().above().to_vec()
    }

    fn wait_for_room(&self, full: WindowFull) -> Result<(), WaitError> {
        self.core.shard().wait_for(full.resume_at).map(drop)
    }
}

impl fmt::Debug for ApplyWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApplyWindow")
            .field("shard", self.shard())
            .field("capacity", &self.capacity())
            .field("pending", &self.pending())
            .finish()
    }
}
