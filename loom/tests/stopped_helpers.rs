//! A thread that helps may be stopped between any two of its steps: nothing waits for it to go on.

use loom_models::ClaimError;

use crate::window::{complete, window};
use crate::{check_interleaved, data};

/// A thread that finds a seqno completed finds it in a snapshot too, though the thread that
/// completed it has not returned.
#[test]
fn a_seqno_that_cannot_be_claimed_is_in_the_applied_set() {
    check_interleaved(|| {
        let window = window(4);
        let completer = complete(&data(), &window, 2);
        if window.try_claim(2).is_err_and(|err| err == ClaimError::AlreadyCompleted) {
            assert!(window.shard().applied_set().contains(2));
        }
        completer.join().unwrap();
    });
}
