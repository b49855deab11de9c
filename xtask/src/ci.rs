//! Runs every check: those of `ci`, and those of `slow`.

use crate::api;
use crate::command::{Done, Program, cargo, xtask};
use crate::layers;
use crate::links;
use crate::members;
use crate::msrv;
use crate::packages;
use crate::steps::Lane::{Others, Tests};
use crate::steps::{self, Args, Skipped, Step, in_lane, step};
use crate::targets;
use crate::trials;

const CI: &[Step] = &[
    step("fmt", "every file is formatted", fmt),
    step("links", "every link in the docs leads to a file, a heading or a test", links),
    step("layers", "no two files of a crate import each other in a circle", layers),
    step("api", "docs/api lists the public interface of the sources", api),
    step("packages", "no crate needs more packages than its limit, nor a tool", packages),
    step("clippy", "no warning in any target, all features", clippy),
    step(
        "test",
        "unit and integration tests, all features; those of the step servers are not among them",
        test,
    ),
    in_lane(Others, "doc", "the docs build without a warning", doc),
    in_lane(Others, "loom", "models of the lock-free code, and loom twins that must fail", || {
        loom("2")
    }),
    in_lane(Others, "follower", "the first command of the README", follower),
    in_lane(Others, "shutdown", "real filesystems that are shut down under running stores", || {
        trials::program("shutdown", &[])
    }),
    in_lane(
        Others,
        "power",
        "real filesystems whose disk loses and tears unflushed writes",
        || trials::program("power", &[]),
    ),
    in_lane(Tests, "doctest", "the examples in the docs", doctest),
    in_lane(Tests, "benches", "every bench runs once, unoptimized", benches),
    in_lane(
        Tests,
        "servers",
        "the stores and pg-follower on a real PostgreSQL and a real S3",
        servers,
    ),
    in_lane(Tests, "stress", "the four-thread stress suite", || {
        trials::program("stress", &["--seconds", "15"])
    }),
];

/// What takes too long to wait for with every change. The crashes, kills and loom models are in `ci`
/// too, within narrower bounds; the other steps are not.
const SLOW: &[Step] = &[
    step("msrv", "each crate builds with the oldest Rust that it declares", msrv),
    step("features", "no warning with the default features, nor with others", features),
    in_lane(Tests, "crash", "every crash of both stores, and mutants that must be caught", || {
        trials::program("crash", &[])
    }),
    in_lane(
        Others,
        "loom",
        "the same models as in ci, with three preemptions in place of two",
        || loom("3"),
    ),
    in_lane(Others, "fuzz", "every fuzz target for 60 s, from the committed corpus", fuzz),
    in_lane(Others, "once", "200 kills of threads that commit side by side", exactly_once),
    in_lane(
        Others,
        "pg-sqlite",
        "a real PostgreSQL followed into SQLite, 20 kills, 2 crashes",
        || pg_follower("sqlite"),
    ),
    in_lane(Others, "pg-postgres", "the same, followed into another database", || {
        pg_follower("postgres")
    }),
];

/// Runs the steps of `ci`.
pub(crate) fn run(args: &Args) -> Done {
    steps::run("ci", CI, args)
}

/// Runs the steps of `slow`.
pub(crate) fn run_slow(args: &Args) -> Done {
    steps::run("slow", SLOW, args)
}

/// Runs tests, and collects those that report that they were skipped.
fn tests(program: Program, skipped: &mut Skipped) -> Done {
    program.run_collecting(skipped, |line| println!("{line}"))
}

fn fmt(_: &mut Skipped) -> Done {
    cargo("fmt", &["--all", "--check"]).run()?;
    cargo("fmt", &["--manifest-path", "fuzz/Cargo.toml", "--check"]).run()
}

fn links(_: &mut Skipped) -> Done {
    links::check()
}

fn layers(_: &mut Skipped) -> Done {
    layers::check()
}

fn api(_: &mut Skipped) -> Done {
    api::check()
}

fn packages(_: &mut Skipped) -> Done {
    packages::check()
}

fn msrv(skipped: &mut Skipped) -> Done {
    if let Some(why) = msrv::missing() {
        skipped.push(format!("skipped: {why}"));
        return Ok(());
    }
    msrv::check()
}

fn clippy(_: &mut Skipped) -> Done {
    let all =
        ["--locked", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"];
    cargo("clippy", &all).run()
}

/// The arguments of `cargo test`: the default members, which are all but the models of the step `loom`.
/// Each step that builds this selection finds what another has built.
const TESTED: [&str; 2] = ["--locked", "--all-features"];

/// The integration tests whose every run needs a server: they mostly wait for answers, so they run
/// beside steps that need a processor.
const SERVERS: &str = "servers";

fn test(skipped: &mut Skipped) -> Done {
    let mut arguments = [&TESTED[..], &["--lib"]].concat();
    let targets = targets::tested()?;
    for (flag, name) in targets.iter().filter(|(_, name)| name != SERVERS) {
        arguments.extend([*flag, name]);
    }
    tests(cargo("test", &arguments), skipped)
}

fn servers() -> Program {
    cargo("test", &[&TESTED[..], &["--test", SERVERS]].concat())
}

/// All members with their default features, and `repl-checkpoint` with each set of its features. Its
/// tests need JSON: without it the library alone is checked. The step `test` has run the integration
/// tests with all features: here they must only compile. The fuzz targets are a workspace of their
/// own.
fn features(skipped: &mut Skipped) -> Done {
    cargo("clippy", &["--locked", "--workspace", "--", "-D", "warnings"]).run()?;
    let fuzz = ["--locked", "--manifest-path", "fuzz/Cargo.toml", "--target-dir", "target/fuzz"];
    cargo("clippy", &[&fuzz[..], &["--", "-D", "warnings"]].concat()).run()?;
    let name = members::named("repl-checkpoint")?;
    let with =
        |features| ["--locked", "-p", &name, "--no-default-features", "--features", features];
    for features in ["", "bincode", "serde", "json", "json,metrics", "json,tracing"] {
        cargo("clippy", &[&with(features)[..], &["--lib", "--", "-D", "warnings"]].concat())
            .run()?;
    }
    for features in ["json", "json,metrics", "json,tracing"] {
        cargo("check", &[&with(features)[..], &["--tests"]].concat()).run()?;
    }
    tests(cargo("test", &[&with("json")[..], &["--lib"]].concat()), skipped)
}

fn doctest() -> Program {
    cargo("test", &[&TESTED[..], &["--doc"]].concat())
}

fn doc() -> Program {
    cargo("doc", &["--locked", "--workspace", "--all-features", "--no-deps"])
        .env("RUSTDOCFLAGS", "-D warnings")
}

fn loom(preemptions: &str) -> Program {
    let arguments = ["--locked", "--release", "-p", "loom-models", "--test", "loom"];
    cargo("test", &arguments).env("LOOM_MAX_PREEMPTIONS", preemptions)
}

fn fuzz() -> Program {
    xtask(&["fuzz", "--seconds", "60"])
}

/// Unoptimized, as the step `test` has built what they need.
fn benches() -> Program {
    cargo("test", &[&TESTED[..], &["--bench", "*"]].concat())
}

fn follower() -> Program {
    cargo("run", &["--locked", "--release", "-p", "sqlite-follower"])
}

fn pg_follower(progress: &str) -> Program {
    let arguments = ["--locked", "--release", "-p", "pg-follower", "--", "--progress", progress];
    cargo("run", &arguments)
}

fn exactly_once() -> Program {
    cargo("run", &["--locked", "--release", "-p", "exactly-once"])
}
