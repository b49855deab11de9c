//! What `verify` says beside its verdict, and what leads an operator on who has only that.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use repl_checkpoint::{BincodeCodec, Checkpoint, Header, JsonCodec, ShardCheckpoint, StoreId};
use repl_core::{Incarnation, LogId, ShardId};

use crate::support::{Dir, SLOTS, at_rest, newer, older, sealed};

const NEW: &str = "marks/00000000000000000042.checkpoint";
const ENGINE: u32 = 54_321;

/// What follows the name of a field, of every line with that name.
fn fields<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    let begin = format!("  {name:<14}");
    text.lines().filter_map(|line| line.strip_prefix(&*begin)).collect()
}

/// What verify says of a path, as the user of the engine.
fn verify_as_the_engine(dir: &Dir, path: &str) -> String {
    let program = dir.path("replctl");
    // By a process of its own: another test that forks meanwhile would have the file open for writing.
    let mut copy = Command::new("cp");
    copy.arg(env!("CARGO_BIN_EXE_replctl")).arg(&program);
    assert!(copy.status().unwrap().success());
    let mut command = Command::new(program);
    command.args(["verify", path]).current_dir(dir.0.path()).uid(ENGINE).gid(ENGINE);
    let output = command.output().unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    format!("{text}(exit status {})\n", output.status.code().unwrap())
}

/// Gives files to a user; `None` if this process may not.
fn give(path: &Path, user: u32, mode: u32) -> Option<()> {
    if chown(path, Some(user), Some(user)).is_err() {
        return None;
    }
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    Some(())
}

/// A store of the engine, the newest file of which belongs to root.
fn of_two_users() -> Option<Dir> {
    let dir = Dir::new().files();
    give(dir.0.path(), ENGINE, 0o755)?;
    give(&dir.path("marks"), ENGINE, 0o700)?;
    for entry in fs::read_dir(dir.path("marks")).unwrap() {
        give(&entry.unwrap().path(), ENGINE, 0o600)?;
    }
    give(&dir.path(NEW), 0, 0o600)?;
    Some(dir)
}

#[test]
fn a_file_that_the_engine_may_not_read_is_given_back_to_it() {
    let Some(dir) = of_two_users() else {
        println!("skipped: only root can give files to another user");
        return;
    };
    let chown = format!("chown -h --reference=marks -- {NEW}");
    let text = verify_as_the_engine(&dir, "marks");
    assert!(text.ends_with("(exit status 3)\n"), "{text}");
    let reason = fields(&text, "reason")[0];
    assert!(reason.starts_with("this user may not read it: it belongs to "), "{reason}");
    assert!(reason.contains("uid 0"), "{reason}");
    assert!(
        reason.contains(", mode 0600, and its store to uid 54321; this is uid 54321"),
        "{reason}"
    );
    assert_eq!(fields(&text, "next"), [format!("as root: {chown}")]);
    // Root may read everything.
    let text = dir.run("verify marks");
    assert!(text.ends_with("(exit status 0)\n"), "{text}");
    assert!(text.contains("\ngood: 2 generations, whole; see the note\n"), "{text}");
    let note = fields(&text, "note")[0];
    assert!(note.starts_with("00000000000000000042.checkpoint belongs to "), "{note}");
    assert!(
        note.ends_with("belongs to uid 54321, and an engine of that user cannot use it"),
        "{note}"
    );
    assert_eq!(fields(&text, "next"), [&*chown]);
    let json: serde_json::Value =
        serde_json::from_slice(&dir.output("--json verify marks").stdout).unwrap();
    assert_eq!((&json["verdict"], &json["notes"][0]["next"][0]), (&"good".into(), &chown.into()));
    let mut shell = Command::new("sh");
    shell.args(["-c", fields(&text, "next")[0]]).current_dir(dir.0.path());
    assert!(shell.status().unwrap().success());
    assert!(verify_as_the_engine(&dir, "marks").ends_with("(exit status 0)\n"));
    assert!(fields(&dir.run("verify marks"), "note").is_empty());
}

