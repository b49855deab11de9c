//! A store that cannot be opened again ends the waits for a save: none can be made.

use repl_core::WaitError;

use super::{Blocked, ONE, now};
use crate::support::scripted::Scripted;
use crate::support::{marks, save, sealed};

/// How a reopen fails.
#[derive(Debug, Clone, Copy)]
enum Fails {
    /// No store is opened.
    Open,
    /// The store holds the checkpoint of another process.
    Refused,
}

fn reopened(follower: &mut repl_checkpoint::Recovered, store: &Scripted, fails: Fails) {
    let open = || match fails {
        Fails::Open => Err("no disk"),
        Fails::Refused => {
            let other = store.copy();
            other.edit(|kept| kept.push((9, sealed(9, &marks(&[(1, 90)])))));
            Ok(other)
        }
    };
    follower.checkpointer.reopen(open).unwrap_err();
}

#[test]
fn a_failed_reopen_ends_every_wait_for_a_save() {
    for fails in [Fails::Open, Fails::Refused] {
        let store = Scripted::default();
        let mut follower = store.recovered(&[1]);
        let floors = follower.checkpointer.floors();
        follower.state.advance(ONE, 5);
        let mut before = floors.saved(ONE, 5);
        assert_eq!(now(&mut before), None);
        let blocked = Blocked::new({
            let saved = floors.saved(ONE, 5);
            || saved.wait()
        });
        reopened(&mut follower, &store, fails);
        assert_eq!(now(&mut before), Some(Err(WaitError::Closed)), "{fails:?}");
        assert_eq!(blocked.result(), Err(WaitError::Closed), "{fails:?}");
        assert_eq!(now(&mut floors.saved(ONE, 5)), Some(Err(WaitError::Closed)), "{fails:?}");
        follower.checkpointer.reopen(|| store.open()).unwrap();
        let mut after = floors.saved(ONE, 5);
        assert_eq!(now(&mut after), None, "{fails:?}");
        save(&mut follower.checkpointer);
        assert_eq!(now(&mut after), Some(Ok(5)), "{fails:?}");
    }
}
