//! Every command says of a store what `verify` says of it, and what to type next.

use std::fs;

use repl_checkpoint::{BincodeCodec, Codec, Header, JsonCodec, StoreId};

use crate::support::{Dir, SLOTS, VERSION_1, at_rest, newer, older, sealed};

const OLD: &str = "marks/00000000000000000041.checkpoint";
const NEW: &str = "marks/00000000000000000042.checkpoint";

/// What is printed of a problem: the lines from `headline: ...` on.
fn problem(dir: &Dir, arguments: &str) -> (String, Option<i32>) {
    let output = dir.output(arguments);
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    let titles = ["good: ", "damage: ", "usage: ", "cannot tell: ", "usable", "refused: "];
    let from = text.lines().skip_while(|line| !titles.iter().any(|title| line.starts_with(title)));
    (from.collect::<Vec<_>>().join("\n"), output.status.code())
}

/// The files of a directory, with what is in them.
fn files(dir: &Dir) -> Vec<(std::ffi::OsString, Option<Vec<u8>>)> {
    let entries = fs::read_dir(dir.path("marks")).unwrap().map(|entry| entry.unwrap());
    let mut files: Vec<_> =
        entries.map(|entry| (entry.file_name(), fs::read(entry.path()).ok())).collect();
    files.sort();
    files
}

/// Compares what each command says with what `verify` says, and that nothing is changed.
fn all_agree(dir: &Dir, what: &str, status: i32) -> String {
    let verdict = problem(dir, "verify marks");
    assert_eq!(verdict.1, Some(status), "{what}: {}", verdict.0);
    let before = files(dir);
    for command in [
        "fall-back marks",
        "fall-back marks --log-checked",
        "backup marks copy",
        "set marks 1 40 --replay",
        "forget marks 2 --replay",
        "convert marks new",
        "restore marks new",
    ] {
        let (text, code) = problem(dir, command);
        assert_eq!(code, Some(status), "{what}: {command}: {text}");
        if status == 3 {
            assert_eq!(text, verdict.0, "{what}: {command}");
        }
    }
    assert_eq!(files(dir), before, "{what}");
    assert!(!dir.path("copy").exists() && !dir.path("new").exists(), "{what}");
    verdict.0
}

fn of_store(id: u128, codec: &dyn Codec, generation: u64) -> Vec<u8> {
    let header = Header { store: StoreId(id), generation, confirmed: 0 };
    older().seal(codec, header).unwrap()
}

#[test]
fn what_verify_cannot_tell_no_command_changes() {
    let cases: [(&str, Vec<u8>, Vec<u8>); 7] = [
        ("version", sealed(&JsonCodec, 41, &older()), VERSION_1.to_vec()),
        ("codec", sealed(&JsonCodec, 41, &older()), damaged(&BincodeCodec)),
        ("store", of_store(9, &JsonCodec, 41), damaged(&JsonCodec)),
        ("older version", VERSION_1.to_vec(), b"".to_vec()),
        ("older store", of_store(9, &JsonCodec, 41), sealed(&JsonCodec, 42, &newer())),
        ("older codec", sealed(&JsonCodec, 41, &older()), sealed(&BincodeCodec, 42, &newer())),
        ("both", of_store(9, &BincodeCodec, 41), damaged(&JsonCodec)),
    ];
    for (what, old, new) in cases {
        let dir = Dir::new().files();
        dir.put(41, &old);
        dir.put(42, &new);
        all_agree(&dir, what, 3);
    }
}

/// Generation 42, with a header that is right.
fn damaged(codec: &dyn Codec) -> Vec<u8> {
    let mut bytes = sealed(codec, 42, &newer());
    *bytes.last_mut().unwrap() ^= 1;
    bytes
}

#[test]
fn a_link_in_place_of_a_checkpoint_is_refused_by_all() {
    let dir = Dir::new().files();
    fs::remove_file(dir.path(NEW)).unwrap();
    std::os::unix::fs::symlink("/missing/42", dir.path(NEW)).unwrap();
    all_agree(&dir, "link", 3);
    fs::remove_file(dir.path(NEW)).unwrap();
    fs::create_dir(dir.path(NEW)).unwrap();
    all_agree(&dir, "directory", 3);
}

#[test]
fn files_of_both_kinds_are_moved_apart() {
    let dir = Dir::new().files();
    fs::write(dir.path("marks/marks.slots"), SLOTS).unwrap();
    let verdict = all_agree(&dir, "both kinds", 3);
    for command in ["inspect marks", "export marks", "watch marks --count 1", "diff marks marks"] {
        assert_eq!(problem(&dir, command).0, verdict, "{command}");
    }
    let reason = "it holds files of both kinds, 2 checkpoint files and marks.slots: no engine";
    assert!(verdict.contains(reason), "{verdict}");
    let of_files = "if the engine uses a FileStore, as its configuration says, stop the engine, \
                    then: mkdir NEW_DIRECTORY && mv -n marks/marks.slots NEW_DIRECTORY";
    assert!(verdict.contains(of_files), "{verdict}");
    let of_slots = format!(
        "a SlotStore, as its configuration says, stop the engine, then: mkdir NEW_DIRECTORY && mv -n \
         {OLD} {NEW} NEW_DIRECTORY"
    );
    assert!(verdict.contains(&of_slots), "{verdict}");
}

