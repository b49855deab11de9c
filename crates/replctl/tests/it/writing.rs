//! The commands that write, as they are typed: what they print, and what they leave.

mod sessions;
mod stores;

use std::fs;

use repl_checkpoint::{FileStore, StoreId, survey};

use self::sessions::Session;
use self::stores::{
    Kind, cut_off, damage_newest, make, make_of, make_of_other_codec, make_with_ranges,
};

const KINDS: [Kind; 2] = [Kind::Files, Kind::Slots];

/// The commands that change a store, and what follows the path.
const CHANGES: [&str; 4] = [
    "fall-back marks",
    "set marks 1 40 --replay",
    "forget marks 2 --replay",
    "restore copy marks --replay --skip",
];

#[test]
fn what_the_commands_say_of_a_good_store() {
    for kind in KINDS {
        let mut session = Session::new();
        make_with_ranges(&session.path("marks"), kind);
        session.run("fall-back marks");
        session.run("set marks 1 42");
        session.run("set marks 1 40");
        session.run("set marks 1 40 --skip");
        session.run("backup marks copy");
        session.run("backup marks copy");
        session.run("set marks 1 40 --replay");
        session.run("set marks 1 40 --replay");
        session.run("set marks 1 60 --replay");
        session.run("set marks 1 60 --skip");
        session.run("set marks 9 1 --skip");
        session.run("forget marks 2");
        session.run("forget marks 2 --replay");
        session.run("restore copy marks");
        session.run("restore copy marks --replay");
        session.run("restore copy marks --replay --skip");
        session.run("restore copy new");
        session.run("convert marks bin --codec bincode --store slots");
        session.run("convert marks bin");
        session.run("restore copy bin --replay --skip");
        session.run("convert marks one.marks --store slot-file");
        session.compare(&format!("good_{kind:?}"));
    }
}

#[test]
fn what_the_commands_say_of_a_good_store_in_json() {
    let mut session = Session::new();
    make_with_ranges(&session.path("marks"), Kind::Files);
    session.run("--json fall-back marks");
    session.run("--json set marks 1 42");
    session.run("--json set marks 1 40 --skip");
    session.run("--json backup marks copy");
    session.run("--json set marks 1 60 --skip");
    session.run("--json forget marks 2 --replay");
    session.run("--json restore copy marks --replay --skip");
    session.run("--json convert marks new --codec bincode");
    fs::write(session.path("map.json"), r#"{"0":17,"3":5}"#).unwrap();
    session.run("--json import map.json imported");
    session.compare("good_json");
}

#[test]
fn what_the_commands_say_of_a_damaged_newest_checkpoint() {
    for kind in KINDS {
        let mut session = Session::new();
        make_with_ranges(&session.path("marks"), kind);
        damage_newest(&session.path("marks"));
        session.run("set marks 1 40 --replay");
        session.run("forget marks 2 --replay");
        session.run("convert marks new");
        session.run("backup marks copy");
        session.run("fall-back marks");
        session.run("fall-back marks");
        session.compare(&format!("damaged_{kind:?}"));
    }
}

#[test]
fn two_damaged_checkpoints_are_passed_over_only_once_the_log_was_looked_at() {
    for kind in KINDS {
        let mut session = Session::new();
        make_with_ranges(&session.path("marks"), kind);
        damage_newest(&session.path("marks"));
        damage_newest(&session.path("marks"));
        session.run("fall-back marks");
        session.run("--json fall-back marks");
        session.run("fall-back marks --log-checked");
        session.run("set marks 1 40 --skip");
        session.compare(&format!("two_damaged_{kind:?}"));
    }
}

#[test]
fn a_store_of_which_nothing_is_whole_can_only_be_restored() {
    for kind in KINDS {
        let mut session = Session::new();
        make(&session.path("marks"), kind);
        session.run("backup marks copy");
        while survey(session.path("marks")).is_ok_and(|found| found.newest_whole().is_some()) {
            damage_newest(&session.path("marks"));
        }
        session.run("fall-back marks --log-checked");
        session.run("set marks 1 40 --replay");
        session.run("backup marks second");
        session.run("convert marks second");
        session.run("restore copy marks");
        session.compare(&format!("nothing_whole_{kind:?}"));
        let found = survey(session.path("marks")).unwrap();
        assert!(found.found.iter().all(|one| one.checked.is_ok()));
    }
}

#[test]
fn a_backup_of_another_store_is_refused_though_nothing_is_whole() {
    let mut session = Session::new();
    make(&session.path("marks"), Kind::Files);
    make_of(StoreId(8), &session.path("other"));
    session.run("backup other copy");
    session.run("convert marks bin --codec bincode");
    for entry in fs::read_dir(session.path("marks")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "checkpoint") {
            cut_off(&path);
        }
    }
    let before = session.files("marks");
    session.run("restore copy marks");
    session.run("restore bin marks");
    assert_eq!(session.files("marks"), before);
    session.compare("other_store_where_nothing_is_whole");
}