#[test]
fn a_directory_that_this_user_may_not_enter_names_its_owner() {
    let dir = Dir::new().files();
    if give(dir.0.path(), ENGINE, 0o755).is_none() {
        println!("skipped: only root can give files to another user");
        return;
    }
    give(&dir.path("marks"), 12_345, 0o750).unwrap();
    let text = verify_as_the_engine(&dir, "marks");
    let reason = "this user may not list it: it belongs to uid 12345, mode 0750; this is uid 54321";
    assert_eq!(fields(&text, "reason"), [reason]);
    assert_eq!(fields(&text, "next"), ["run this again as uid 12345, its owner"]);
    give(&dir.path("marks"), ENGINE, 0).unwrap();
    assert_eq!(fields(&verify_as_the_engine(&dir, "marks"), "next"), ["chmod u+rwx marks"]);
}

#[test]
fn a_newer_copy_beside_a_good_store_is_named_and_can_be_brought_back() {
    let dir = Dir::new().files().slots();
    assert_eq!(dir.status("convert slots newer"), 0);
    assert_eq!(dir.status("convert slots one.marks --store slot-file"), 0);
    assert_eq!(dir.status("convert one.marks newest"), 0);
    let generation = |path: &str| repl_checkpoint::peek(dir.path(path)).unwrap().header.generation;
    for (store, copy, of) in [
        ("slots", "slots/marks.slots.bak", "newer"),
        ("slots", "slots/.marks.slots.3fKz", "newer"),
        ("slots", "slots/marks.slots~", "newer"),
        ("one.marks", "./one.marks.old", "newest"),
        ("marks", "marks/00000000000000000043.checkpoint~", ""),
    ] {
        let bytes = match of {
            "" => sealed(&JsonCodec, 43, &newer()),
            of => fs::read(repl_checkpoint::peek(dir.path(of)).unwrap().path).unwrap(),
        };
        at_rest(&dir.path(copy), &bytes);
        let copy = copy.trim_start_matches("./");
        let (there, newer) = (generation(store), generation(copy));
        assert!(there < newer);
        let text = dir.run(&format!("verify {store}"));
        assert!(text.contains("\ngood: ") && text.ends_with("(exit status 0)\n"), "{text}");
        let (note, next) = (fields(&text, "note"), fields(&text, "next"));
        let typed = if copy.ends_with('~') { format!("'{copy}'") } else { copy.to_owned() };
        let is = format!("{typed} is a newer copy of this store, and whole: generation {newer};");
        assert!(note[0].starts_with(&is), "{text}");
        assert!(
            note[0].contains(&format!("the store itself is at generation {there}, ")),
            "{text}"
        );
        let command = format!("replctl restore {typed} {store} --skip");
        assert!(next[0].starts_with(
            "if the data of the engine was neither set back nor undone, stop the engine"
        ));
        assert!(next[0].ends_with(&command), "{text}");
        if copy.ends_with('~') {
            assert_eq!(dir.status(&format!("restore {copy} {store} --skip")), 0);
            assert!(generation(store) > newer);
        } else {
            fs::remove_file(dir.path(copy)).unwrap();
        }
        assert!(fields(&dir.run(&format!("verify {store}")), "note").is_empty());
    }
}

#[test]
fn what_is_no_newer_copy_is_not_named() {
    let dir = Dir::new().files().slots();
    assert_eq!(dir.status("convert slots one.marks --store slot-file"), 0);
    let of = |store: u128, generation: u64| {
        let header = Header { store: StoreId(store), generation, confirmed: 0 };
        newer().seal(&JsonCodec, header).unwrap()
    };
    let mut damaged = sealed(&JsonCodec, 43, &newer());
    *damaged.last_mut().unwrap() ^= 1;
    let file = |name: &str| dir.path(&format!("marks/{name}"));
    fs::write(file("00000000000000000042.checkpoint.bak"), sealed(&JsonCodec, 42, &newer()))
        .unwrap();
    fs::write(file("00000000000000000041.checkpoint~"), sealed(&JsonCodec, 41, &older())).unwrap();
    fs::write(file("00000000000000000043.checkpoint~"), of(9, 43)).unwrap();
    fs::write(file("00000000000000000043.checkpoint.old"), damaged).unwrap();
    fs::write(file("00000000000000000043.checkpoint.gz"), [0x1f, 0x8b]).unwrap();
    fs::write(file("notes"), sealed(&JsonCodec, 43, &newer())).unwrap();
    fs::create_dir(file("44.checkpoint.d")).unwrap();
    fs::write(dir.path("slots/marks.slots~"), SLOTS).unwrap();
    // A store of its own.
    assert_eq!(dir.status("convert one.marks one.marks.2 --store slot-file"), 0);
    for path in ["marks", "slots", "one.marks", NEW] {
        let text = dir.run(&format!("verify {path}"));
        assert!(fields(&text, "note").is_empty(), "{text}");
    }
}

