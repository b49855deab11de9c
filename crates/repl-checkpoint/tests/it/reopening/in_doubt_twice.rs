//! What was in doubt may be in the cache alone, though a reopen found it: it may be lost later.

use repl_checkpoint::{Recovered, ReopenError};

use super::{ONE, after};
use crate::support::scripted::{Outcome, Scripted};
use crate::support::{durable, save};

/// Generation 2 is acknowledged. 3 was in doubt, and found by a reopen; each of the next `outcomes`
/// again, and the last of them is in doubt now.
fn in_doubt_again(outcomes: &[Outcome]) -> (Scripted, Recovered) {
    let (store, mut follower) = after(Outcome::InDoubtButThere);
    for outcome in outcomes {
        follower.checkpointer.reopen(|| store.open()).unwrap();
        store.fail_next(&[*outcome]);
        follower.checkpointer.checkpoint(durable).unwrap_err();
    }
    (store, follower)
}

/// The chains of doubt, and the generations left in the store after the caches are lost.
const LOST: [(&[Outcome], &[u64]); 6] = [
    (&[Outcome::InDoubt], &[1, 2]),
    (&[Outcome::InDoubt], &[1, 2, 3]),
    (&[Outcome::InDoubtButThere], &[1, 2]),
    (&[Outcome::InDoubtButThere], &[1, 2, 4]),
    (&[Outcome::InDoubtButThere, Outcome::InDoubt], &[1, 2]),
    (&[Outcome::InDoubtButThere, Outcome::InDoubtButThere], &[2]),
];

#[test]
fn it_goes_on_from_the_generation_acknowledged_last_if_all_after_it_is_lost() {
    for (outcomes, left) in LOST {
        let (store, mut follower) = in_doubt_again(outcomes);
        store.edit(|kept| kept.retain(|(generation, _)| left.contains(generation)));
        let reopened = follower.checkpointer.reopen(|| store.open());
        assert!(reopened.is_ok(), "{left:?}: {}", reopened.unwrap_err());
        store.take_events();
        // No number that was attempted is used again, and what was acknowledged is kept.
        let next = 4 + outcomes.len() as u64;
        assert_eq!(save(&mut follower.checkpointer), next, "{left:?}");
        let confirmed: u64 = store.take_events()[0].rsplit(' ').next().unwrap().parse().unwrap();
        assert!(confirmed <= 2, "{left:?}: {confirmed} is not acknowledged");
        assert_eq!(store.mark(1), Some(9));
        assert_eq!(follower.checkpointer.floors().checkpointed(ONE), Some(9));
    }
}

#[test]
fn what_is_older_than_the_generation_acknowledged_last_is_refused() {
    let (store, mut follower) = in_doubt_again(&[Outcome::InDoubt]);
    let older = store.copy();
    older.edit(|kept| kept.truncate(1));
    let error = follower.checkpointer.reopen(|| older.open()).unwrap_err();
    assert!(matches!(error, ReopenError::OtherCheckpoint { found: 1, .. }), "{error}");
    follower.checkpointer.reopen(|| store.open()).unwrap();
    assert_eq!(save(&mut follower.checkpointer), 5);
}

#[test]
fn once_a_later_save_is_acknowledged_the_earlier_one_is_refused() {
    let (store, mut follower) = after(Outcome::InDoubtButThere);
    follower.checkpointer.reopen(|| store.open()).unwrap();
    assert_eq!(save(&mut follower.checkpointer), 4);
    for left in [2, 3] {
        let older = store.copy();
        older.edit(|kept| kept.truncate(left));
        let error = follower.checkpointer.reopen(|| older.open()).unwrap_err();
        assert!(matches!(error, ReopenError::OtherCheckpoint { .. }), "{left}: {error}");
    }
    follower.checkpointer.reopen(|| store.open()).unwrap();
}