#[test]
fn files_of_two_codecs_are_moved_apart() {
    let dir = Dir::new().files();
    for newest in [sealed(&BincodeCodec, 42, &newer()), damaged(&BincodeCodec)] {
        dir.put(42, &newest);
        let (verdict, code) = problem(&dir, "verify marks");
        assert_eq!(code, Some(3));
        for (codec, other) in [("bincode", OLD), ("json", NEW)] {
            let line = format!(
                "if the engine uses {codec}, as its configuration says, stop the engine, then: \
                 mkdir NEW_DIRECTORY && mv -n {other} NEW_DIRECTORY"
            );
            assert!(verdict.contains(&line), "{verdict}");
        }
        assert!(!verdict.contains("start the release"), "{verdict}");
    }
}

#[test]
fn one_file_of_a_store_leads_to_its_store() {
    let dir = Dir::new().files();
    dir.put(42, b"");
    let (verdict, code) = problem(&dir, &format!("verify {NEW}"));
    assert_eq!(code, Some(1));
    assert!(
        verdict.ends_with("\n  next          this is one file of a store: replctl verify marks")
    );
    assert!(!verdict.contains("restore"), "{verdict}");
    // A file that somebody has copied away is of no store.
    fs::create_dir(dir.path("alone")).unwrap();
    fs::write(dir.path("alone/42.checkpoint"), b"").unwrap();
    assert!(problem(&dir, "verify alone/42.checkpoint").0.contains("restore"));
}

#[test]
fn a_lock_file_and_a_marker_are_no_checkpoints() {
    let dir = Dir::new().files();
    fs::write(dir.path("east"), SLOTS).unwrap();
    for (name, what, store) in [
        ("marks/repl-checkpoint.lock", "the lock file", "marks"),
        ("marks/repl-checkpoint.marker", "the marker", "marks"),
        ("east.lock", "the lock file", "east"),
        ("east.marker", "the marker", "east"),
    ] {
        fs::write(dir.path(name), "").unwrap();
        let (verdict, code) = problem(&dir, &format!("verify {name}"));
        assert_eq!(code, Some(2), "{verdict}");
        let reason = format!("this is not a checkpoint: it is {what} of a store, and may be empty");
        assert!(verdict.contains(&reason), "{verdict}");
        assert!(verdict.ends_with(&format!("next          replctl verify {store}")), "{verdict}");
    }
}

#[test]
fn what_needs_the_marks_says_how_to_see_and_compare_them() {
    let dir = Dir::new().files();
    dir.put(40, &sealed(&JsonCodec, 40, &older()));
    dir.put(41, b"");
    dir.put(42, b"");
    let holds = "the log still has, for each shard, the segment after its mark and all later ones";
    for command in ["verify marks", "fall-back marks", "restore marks new"] {
        let (text, _) = problem(&dir, command);
        let text = if text.is_empty() { dir.run(command) } else { text };
        let path = if command.ends_with("new") { "new" } else { "marks" };
        assert!(text.contains(&format!("replctl export --format csv {path}, ")), "{text}");
        assert!(text.contains(holds), "{text}");
    }
}

#[test]
fn a_damaged_first_page_is_called_that_and_loses_no_mark() {
    let dir = Dir::new().slots();
    let mut bytes = SLOTS.to_vec();
    bytes[40] ^= 1;
    dir.put_slots(&bytes);
    let (verdict, code) = problem(&dir, "verify slots");
    assert_eq!(code, Some(4));
    let reason = "the first page is damaged; every slot is whole, and no mark is lost";
    assert!(verdict.contains(reason), "{verdict}");
    let fell_back = dir.run("fall-back slots");
    assert!(fell_back.contains("\n  damaged       the first page is damaged\n"), "{fell_back}");
    assert!(fell_back.contains(", saved again as generation "), "{fell_back}");
    assert!(!fell_back.contains("not known"), "{fell_back}");
    // With a slot that is damaged too, marks may be lost.
    bytes[8192] ^= 1;
    dir.put_slots(&bytes);
    let (verdict, _) = problem(&dir, "verify slots");
    assert!(verdict.contains("2 are damaged: the first page is damaged; slot 1: "), "{verdict}");
}

