//! The sessions in docs/replctl.md, run and compared.

use std::env;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use crate::support::{Dir, of_an_engine};

const DOC: &str = include_str!("../../../../docs/replctl.md");
/// The variable with which the page is written anew.
const UPDATE: &str = "REPLCTL_UPDATE_SESSIONS";
/// Between the outputs of two commands.
const MARK: &str = "\u{1}";

/// The blocks of a page that are sessions.
fn sessions<'a>(page: &'a str, fence: &str) -> Vec<&'a str> {
    let mut parts = page.split(fence);
    parts.next();
    parts.filter_map(|part| Some(part.split_once("\n```")?.0)).collect()
}

/// The session on a server.
#[cfg(feature = "remote")]
pub(crate) fn on_a_server() -> &'static str {
    sessions(DOC, "```console server\n")[0]
}

/// The commands of a session, each with the output that it shows.
pub(crate) fn steps(session: &str) -> Vec<(String, String)> {
    let mut steps: Vec<(String, String)> = Vec::new();
    for line in session.lines() {
        if let Some(command) = line.strip_prefix("$ ") {
            steps.push((command.to_owned(), String::new()));
        } else if let Some((_, output)) = steps.last_mut() {
            output.push_str(line);
            output.push('\n');
        }
    }
    steps
}

/// Runs a session in one shell, in a new directory with the stores of an engine.
pub(crate) fn run(steps: &[(String, String)], url: &str) -> Vec<String> {
    let dir = Dir::new();
    of_an_engine(dir.0.path());
    let mut script = "exec 2>&1\n".to_owned();
    for (command, _) in steps {
        // The next command may look at the exit status.
        let _ = write!(script, "{command}\nstatus=$?; printf '{MARK}'; (exit $status)\n");
    }
    let program = Path::new(env!("CARGO_BIN_EXE_replctl")).parent().unwrap();
    let path = format!("{}:{}", program.display(), env::var("PATH").unwrap());
    let mut shell = Command::new("sh");
    shell.args(["-c", &script]).current_dir(dir.0.path()).env("PATH", path).env("URL", url);
    let output = shell.env("NO_COLOR", "1").env("LC_ALL", "C").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut outputs: Vec<String> = text.split(MARK).map(str::to_owned).collect();
    assert_eq!(outputs.pop().as_deref(), Some(""), "{text}");
    outputs
}

#[test]
fn every_session_in_the_docs_prints_what_the_docs_show() {
    let sessions = sessions(DOC, "```console\n");
    assert!(sessions.len() > 5, "the page has sessions");
    let mut page = DOC.to_owned();
    let mut different = String::new();
    for session in sessions {
        let steps = steps(session);
        let mut real = String::new();
        for ((command, shown), printed) in steps.iter().zip(run(&steps, "")) {
            let _ = write!(real, "$ {command}\n{printed}");
            if *shown != printed {
                let _ = write!(different, "$ {command}\n-- shown\n{shown}-- printed\n{printed}\n");
            }
        }
        page = page.replacen(session, real.trim_end(), 1);
    }
    if env::var_os(UPDATE).is_some() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/replctl.md");
        std::fs::write(path, page).unwrap();
    } else {
        assert!(different.is_empty(), "with {UPDATE}=1 this test writes the page\n{different}");
    }
}
