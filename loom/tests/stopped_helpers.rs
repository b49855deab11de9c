//! A thread that helps may be stopped between any two of its steps: nothing waits for it to go on.

use std::sync::Arc;

use loom_models::ClaimError;

use crate::window::{complete, window};
use crate::{check_interleaved, data, thread};

/// A snapshot copies what is completed and raises the mark to 3, and is stopped there; the completer
/// of 1 goes on all the same.
#[test]
fn a_completer_waits_for_no_stopped_snapshot() {
    check_interleaved(|| {
        let window = window(4);
        window.complete(2).unwrap();
        window.complete(3).unwrap();
        let completer = thread::spawn({
            let window = Arc::clone(&window);
            move || {
                window.complete(4).unwrap();
                window.complete(1).unwrap();
                let mark = window.shard().applied();
                assert!(mark >= 4, "1 to 4 are completed, and the mark is {mark}");
            }
        });
        let next_chunk = thread::spawn({
            let window = Arc::clone(&window);
            move || window.complete(6).is_ok()
        });
        let _ = window.shard().applied_set();
        completer.join().unwrap();
        next_chunk.join().unwrap();
    });
}

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
