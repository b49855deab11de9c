//! Shuts real filesystems down under running stores.

mod lane;
pub(crate) mod machine;
mod report;

use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use repl_harness::crash::StoreKind;

use self::lane::Lane;
use self::machine::{Fs, kernel_knows, lacking, leftovers, run as run_program};
use self::report::Report;
use crate::bar::bar;
use crate::done::{Done, Fallible, root};
use crate::threads::side_by_side;
use crate::writer::WriterMutant;

/// The number of shutdowns, and what decides them.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The number of shutdowns of each store on each filesystem
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    cycles: u64,
    /// Run 2000 shutdowns of each store on each filesystem
    #[arg(long)]
    soak: bool,
    /// The seed of what is saved and of when the shutdown comes [default: the time]
    #[arg(long)]
    seed: Option<u64>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// The name of a run inside its own mount namespace
    #[arg(long, hide = true)]
    inside: Option<String>,
}

/// Each mutant must be caught within this many cycles. Most are within 30; the bound is far above,
/// because what a shutdown leaves is chance.
const TRIAL: u64 = 1000;

const TRIALS: [(WriterMutant, StoreKind, Fs); 9] = [
    (WriterMutant::NoFileSync, StoreKind::Files, Fs::Ext4),
    (WriterMutant::NoFileSync, StoreKind::Files, Fs::Xfs),
    (WriterMutant::NoFileSync, StoreKind::Slots, Fs::Ext4),
    (WriterMutant::NoFileSync, StoreKind::Slots, Fs::Xfs),
    (WriterMutant::NoDirSync, StoreKind::Files, Fs::Ext4),
    (WriterMutant::NoDirSync, StoreKind::Files, Fs::Xfs),
    (WriterMutant::NoDataSync, StoreKind::Slots, Fs::Ext4),
    (WriterMutant::NoDataSync, StoreKind::Slots, Fs::Xfs),
    (WriterMutant::SkipsSyncs, StoreKind::Slots, Fs::Ext4),
];

impl Args {
    fn arguments(&self, seed: u64) -> Vec<String> {
        let cycles = if self.soak { 2000 } else { self.cycles };
        let mut arguments: Vec<String> =
            ["--cycles", &cycles.to_string(), "--seed", &seed.to_string()]
                .map(str::to_owned)
                .into();
        arguments.extend(self.json.then(|| "--json".to_owned()));
        arguments
    }
}

/// Runs the shutdowns, unless this machine cannot.
pub(crate) fn run(args: &Args) -> Done {
    let tools = ["unshare", "mount", "umount", "losetup", "mkfs.ext4", "mkfs.xfs", "python3"];
    if let Some(why) = lacking(&tools) {
        println!("skipped: shutdown: {why}");
        return Ok(());
    }
    let place = Place { task: "shutdown", seed: args.seed, inside: args.inside.as_deref() };
    place.run(|seed| args.arguments(seed), |name, seed| inside(args, name, seed))
}

/// A trial that runs in its own mount namespace.
pub(crate) struct Place<'a> {
    pub(crate) task: &'static str,
    /// The time if `None`.
    pub(crate) seed: Option<u64>,
    /// Its name if it runs there already.
    pub(crate) inside: Option<&'a str>,
}

impl Place<'_> {
    /// Runs the task there, with its name and its seed. `arguments` start it there.
    pub(crate) fn run(
        self,
        arguments: impl FnOnce(u64) -> Vec<String>,
        run: impl FnOnce(&str, u64) -> Fallible<()>,
    ) -> Done {
        let from_clock = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |d| d.as_secs());
        let seed = self.seed.unwrap_or_else(from_clock);
        match self.inside {
            Some(name) => run(name, seed),
            None => in_own_mounts(self.task, &arguments(seed)),
        }
    }
}

/// Runs a task in its own mount namespace. When the last process in that ends, the kernel unmounts
/// all that is mounted there. The images are in memory, and are gone then too.
fn in_own_mounts(task: &str, arguments: &[String]) -> Fallible<()> {
    let name = format!("repl-{task}-{}", std::process::id());
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "--"]).arg(std::env::current_exe()?);
    let status = command.arg(task).args(arguments).args(["--inside", &name]).status()?;
    let end = Instant::now() + Duration::from_secs(5);
    let mut left = leftovers(&name)?;
    while !left.is_empty() && Instant::now() < end {
        thread::sleep(Duration::from_millis(100));
        left = leftovers(&name)?;
    }
    if !left.is_empty() {
        return Err(format!("left behind: {}", left.join("; ")).into());
    }
    if status.success() { Ok(()) } else { Err(format!("{task}: {status}").into()) }
}

fn inside(args: &Args, name: &str, seed: u64) -> Fallible<()> {
    let folder = root().join("target").join("shutdown");
    std::fs::create_dir_all(&folder)?;
    run_program("mount", &["-t", "tmpfs", name, &folder.to_string_lossy()])?;
    let report = run_all(args, &folder, name, seed);
    run_program("umount", &[&folder.to_string_lossy()])?;
    let report = report?;
    if args.json {
        println!("{}", report.as_json());
    } else {
        report.print();
    }
    if report.passed() {
        Ok(())
    } else {
        Err("a promise is broken, an outcome not simulated, or a mutant not caught".into())
    }
}

fn run_all(args: &Args, folder: &Path, name: &str, seed: u64) -> Fallible<Report> {
    let known: Vec<Fs> = Fs::ALL.into_iter().filter(|fs| kernel_knows(fs.name())).collect();
    for fs in Fs::ALL.into_iter().filter(|fs| !known.contains(fs)) {
        println!("skipped: shutdown: this kernel has no {}", fs.name());
    }
    let stores = |fs: &Fs| [StoreKind::Files, StoreKind::Slots].map(|kind| (*fs, kind));
    let cycles = args.cycles;
    let lane = |(fs, kind)| Lane { fs, kind, mutant: None, cycles };
    let lanes: Vec<Lane> = known.iter().flat_map(stores).map(lane).collect();
    let trial = |(mutant, kind, fs)| Lane { fs, kind, mutant: Some(mutant), cycles: TRIAL };
    let trials: Vec<Lane> =
        TRIALS.map(trial).into_iter().filter(|l| known.contains(&l.fs)).collect();
    let bar = bar(cycles * lanes.len() as u64, "of the shutdowns");
    let run = |lane: Lane| Ok((lane, lane.run(folder, name, seed, || bar.inc(1))?));
    let real = side_by_side(lanes, run)?;
    bar.set_message("and mutants");
    let mutants = side_by_side(trials, |lane| Ok((lane, lane.trial(folder, name, seed)?)))?;
    bar.finish_and_clear();
    Ok(Report { seed, real, mutants })
}
