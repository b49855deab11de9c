//! Runs every check before a release, in order. They need the network, and tools that they install.

mod changes;
mod entries;
mod interface;
mod minimal;
mod package;
mod scratch;
mod tools;
mod version;

use crate::command::{Done, cargo};
use crate::members;
use crate::steps::{self, Args, Skipped, Step, step};

const STEPS: &[Step] = &[
    step("interface", "the version says what changed in docs/api since the last release", |_| {
        interface::check()
    }),
    step("deny", "licenses, sources and advisories of all dependencies", deny),
    step("features", "no warning with any set of features of any published crate", features),
    step("minimal-versions", "each crate builds with the oldest dependencies it allows", |_| {
        minimal::check()
    }),
    step(
        "package",
        "each crate builds from its package alone, and its tests pass there",
        package::check,
    ),
    step("mutants", "no change of the code passes all tests; takes hours", mutants),
];

/// Runs the steps.
pub(crate) fn run(args: &Args) -> Done {
    steps::run("release-check", STEPS, args)
}

/// The workspace needs every license that deny.toml allows, the fuzz targets some of them and an
/// exception.
fn deny(skipped: &mut Skipped) -> Done {
    tools::ensure("cargo-deny", "0.20.2")?;
    let has_advisories = cargo("deny", &["fetch", "db"]).run().is_ok();
    if !has_advisories {
        skipped.push("skipped: advisories: their database cannot be fetched".to_owned());
    }
    let unused = ["-D", "license-not-encountered", "-A", "license-exception-not-encountered"];
    for (manifest, flags) in [
        ("Cargo.toml", &unused[..]),
        ("fuzz/Cargo.toml", &["-A", "license-not-encountered", "-A", "advisory-not-detected"]),
    ] {
        let check = ["--locked", "--manifest-path", manifest, "check"];
        let mut arguments = [&check[..], flags, &["bans", "licenses", "sources"]].concat();
        arguments.extend(has_advisories.then_some("advisories"));
        cargo("deny", &arguments).run()?;
    }
    Ok(())
}

fn features(_: &mut Skipped) -> Done {
    tools::ensure("cargo-hack", tools::HACK)?;
    let members = members::all()?;
    let mut arguments = vec!["clippy", "--locked", "--feature-powerset"];
    arguments.extend(members.iter().flat_map(|member| ["-p", member.name.as_str()]));
    arguments.extend(["--", "-D", "warnings"]);
    cargo("hack", &arguments).run()
}

/// `.cargo/mutants.toml` says which files are changed.
fn mutants(_: &mut Skipped) -> Done {
    tools::ensure("cargo-mutants", "27.1.0")?;
    tools::ensure("cargo-nextest", "0.9.143")?;
    let jobs = std::thread::available_parallelism()?.to_string();
    for folder in ["repl-core", "repl-checkpoint"] {
        let (name, output) = (members::named(folder)?, format!("target/mutants/{folder}"));
        std::fs::create_dir_all(&output)?;
        cargo("mutants", &["-p", &name, "--output", &output, "--jobs", &jobs]).run()?;
    }
    Ok(())
}