#[test]
fn what_was_there_and_says_nothing_is_told_after_a_restore() {
    let mut session = Session::new();
    make(&session.path("marks"), Kind::Files);
    session.run("backup marks copy");
    for entry in fs::read_dir(session.path("marks")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "checkpoint") {
            fs::write(path, "").unwrap();
        }
    }
    session.run("restore copy marks");
    session.compare("nothing_known");
}

#[test]
fn a_store_that_lost_its_checkpoints_is_restored_as_what_it_was() {
    for kind in KINDS {
        let mut session = Session::new();
        make(&session.path("marks"), kind);
        session.run("backup marks copy");
        let before = survey(session.path("marks")).unwrap().newest;
        for entry in fs::read_dir(session.path("marks")).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|end| end == "checkpoint" || end == "slots") {
                fs::remove_file(path).unwrap();
            }
        }
        session.run("set marks 1 40 --replay");
        session.run("restore copy marks");
        session.compare(&format!("vanished_{kind:?}"));
        let after = survey(session.path("marks")).unwrap().newest;
        let marks = |found: Option<std::sync::Arc<repl_core::Snapshot>>| {
            found.unwrap().iter().collect::<Vec<_>>()
        };
        assert_eq!(marks(before), marks(after));
    }
}

#[test]
fn a_store_in_use_is_not_changed_and_its_engine_goes_on() {
    for kind in KINDS {
        let mut session = Session::new();
        let mut follower = make(&session.path("marks"), kind);
        session.run("backup marks copy");
        let before = session.files("marks");
        for change in CHANGES {
            session.run(change);
        }
        session.run("convert marks new");
        assert_eq!(session.files("marks"), before);
        assert!(!session.path("new").exists());
        follower.state.advance(repl_core::ShardId(1), 50);
        follower.checkpointer.checkpoint(|_| Ok(())).unwrap();
        session.compare(&format!("in_use_{kind:?}"));
    }
}

#[test]
fn nothing_is_created_where_nothing_is() {
    let mut session = Session::new();
    fs::create_dir(session.path("empty")).unwrap();
    for path in ["missing", "empty"] {
        for change in CHANGES.iter().take(3) {
            session.run(&change.replace("marks", path));
        }
        session.run(&format!("backup {path} copy"));
        session.run(&format!("convert {path} copy"));
        session.run(&format!("restore {path} copy"));
    }
    session.compare("nothing_there");
    assert!(session.files("empty").is_empty());
    assert_eq!(fs::read_dir(session.path(".")).unwrap().count(), 1);
}

#[test]
fn a_store_of_an_unknown_codec_or_version_is_left_alone() {
    let mut session = Session::new();
    make_of_other_codec(&session.path("codec"));
    make(&session.path("version"), Kind::Files);
    for entry in fs::read_dir(session.path("version")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "checkpoint") {
            let text = fs::read_to_string(&path).unwrap();
            fs::write(path, text.replacen("v2", "v33", 1)).unwrap();
        }
    }
    for path in ["codec", "version"] {
        let before = session.files(path);
        for change in CHANGES.iter().take(3) {
            session.run(&change.replace("marks", path));
        }
        session.run(&format!("backup {path} copy"));
        session.run(&format!("convert {path} copy"));
        session.run(&format!("restore {path} copy"));
        assert_eq!(session.files(path), before);
    }
    session.compare("unknown_codec_or_version");
    assert!(!session.path("copy").exists());
}