#[test]
fn a_whole_copy_beside_damaged_checkpoints_is_named() {
    let dir = Dir::new().files();
    let copy = format!("{NEW}.bak");
    fs::copy(dir.path(NEW), dir.path(&copy)).unwrap();
    for generation in [42, 41] {
        dir.put(generation, b"");
        let text = dir.run("verify marks");
        let note = fields(&text, "note");
        assert!(note[0].starts_with(&format!("{copy} is ")), "{text}");
        let command = format!("stop the engine, then: replctl restore {copy} marks");
        assert!(fields(&text, "next").iter().any(|next| next.contains(&command)), "{text}");
    }
}

#[test]
fn what_a_save_that_was_cut_off_has_left_is_no_fault() {
    let dir = Dir::new().files().slots();
    fs::write(dir.path("marks/00000000000000000043.checkpoint.temp-287-2"), "repl").unwrap();
    fs::write(dir.path("slots/marks.slots.temp-287-2"), "repl").unwrap();
    for (path, name) in [
        ("marks", "00000000000000000043.checkpoint.temp-287-2"),
        ("slots", "marks.slots.temp-287-2"),
    ] {
        let text = dir.run(&format!("verify {path}"));
        let note = format!(
            "{name} is left of a save that was cut off: the next start of the engine removes it"
        );
        assert_eq!(fields(&text, "note"), [note]);
        assert!(text.contains("generations, whole\n"), "{text}");
        assert!(text.ends_with("(exit status 0)\n"), "{text}");
    }
}

#[test]
fn a_good_store_says_what_the_engine_must_be_configured_with() {
    let dir = Dir::new().files().slots();
    assert_eq!(dir.status("convert slots one.marks --store slot-file"), 0);
    let engine = |path: &str| {
        let text = dir.run(&format!("verify {path}"));
        fields(&text, "engine").first().map(|&engine| engine.to_owned())
    };
    let id = format!("{:032x}", 0xfeed);
    let line = |kind: &str| format!("must be configured with {kind}, codec json, store {id}");
    assert_eq!(engine("marks"), Some(line("FileStore")));
    assert!(engine("slots").unwrap().starts_with("must be configured with SlotStore, codec "));
    assert!(
        engine("one.marks").unwrap().starts_with("must be configured with SlotStore by its file, ")
    );
    assert_eq!(engine(NEW), None);
    dir.put(41, &sealed(&BincodeCodec, 41, &older()));
    dir.put(42, &sealed(&BincodeCodec, 42, &newer()));
    assert!(engine("marks").unwrap().contains("codec bincode"));
}

#[test]
fn every_damaged_checkpoint_has_its_reason() {
    let dir = Dir::new().files().slots();
    dir.put(43, b"repl");
    dir.put(42, &[0; 100]);
    let text = dir.run("verify marks");
    let reason = "2 are damaged: 00000000000000000043.checkpoint: ";
    assert!(fields(&text, "reason")[0].starts_with(reason), "{text}");
    let second = "; 00000000000000000042.checkpoint: all its bytes are 0";
    assert!(fields(&text, "reason")[0].ends_with(second), "{text}");
    dir.put(41, b"");
    let text = dir.run("verify marks");
    let reason = "no checkpoint is whole: 3 are damaged: 00000000000000000043.checkpoint: ";
    assert!(fields(&text, "reason")[0].starts_with(reason), "{text}");
    let mut bytes = SLOTS.to_vec();
    bytes[40] ^= 1;
    bytes[8192] ^= 1;
    dir.put_slots(&bytes);
    let text = dir.run("verify slots");
    let reason = "2 are damaged: the first page is damaged; slot 1: ";
    assert!(fields(&text, "reason")[0].starts_with(reason), "{text}");
}

