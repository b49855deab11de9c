//! What the reading commands print, of good and of damaged stores.

use insta::assert_snapshot;
use repl_checkpoint::{BincodeCodec, JsonCodec};

use crate::support::{Dir, SLOTS, STORE, Unknown, VERSION_1, newer, older, sealed};

/// Every reading command that takes one path.
fn each(dir: &Dir, path: &str) -> String {
    ["inspect", "verify", "inspect --raw", "export", "watch --count 1"]
        .map(|command| dir.run(&format!("{command} {path}")))
        .join("\n")
}

/// The same in JSON.
fn each_in_json(dir: &Dir, path: &str) -> String {
    ["inspect --shards", "verify", "inspect --raw", "export", "watch --count 1"]
        .map(|command| dir.run(&format!("--json {command} {path}")))
        .join("\n")
}

#[test]
fn of_good_files() {
    let dir = Dir::new().files();
    assert_snapshot!(each(&dir, "marks"));
    assert_snapshot!("of_good_files_in_json", each_in_json(&dir, "marks"));
    assert_snapshot!("of_one_file", each(&dir, "marks/00000000000000000041.checkpoint"));
    assert_snapshot!("shards", dir.run("inspect --shards=3 marks"));
}

#[test]
fn of_good_slots() {
    let dir = Dir::new().slots();
    assert_snapshot!(each(&dir, "slots"));
    assert_snapshot!("of_good_slots_in_json", each_in_json(&dir, "slots/marks.slots"));
}

#[test]
fn of_files_whose_newest_is_damaged() {
    let dir = Dir::new().files();
    let mut bytes = sealed(&JsonCodec, 42, &newer());
    bytes[230] ^= 1;
    dir.put(42, &bytes);
    assert_snapshot!(each(&dir, "marks"));
    assert_snapshot!("of_files_whose_newest_is_damaged_in_json", each_in_json(&dir, "marks"));
}

#[test]
fn of_files_whose_older_is_cut_off() {
    let dir = Dir::new().files();
    dir.put(41, &sealed(&JsonCodec, 41, &older())[..250]);
    assert_snapshot!(each(&dir, "marks"));
}

#[test]
fn of_files_that_are_all_damaged() {
    let dir = Dir::new().files();
    dir.put(41, b"");
    dir.put(42, &sealed(&JsonCodec, 42, &newer()).split_off(3));
    assert_snapshot!(each(&dir, "marks"));
    assert_snapshot!("of_files_that_are_all_damaged_in_json", each_in_json(&dir, "marks"));
}

#[test]
fn of_a_header_with_a_damaged_field() {
    let dir = Dir::new().files();
    let mut bytes = sealed(&BincodeCodec, 42, &newer());
    bytes[90] = b'x';
    dir.put(42, &bytes);
    assert_snapshot!(dir.run("inspect --raw marks/00000000000000000042.checkpoint"));
}

#[test]
fn of_slots_of_which_one_is_torn() {
    let dir = Dir::new().slots();
    let mut bytes = SLOTS.to_vec();
    bytes[4096 + 520..4096 + 1024].fill(0);
    dir.put_slots(&bytes);
    assert_snapshot!(each(&dir, "slots"));
}

#[test]
fn of_slots_without_a_first_page() {
    let dir = Dir::new().slots();
    let mut bytes = SLOTS.to_vec();
    bytes[..4096].fill(0);
    dir.put_slots(&bytes);
    assert_snapshot!(each(&dir, "slots"));
}

#[test]
fn of_slots_of_which_nothing_is_whole() {
    let dir = Dir::new().slots();
    let mut bytes = SLOTS.to_vec();
    for at in [4096, 8192, 12288] {
        bytes[at + 100] ^= 1;
    }
    dir.put_slots(&bytes);
    assert_snapshot!(each(&dir, "slots"));
    dir.put_slots(&SLOTS[..9000]);
    assert_snapshot!("of_slots_that_are_cut_off", each(&dir, "slots"));
}

#[test]
fn of_what_the_program_cannot_tell() {
    let dir = Dir::new().files();
    dir.put(42, &sealed(&Unknown, 42, &newer()));
    assert_snapshot!("of_another_codec", each(&dir, "marks"));
    dir.put(42, VERSION_1);
    assert_snapshot!("of_another_version", each(&dir, "marks"));
    let header = repl_checkpoint::Header { store: repl_checkpoint::StoreId(9), ..header() };
    dir.put(42, &sealed(&JsonCodec, 42, &newer()));
    dir.put(41, &older().seal(&JsonCodec, header).unwrap());
    assert_snapshot!("of_two_stores", each(&dir, "marks"));
}

fn header() -> repl_checkpoint::Header {
    repl_checkpoint::Header { store: STORE, generation: 41, confirmed: 40 }
}