#[test]
fn an_import_is_exact_or_refused() {
    let mut session = Session::new();
    fs::write(session.path("map.json"), r#"{"0":17,"18446744073709551615":9007199254740993}"#)
        .unwrap();
    fs::write(session.path("map.csv"), "shard,mark\n0,17\n5,4\n").unwrap();
    fs::write(session.path("twice.json"), r#"{"0":17,"0":18}"#).unwrap();
    fs::write(session.path("bad.csv"), "0,17\n1,1.5\n").unwrap();
    session.run("import map.json marks");
    session.run("import map.csv marks");
    session.run("import map.csv slots --store slots --codec bincode --store-id 00ff");
    session.run("import map.csv one.marks --store slot-file");
    session.run("import map.csv one.marks --store slot-file");
    session.run("import twice.json twice");
    session.run("import bad.csv bad");
    session.run("import missing.csv bad");
    session.compare("import");
    assert!(!session.path("bad").exists() && !session.path("twice").exists());
    let marks = survey(session.path("marks")).unwrap().newest.unwrap();
    assert_eq!(marks.mark(repl_core::ShardId(u64::MAX)), Some(9_007_199_254_740_993));
    let slots = survey(session.path("slots")).unwrap();
    assert_eq!((slots.store, slots.codec.as_deref()), (Some(StoreId(255)), Some("bincode")));
    assert_eq!(slots.newest.unwrap().mark(repl_core::ShardId(5)), Some(4));
}

#[test]
fn no_older_checkpoint_is_left_after_a_change() {
    for kind in KINDS {
        for change in CHANGES.iter().skip(1) {
            let mut session = Session::new();
            make_with_ranges(&session.path("marks"), kind);
            session.run("backup marks copy");
            let before = survey(session.path("marks")).unwrap();
            let last = before.newest_whole().unwrap().header.unwrap().generation;
            session.run(change);
            let after = survey(session.path("marks")).unwrap();
            assert!(!after.found.is_empty());
            for found in &after.found {
                assert!(found.header.unwrap().generation > last, "{change}: {found:?}");
            }
        }
    }
}

#[test]
fn a_change_keeps_all_that_it_does_not_name() {
    for kind in KINDS {
        let mut session = Session::new();
        make_with_ranges(&session.path("marks"), kind);
        let before = repl_checkpoint::peek(session.path("marks")).unwrap().checkpoint.unwrap();
        session.run("set marks 2 3 --replay");
        session.run("convert marks bin --codec bincode");
        session.run("restore bin new");
        let set = repl_checkpoint::peek(session.path("marks")).unwrap().checkpoint.unwrap();
        assert_eq!(set.shards[0], before.shards[0]);
        assert_eq!(set.shards[1].log, before.shards[1].log);
        let of = |name| repl_checkpoint::peek(session.path(name)).unwrap();
        assert_eq!(of("bin").checkpoint.unwrap(), set);
        let mut restored = of("new").checkpoint.unwrap();
        for (row, was) in restored.shards.iter_mut().zip(&set.shards) {
            assert_eq!(row.incarnation, set.next_incarnation);
            row.incarnation = was.incarnation;
        }
        assert_eq!(restored.shards, set.shards);
    }
}

#[test]
fn every_change_leaves_one_line_in_the_audit_file() {
    let mut session = Session::new();
    make_with_ranges(&session.path("marks"), Kind::Files);
    session.run("backup marks copy");
    session.run("set marks 1 40 --replay");
    session.run("set marks 1 40");
    session.run("set marks 1 99");
    session.run("forget marks 2 --replay");
    session.run("restore copy marks --replay --skip");
    damage_newest(&session.path("marks"));
    session.run("fall-back marks");
    let lines = fs::read_to_string(session.path("marks/repl-checkpoint.audit")).unwrap();
    let lines: Vec<serde_json::Value> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |name: &str| lines.iter().map(|line| line[name].clone()).collect::<Vec<_>>();
    let commands = [
        "replctl set marks 1 40 --replay",
        "replctl forget marks 2 --replay",
        "replctl restore copy marks --replay --skip",
        "replctl fall-back marks",
    ];
    assert_eq!(of("command"), commands);
    assert_eq!(
        of("aside"),
        (1..=4).map(|n| format!("repl-checkpoint.aside-{n}")).collect::<Vec<_>>()
    );
    assert_eq!((&lines[0]["before"]["mark"], &lines[0]["after"]["mark"]), (&42.into(), &40.into()));
    assert_eq!((&lines[1]["before"]["mark"], lines[1]["after"].is_null()), (&7.into(), true));
    for line in &lines {
        assert!(line["time"].as_str().unwrap().ends_with('Z'));
        assert!(line["user"].as_str().unwrap().contains("uid "));
    }
}

#[test]
fn a_backup_beside_an_engine_that_saves_is_whole_and_not_older() {
    for kind in KINDS {
        let session = Session::new();
        let mut follower = make(&session.path("marks"), kind);
        let running = std::sync::atomic::AtomicBool::new(true);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for mark in 43.. {
                    follower.state.advance(repl_core::ShardId(1), mark);
                    follower.checkpointer.checkpoint(|_| Ok(())).unwrap();
                    if !running.load(std::sync::atomic::Ordering::Relaxed) {
                        return;
                    }
                }
            });
            for n in 0..20 {
                let before =
                    repl_checkpoint::peek(session.path("marks")).unwrap().header.generation;
                let (_, code) = session.output(&format!("backup marks copy{n}"));
                assert_eq!(code, 0);
                let copy = survey(session.path(&format!("copy{n}"))).unwrap();
                assert!(copy.found.iter().all(|found| found.checked.is_ok()));
                assert!(copy.newest_whole().unwrap().header.unwrap().generation >= before);
            }
            running.store(false, std::sync::atomic::Ordering::Relaxed);
        });
    }
}