#[test]
fn a_backup_is_no_way_out_where_the_log_lacks_segments() {
    let dir = Dir::new().files();
    dir.put(43, b"");
    dir.put(42, b"");
    for command in ["verify marks", "fall-back marks"] {
        let text = dir.run(command);
        let next = fields(&text, "next");
        let marks =
            "replctl export --format csv marks, for the marks of all shards in generation 41";
        assert!(next[0].starts_with(marks), "{text}");
        assert!(next[2].contains("a backup of a generation before 41 needs still more of the log"));
        let copy =
            "take a base copy: stop the engine, copy the data and its marks anew from the leader";
        assert!(next[3].contains(copy), "{text}");
    }
}

#[test]
fn what_the_engine_passes_over_by_itself_has_a_heading_of_its_own() {
    let dir = Dir::new().files().slots();
    dir.put(42, b"");
    assert!(dir.run("verify marks").contains("\nusable by falling back: marks/"));
    for (at, what) in [(8192, "1 damaged slot"), (40, "the damaged first page")] {
        let mut bytes = SLOTS.to_vec();
        bytes[at] ^= 1;
        dir.put_slots(&bytes);
        let text = dir.run("verify slots");
        let heading = format!("\nusable: the engine passes over {what} at its next start: slots/");
        assert!(text.contains(&heading), "{text}");
        assert!(fields(&text, "next")[0].starts_with("start the engine"), "{text}");
        assert!(text.ends_with("(exit status 4)\n"), "{text}");
    }
}

/// A checkpoint of many shards, of which the later ones have moved further.
fn of_many(shards: u64, times: u64) -> Checkpoint {
    let shards = (0..shards).map(|id| ShardCheckpoint {
        shard: ShardId(id),
        log: LogId::UNNAMED,
        incarnation: Incarnation(0),
        mark: 10 + id * times,
        completed: Box::default(),
        epochs: Box::default(),
    });
    Checkpoint { next_incarnation: Incarnation(1), shards: shards.collect() }
}

/// The lines that are about a shard.
fn listed(text: &str) -> Vec<&str> {
    text.lines().filter(|line| line.starts_with("  shard ")).collect()
}

#[test]
fn of_many_shards_a_hundred_are_listed_before_what_to_do() {
    let dir = Dir::new().files();
    dir.put(41, &sealed(&JsonCodec, 41, &of_many(150, 1)));
    dir.put(42, b"");
    assert_eq!(dir.status("backup marks copy"), 4);
    let text = dir.run("fall-back marks");
    assert_eq!(listed(&text).len(), 100);
    let more = "  and 50 more: replctl export --format csv marks, for the marks of all shards\n";
    assert!(text.contains(&format!("{more}fell back: ")), "{text}");
    assert!(text.ends_with("  next          start the engine\n(exit status 0)\n"), "{text}");
    dir.put(43, &sealed(&JsonCodec, 43, &of_many(150, 2)));
    let text = dir.run("restore copy marks --replay");
    assert_eq!(listed(&text).len(), 100);
    assert!(listed(&text)[0].contains("shard 50 "), "those that move most: {text}");
    assert!(text.contains("  and 50 more, which move no further: replctl export "), "{text}");
    let inspected = dir.run("inspect marks --shards");
    assert!(
        inspected.contains("    and 50 more: replctl inspect --shards=150 marks\n"),
        "{inspected}"
    );
    let diff = dir.run("diff copy marks");
    assert!(diff.contains("  and 50 more: replctl diff --limit 150 copy marks\n"), "{diff}");
    assert!(
        diff.contains("! shard 7: reset to a new incarnation, at mark 17 (as before)\n"),
        "{diff}"
    );
    let restored = dir.output("--json restore copy marks --replay --skip").stdout;
    let restored: serde_json::Value = serde_json::from_slice(&restored).unwrap();
    assert_eq!(restored["shards"].as_array().unwrap().len(), 150);
    let newest = repl_checkpoint::peek(dir.path("marks")).unwrap().path;
    fs::write(newest, "").unwrap();
    let fell_back = dir.output("--json fall-back marks").stdout;
    let fell_back: serde_json::Value = serde_json::from_slice(&fell_back).unwrap();
    assert_eq!(fell_back["shards"].as_array().unwrap().len(), 150);
}
