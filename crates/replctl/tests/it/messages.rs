//! A message leads to the right command.

use repl_checkpoint::{Header, JsonCodec, StoreId};

use crate::support::{Dir, SLOTS, newer, sealed};

/// The commands that a message names, without what an operator must fill in.
fn next(dir: &Dir, path: &str) -> Vec<String> {
    let output = dir.output(&format!("--json verify {path}"));
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let problem = if found["problem"].is_null() { &found } else { &found["problem"] };
    let next = problem["next"].as_array().unwrap();
    next.iter().map(|line| line.as_str().unwrap().to_owned()).collect()
}

#[test]
fn of_a_damaged_newest_file_it_is_to_fall_back() {
    let dir = Dir::new().files();
    dir.put(42, b"");
    assert!(next(&dir, "marks")[0].contains("replctl fall-back marks"));
}

#[test]
fn of_nothing_whole_it_is_to_restore() {
    let dir = Dir::new().files();
    dir.put(42, b"");
    dir.put(41, b"");
    assert!(next(&dir, "marks")[0].contains("replctl restore BACKUP marks"));
    for generation in [41, 42] {
        std::fs::remove_file(dir.path(&format!("marks/{generation:020}.checkpoint"))).unwrap();
    }
    assert!(next(&dir, "marks")[0].contains("replctl restore BACKUP marks"), "vanished");
}

#[test]
fn of_one_torn_slot_it_is_to_start_the_engine() {
    let dir = Dir::new().slots();
    let mut bytes = SLOTS.to_vec();
    bytes[8192..].fill(0);
    dir.put_slots(&bytes);
    let of_two = next(&dir, "slots");
    assert!(of_two[0].contains("replctl export --format csv slots, "), "{of_two:?}");
    assert!(
        of_two[1].contains("if the log still has, for each shard, the segment after"),
        "{of_two:?}"
    );
    assert!(of_two[1].contains("replctl fall-back slots --log-checked"), "{of_two:?}");
    let mut bytes = SLOTS.to_vec();
    bytes[8192] = 0;
    dir.put_slots(&bytes);
    assert!(next(&dir, "slots")[0].starts_with("start the engine"));
}

#[test]
fn of_a_renamed_file_it_is_to_rename_it_back() {
    let dir = Dir::new().files();
    dir.put(75, &sealed(&JsonCodec, 57, &newer()));
    let next = next(&dir, "marks");
    let names = [75, 57].map(|generation| format!("marks/{generation:020}.checkpoint"));
    assert!(next[0].ends_with(&format!("mv -n {} {}", names[0], names[1])), "{next:?}");
    assert!(next[1].contains("replctl fall-back marks"), "{next:?}");
}

#[test]
fn a_fall_back_beside_files_of_another_store_says_that_they_are_there() {
    let dir = Dir::new().files();
    let other = Header { store: StoreId(9), generation: 41, confirmed: 0 };
    dir.put(41, &newer().seal(&JsonCodec, other).unwrap());
    let output = dir.output("fall-back marks");
    assert_eq!(output.status.code(), Some(3));
    let moved = format!("mv -n marks/{:020}.checkpoint NEW_DIRECTORY", 41);
    assert!(String::from_utf8_lossy(&output.stderr).contains(&moved));
}

#[test]
fn of_a_damaged_reserve_it_is_to_start_the_engine_and_to_make_a_backup() {
    let dir = Dir::new().files();
    for damaged in [vec![], sealed(&JsonCodec, 40, &newer())] {
        dir.put(41, &damaged);
        let next = next(&dir, "marks");
        assert!(next[0].starts_with("start the engine"), "{next:?}");
        assert!(next[1].ends_with("replctl backup marks NEW_DIRECTORY"), "{next:?}");
    }
}

#[test]
fn of_the_directory_of_a_slot_file_it_is_to_verify_that_file() {
    let dir = Dir::new();
    std::fs::create_dir(dir.path("followers")).unwrap();
    std::fs::write(dir.path("followers/east.marks"), SLOTS).unwrap();
    assert_eq!(next(&dir, "followers"), ["replctl verify followers/east.marks"]);
}

#[cfg(target_os = "linux")]
#[test]
fn the_process_that_is_to_be_stopped_is_named() {
    let dir = Dir::new().files();
    dir.put(42, b"");
    let lock = std::fs::File::create(dir.path("marks/repl-checkpoint.lock")).unwrap();
    lock.lock().unwrap();
    let stop = format!("stop process {}, which holds the lock, then: ", std::process::id());
    assert!(next(&dir, "marks")[0].starts_with(&stop), "{:?}", next(&dir, "marks"));
}

#[test]
fn every_command_that_a_message_names_exists() {
    let dir = Dir::new().files();
    dir.put(42, b"");
    let help = String::from_utf8(dir.output("--help").stdout).unwrap();
    for path in ["marks", "missing"] {
        for line in next(&dir, path) {
            if let Some((_, command)) = line.split_once("replctl ") {
                let command = command.split_whitespace().next().unwrap();
                assert!(help.contains(&format!("  {command} ")), "{line}");
            }
        }
    }
}

#[test]
#[cfg(not(feature = "remote"))]
fn without_the_feature_the_message_names_it() {
    let printed = Dir::new().run("doctor postgres://ann:secret@host/engine");
    let (_, printed) = printed.split_once('\n').unwrap();
    assert!(printed.contains("cannot tell: postgres://host/engine"), "{printed}");
    assert!(printed.contains("--features remote") && printed.contains("(exit status 3)"));
    assert!(!printed.contains("secret"), "{printed}");
}