#[test]
fn a_backup_leaves_nothing_where_it_fails() {
    let session = Session::new();
    drop(make(&session.path("marks"), Kind::Files));
    let (_, code) = session.output("backup marks missing/copy");
    assert_eq!(code, 3);
    assert_eq!(fs::read_dir(session.path(".")).unwrap().count(), 1);
    // It can be opened by an engine.
    let (_, code) = session.output("backup marks copy");
    assert_eq!(code, 0);
    assert!(FileStore::open(session.path("copy"), StoreId(7)).is_ok());
}

#[test]
fn the_doctor_leaves_no_trace_and_takes_no_lock() {
    let mut session = Session::new();
    let mut follower = make(&session.path("marks"), Kind::Files);
    let before = session.files("marks");
    for path in ["marks", "marks/00000000000000000003.checkpoint", "missing/too"] {
        let (printed, _) = session.output(&format!("doctor {path} --saves 3"));
        for check in ["rename", "directories", "lock", "FileStore", "SlotStore", "free space"] {
            assert!(printed.contains(&format!("\n  {check}")), "{printed}");
        }
    }
    let (printed, code) = session.output("--json doctor marks --saves 3");
    let json: serde_json::Value = serde_json::from_str(&printed).unwrap();
    // A temporary directory may be in memory.
    assert_eq!(code == 5, json["verdict"] == "broken", "{printed}");
    let trials = json["checks"].as_array().unwrap().iter();
    let lock = trials.filter(|check| check["name"] == "lock").collect::<Vec<_>>();
    assert_eq!(lock[0]["verdict"], "good");
    assert_eq!(session.files("marks"), before);
    assert_eq!(fs::read_dir(session.path(".")).unwrap().count(), 1);
    follower.checkpointer.checkpoint(|_| Ok(())).unwrap();
    session.run("doctor marks --saves 2");
    session.compare("doctor");
}

#[test]
fn a_damaged_checkpoint_that_can_be_read_says_how_far_it_had_come() {
    let mut session = Session::new();
    make_with_ranges(&session.path("marks"), Kind::Files);
    let file = |n: u32| session.path(&format!("marks/{n:020}.checkpoint"));
    fs::rename(file(3), file(4)).unwrap();
    session.run("fall-back marks");
    session.run("--json fall-back marks");
    session.compare("misnamed");
    assert!(session.path("marks/repl-checkpoint.aside-1/00000000000000000004.checkpoint").exists());
}

#[test]
fn what_was_put_aside_brings_the_store_back() {
    for kind in KINDS {
        let mut session = Session::new();
        make_with_ranges(&session.path("marks"), kind);
        let marks = |session: &Session| {
            let found = repl_checkpoint::peek(session.path("marks")).unwrap().checkpoint.unwrap();
            let row = |row: &repl_checkpoint::ShardCheckpoint| {
                (row.shard, row.log, row.mark, row.completed.clone(), row.epochs.clone())
            };
            found.shards.iter().map(row).collect::<Vec<_>>()
        };
        let before = marks(&session);
        session.run("set marks 1 2 --replay");
        session.run("forget marks 2 --replay");
        assert_ne!(marks(&session), before);
        let aside = "restore marks/repl-checkpoint.aside-1 marks";
        assert_eq!(session.output(aside).1, 5, "it would skip what is replayed now");
        assert_eq!(session.output(&format!("{aside} --skip")).1, 0);
        assert_eq!(marks(&session), before);
    }
}

#[cfg(unix)]
#[test]
fn a_store_of_another_user_is_not_changed() {
    let mut session = Session::new();
    drop(make(&session.path("marks"), Kind::Files));
    let lock = session.path("marks/repl-checkpoint.lock");
    if std::os::unix::fs::chown(&lock, Some(54_321), None).is_err() {
        println!("skipped: only root can give files to another user");
        return;
    }
    session.run("backup marks copy");
    let before = session.files("marks");
    for change in CHANGES {
        session.run(change);
    }
    session.run("convert marks new");
    assert_eq!(session.files("marks"), before);
    session.compare("another_user");
}