#[test]
fn of_nothing() {
    let dir = Dir::new();
    assert_snapshot!("of_a_missing_path", each(&dir, "missing"));
    std::fs::create_dir(dir.path("empty")).unwrap();
    assert_snapshot!("of_an_empty_directory", each(&dir, "empty"));
    assert_eq!(std::fs::read_dir(dir.path("empty")).unwrap().count(), 0, "nothing is created");
    let dir = Dir::new().files();
    for generation in [41, 42] {
        std::fs::remove_file(dir.path(&format!("marks/{generation:020}.checkpoint"))).unwrap();
    }
    assert_snapshot!("of_files_that_vanished", each(&dir, "marks"));
    std::fs::create_dir(dir.path("marks/00000000000000000042.checkpoint")).unwrap();
    assert_snapshot!("of_a_directory_in_place_of_a_file", each(&dir, "marks"));
}

#[test]
fn of_two_checkpoints() {
    let dir = Dir::new().files();
    let (old, new) =
        ("marks/00000000000000000041.checkpoint", "marks/00000000000000000042.checkpoint");
    let runs = [
        dir.run(&format!("diff {old} {new}")),
        dir.run(&format!("diff {new} {old} --limit 2")),
        dir.run(&format!("--json diff {old} marks")),
        dir.run(&format!("diff {old} missing")),
    ];
    assert_snapshot!(runs.join("\n"));
}

#[test]
fn in_each_format() {
    let dir = Dir::new().files();
    let formats = ["json", "csv", "prometheus"];
    assert_snapshot!(formats.map(|f| dir.run(&format!("export --format {f} marks"))).join("\n"));
}

#[test]
fn with_json_every_line_is_a_document() {
    let dir = Dir::new().files();
    dir.put(43, b"");
    for command in ["inspect", "verify", "export", "backup"] {
        let copy = if command == "backup" { " copy" } else { "" };
        let output = dir.output(&format!("--json {command} marks{copy}"));
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(!text.is_empty() && output.stderr.is_empty(), "{command}");
        for line in text.lines() {
            assert!(serde_json::from_str::<serde_json::Value>(line).is_ok(), "{command}: {line}");
        }
    }
    for (path, verdict) in [("marks", "usable"), ("gone", "unknown")] {
        let output = dir.output(&format!("--json verify {path}"));
        let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(found["verdict"], verdict);
        assert!(found["problem"]["next"].is_array(), "{found}");
    }
}

#[test]
fn the_address_of_a_server_is_no_path_and_its_password_is_not_shown() {
    let dir = Dir::new();
    for command in ["verify", "inspect", "backup marks", "import map.json", "watch marks --against"]
    {
        let printed = dir.run(&format!("{command} postgres://ann:secret@db:5432/engine"));
        let expected = "usage: postgres://db:5432/engine\n  reason        it is the address of a \
                        server, and this command reads files\n  next          replctl doctor URL";
        assert!(printed.contains(expected), "{printed}");
        let shown = printed.split_once('\n').unwrap().1;
        assert!(!shown.contains("secret") && printed.ends_with("(exit status 2)\n"), "{printed}");
    }
    assert_eq!(std::fs::read_dir(dir.0.path()).unwrap().count(), 0);
}

#[test]
fn a_wrong_command_line_exits_with_2() {
    let dir = Dir::new().files();
    for wrong in ["", "inspect", "inspect marks more", "verify --fast marks", "diff marks"] {
        assert_eq!(dir.status(wrong), 2, "{wrong}");
    }
    for right in ["--help", "--version", "verify --help"] {
        assert_eq!(dir.status(right), 0, "{right}");
    }
}

#[test]
fn no_command_that_reads_leaves_a_trace() {
    let dir = Dir::new().files().slots();
    let names = |path: &str| {
        let found = std::fs::read_dir(dir.path(path)).unwrap();
        let mut names: Vec<_> = found
            .map(|entry| {
                let entry = entry.unwrap();
                (entry.file_name(), entry.metadata().unwrap().modified().unwrap())
            })
            .collect();
        names.sort();
        names
    };
    let before = ["marks", "slots"].map(names);
    for path in ["marks", "slots"] {
        each(&dir, path);
        dir.run(&format!("diff {path} {path}"));
    }
    assert_eq!(["marks", "slots"].map(names), before);
}

#[test]
fn there_is_color_only_where_it_is_asked_for() {
    let dir = Dir::new().files();
    dir.put(42, b"");
    let colored = |set: &[(&str, &str)]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_replctl"));
        command.args(["verify", "marks"]).current_dir(dir.0.path()).env_remove("NO_COLOR");
        command.envs(set.iter().copied());
        command.output().unwrap().stdout.contains(&0x1b)
    };
    assert!(!colored(&[]), "a pipe");
    assert!(colored(&[("CLICOLOR_FORCE", "1")]));
    assert!(!colored(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]));
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let dir = Dir::new().files();
    let (end, writer) = std::io::pipe().unwrap();
    drop(end);
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_replctl"));
    let status = command.args(["export", "marks"]).current_dir(dir.0.path()).stdout(writer);
    assert_eq!(status.status().unwrap().code(), Some(0));
}

#[test]
fn completions_are_printed_for_each_shell() {
    let dir = Dir::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = dir.output(&format!("completions {shell}"));
        assert!(output.status.success());
        assert!(String::from_utf8(output.stdout).unwrap().contains("inspect"), "{shell}");
    }
}
