//! `watch`: marks as they move.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use repl_checkpoint::{FileStore, JsonCodec, OnCorrupt, recover};
use repl_core::ShardId;

use crate::support::{Dir, STORE};

#[test]
fn each_look_is_a_line_with_mark_rate_lag_and_the_time_to_catch_up() {
    let dir = Dir::new();
    let open = |name| FileStore::open(dir.path(name), STORE).unwrap();
    let of = |name| recover(open(name), JsonCodec, &[ShardId(1)], OnCorrupt::Fail).unwrap();
    let (mut follower, mut leader) = (of("marks"), of("leader"));
    leader.state.advance(ShardId(1), 1000);
    leader.checkpointer.checkpoint(|_| Ok(())).unwrap();
    follower.checkpointer.checkpoint(|_| Ok(())).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_replctl"))
        .args(["--json", "watch", "marks", "--against", "leader", "--interval", "0.01"])
        .current_dir(dir.0.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut look =
        || -> serde_json::Value { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };
    let first = look();
    assert_eq!((&first["mark"], &first["lag"]), (&0.into(), &1000.into()));
    assert!(first["rate"].is_null());
    follower.state.advance(ShardId(1), 400);
    follower.checkpointer.checkpoint(|_| Ok(())).unwrap();
    let moved = std::iter::from_fn(|| Some(look())).find(|look| look["mark"] == 400).unwrap();
    assert_eq!(moved["lag"], 600);
    assert_eq!(moved["shards"][0]["lag"], 600);
    assert!(moved["rate"].as_f64().unwrap() > 0.0, "{moved}");
    assert!(moved["catches_up_in"].as_f64().unwrap() > 0.0, "{moved}");
    let rested = std::iter::from_fn(|| Some(look())).find(|look| look["rate"] == 0.0).unwrap();
    assert!(rested["catches_up_in"].is_null(), "{rested}");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_watch_of_another_path_says_how_far_it_is_behind() {
    let dir = Dir::new().files();
    let text = dir.run("watch --count 1 marks/00000000000000000041.checkpoint --against marks");
    assert!(text.contains("lag"), "{text}");
    assert!(dir.run("watch --count 1 marks --against missing").ends_with("(exit status 3)\n"));
    assert_eq!(dir.status("watch --interval 0 marks"), 2);
}