#[test]
fn a_slot_file_with_any_name_is_one_though_its_first_bytes_are_damaged() {
    let dir = Dir::new().slots();
    assert_eq!(dir.status("convert slots one.marks --store slot-file"), 0);
    let mut bytes = fs::read(dir.path("one.marks")).unwrap();
    bytes[5] ^= 1;
    at_rest(&dir.path("one.marks"), &bytes);
    let (text, status) = problem(&dir, "verify one.marks");
    assert!(text.contains("the first page is damaged"), "{text}");
    assert_eq!(status, Some(4), "{text}");
    assert_eq!(dir.status("backup one.marks copy"), 0);
    assert_eq!(dir.status("fall-back one.marks"), 0);
    assert_eq!(dir.status("verify one.marks"), 0);
}

#[test]
fn a_damaged_reserve_is_called_that() {
    let dir = Dir::new().files();
    dir.put(41, b"");
    let (verdict, code) = problem(&dir, "verify marks");
    assert_eq!(code, Some(1));
    let headline = format!("damage: {OLD}: an older generation is damaged, the newest is whole\n");
    assert!(verdict.starts_with(&headline), "{verdict}");
}

#[test]
fn a_file_of_zeros_is_called_that() {
    let dir = Dir::new().files().slots();
    dir.put(42, &vec![0; 200_000]);
    dir.put_slots(&vec![0; SLOTS.len()]);
    for (command, shown) in [
        ("verify marks", "  reason        all its bytes are 0\n"),
        ("inspect marks", "42.checkpoint: all its bytes are 0\n"),
        ("fall-back marks", "42.checkpoint: all its bytes are 0\n"),
        ("verify slots", "  reason        all its bytes are 0\n"),
    ] {
        let text = dir.run(command);
        assert!(text.contains(shown), "{text}");
    }
}

#[test]
fn a_slot_file_that_is_only_too_long_can_be_cut() {
    let dir = Dir::new().slots();
    let length = SLOTS.len();
    dir.put_slots(&[SLOTS, b"more"].concat());
    let (verdict, code) = problem(&dir, "verify slots");
    assert_eq!(code, Some(1));
    let cut = format!(
        "if it is only too long, and the engine is stopped: cp -p slots/marks.slots NEW_FILE && \
         truncate -s {length} slots/marks.slots, then: replctl verify slots/marks.slots"
    );
    assert!(verdict.contains(&format!("\n  next          {cut}\n")), "{verdict}");
    assert!(verdict.find("truncate") < verdict.find("restore"), "{verdict}");
    assert_eq!(problem(&dir, "fall-back slots"), (verdict, code));
    let file = fs::File::options().write(true).open(dir.path("slots/marks.slots")).unwrap();
    file.set_len(length as u64).unwrap();
    assert_eq!(dir.status("verify slots/marks.slots"), 0);
    // One that is cut off has lost something.
    dir.put_slots(&SLOTS[..9000]);
    assert!(!problem(&dir, "verify slots").0.contains("truncate"));
}

#[test]
fn checkpoints_under_other_names_are_named_first() {
    let dir = Dir::new().files();
    for name in [OLD, NEW] {
        fs::rename(dir.path(name), dir.path(&format!("{name}.bak"))).unwrap();
    }
    let (verdict, code) = problem(&dir, "verify marks");
    assert_eq!(code, Some(1));
    let line = format!(
        "these may be its checkpoints under other names: {OLD}.bak {NEW}.bak: if somebody \
         renamed them, and the engine is stopped: mv -n {OLD}.bak {OLD} && mv -n {NEW}.bak {NEW}"
    );
    assert_eq!(verdict.lines().nth(2), Some(&*format!("  next          {line}")), "{verdict}");
    assert!(verdict.contains("without a backup, take a base copy"), "{verdict}");
    fs::copy(dir.path(&format!("{OLD}.bak")), dir.path(&format!("{OLD}.old"))).unwrap();
    let (verdict, _) = problem(&dir, "verify marks");
    assert!(!verdict.contains(&format!(" {OLD} ")), "two of one name: {verdict}");
}

#[test]
fn a_link_is_shown_with_its_target() {
    let dir = Dir::new().files();
    fs::rename(dir.path(NEW), dir.path("target")).unwrap();
    for (target, is) in [("../target", "is there"), ("../missing", "is not there")] {
        std::os::unix::fs::symlink(target, dir.path(NEW)).unwrap();
        let (verdict, code) = problem(&dir, "verify marks");
        assert_eq!(code, Some(3));
        let reason = format!("it is a symbolic link to marks/{target}, which {is}, and not a");
        assert!(verdict.contains(&reason), "{verdict}");
        assert!(verdict.contains(&format!("rm {NEW} && cp -p marks/{target} {NEW}")), "{verdict}");
        fs::remove_file(dir.path(NEW)).unwrap();
    }
}

#[test]
fn a_renamed_file_is_whole_and_its_name_is_wrong() {
    let dir = Dir::new().files();
    fs::rename(dir.path(NEW), dir.path("marks/00000000000000000044.checkpoint")).unwrap();
    let reason = "it is whole, and is generation 42: its name says 44\n";
    for command in ["verify marks", "fall-back marks"] {
        let text = dir.run(command);
        assert!(text.contains(reason), "{text}");
    }
}
