//! Completions of `replctl` for shells: what the program itself prints.

use std::fs;
use std::path::PathBuf;

use crate::command::{Done, cargo};
use crate::members;

/// Each shell, and the name that it looks for.
const SHELLS: [(&str, &str); 5] = [
    ("bash", "replctl.bash"),
    ("elvish", "replctl.elv"),
    ("fish", "replctl.fish"),
    ("powershell", "_replctl.ps1"),
    ("zsh", "_replctl"),
];

/// Where to write them.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The directory, which is created if it is missing
    dir: PathBuf,
}

/// Writes a file for each shell.
pub(crate) fn run(args: &Args) -> Done {
    fs::create_dir_all(&args.dir)?;
    let package = &members::named("replctl")?;
    for (shell, name) in SHELLS {
        let program = ["--locked", "--quiet", "-p", package, "--", "completions", shell];
        let path = args.dir.join(name);
        fs::write(&path, cargo("run", &program).output()?)?;
        println!("{}", path.display());
    }
    Ok(())
}
