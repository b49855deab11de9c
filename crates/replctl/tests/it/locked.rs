//! Reading beside a process that holds the store.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;

use repl_checkpoint::{FileStore, SlotStore};

use crate::support::{Dir, STORE};

#[cfg(target_os = "linux")]
#[test]
fn a_store_in_use_is_read_and_named_as_such() {
    let dir = Dir::new().files().slots();
    let files = FileStore::open(dir.path("marks"), STORE).unwrap();
    let slots = SlotStore::open(dir.path("slots"), STORE).unwrap();
    for path in ["marks", "slots"] {
        let text = dir.run(&format!("verify {path}"));
        assert!(text.contains("held by process PID"), "{text}");
        assert!(text.contains("another engine cannot start while process PID runs"), "{text}");
        assert!(
            text.contains("ps -fp PID, for what it is; where another engine is to run"),
            "{text}"
        );
        assert!(text.ends_with("(exit status 0)\n"), "{text}");
        let json = dir.run(&format!("--json verify {path}"));
        assert!(json.contains(r#""lock":{"held":{"pid":PID}}"#), "{json}");
    }
    drop((files, slots));
    assert!(!dir.run("verify marks").contains("lock"));
}

#[test]
fn no_look_ever_makes_an_open_of_an_engine_fail() {
    let dir = Dir::new().files();
    let done = AtomicBool::new(false);
    let looks = ["verify marks", "inspect marks", "export marks", "watch --count 1 marks"];
    let opened = thread::scope(|s| {
        let looker = s.spawn(|| {
            for look in looks.iter().cycle().take(40) {
                assert_eq!(dir.status(look), 0);
            }
            done.store(true, SeqCst);
        });
        let mut opened = 0;
        while !done.load(SeqCst) && !looker.is_finished() {
            drop(FileStore::open(dir.path("marks"), STORE).unwrap());
            opened += 1;
        }
        opened
    });
    assert!(opened > 40, "{opened}");
}
