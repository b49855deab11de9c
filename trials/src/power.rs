//! Cuts the power of real filesystems under running stores: their disk keeps, loses or tears each
//! write that was not flushed.

mod cuts;
mod device;
mod figures;
mod fuse;
mod lane;
mod neighbor;
mod platform;
mod recording;
mod report;
mod writers;

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

use repl_harness::crash::StoreKind;

use self::figures::Figures;
use self::lane::Lane;
pub(crate) use self::neighbor::NeighborArgs;
use self::platform::Platform;
use self::report::Report;
use crate::bar::bar;
use crate::done::{Done, Fallible, root};
use crate::shutdown::Place;
use crate::shutdown::machine::{kernel_knows, lacking, run as run_program};
use crate::threads::side_by_side;
use crate::writer::WriterMutant;

/// The number of power cuts, and what decides them.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The number of images of each filesystem
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..))]
    images: u64,
    /// Make 5000 images of each filesystem
    #[arg(long)]
    soak: bool,
    /// The seed of what is saved and of what a power cut leaves [default: the time]
    #[arg(long)]
    seed: Option<u64>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// The name of a run inside its own mount namespace
    #[arg(long, hide = true)]
    inside: Option<String>,
}

/// Each mutant must be caught within this many images. Most are within a few dozen; the bound is far
/// above, because what a power cut leaves is chance.
const TRIAL: u64 = 3000;

const TRIALS: [(WriterMutant, &[StoreKind]); 3] = [
    (WriterMutant::NoFileSync, StoreKind::ALL),
    (WriterMutant::NoDirSync, StoreKind::ALL),
    (WriterMutant::NoDataSync, &[StoreKind::Slots]),
];

impl Args {
    fn images(&self) -> u64 {
        if self.soak { 5000 } else { self.images }
    }

    fn arguments(&self, seed: u64) -> Vec<String> {
        let numbers = ["--images", &self.images().to_string(), "--seed", &seed.to_string()];
        let mut arguments: Vec<String> = numbers.map(str::to_owned).into();
        arguments.extend(self.json.then(|| "--json".to_owned()));
        arguments
    }
}

/// Runs the power cuts, unless this machine cannot.
pub(crate) fn run(args: &Args) -> Done {
    let tools = ["unshare", "mount", "umount", "losetup", "mkfs.ext4", "mkfs.xfs", "mkfs.btrfs"];
    if let Some(why) = lacking(&tools) {
        println!("skipped: power: {why}");
        return Ok(());
    }
    // No package helps a kernel without FUSE, so this is not among the skipped, which fail CI.
    if let Some(why) = no_fuse() {
        println!("not run: power: {why}");
        return Ok(());
    }
    let place = Place { task: "power", seed: args.seed, inside: args.inside.as_deref() };
    place.run(|seed| args.arguments(seed), |name, seed| inside(args, name, seed))
}

/// Changes files until the process is killed.
pub(crate) fn neighbor(args: &NeighborArgs) -> Done {
    Ok(neighbor::run(args)?)
}

/// Returns why this machine cannot serve a file, if it cannot.
fn no_fuse() -> Option<String> {
    let _ = Command::new("modprobe").arg("fuse").stderr(Stdio::null()).status();
    let opened = File::options().read(true).write(true).open("/dev/fuse");
    opened.err().map(|err| format!("/dev/fuse: {err}"))
}

fn inside(args: &Args, name: &str, seed: u64) -> Fallible<()> {
    let folder = root().join("target").join("power");
    std::fs::create_dir_all(&folder)?;
    run_program("mount", &["-t", "tmpfs", name, &folder.to_string_lossy()])?;
    let report = run_all(args, &folder, name, seed)?;
    run_program("umount", &[&folder.to_string_lossy()])?;
    if args.json {
        println!("{}", report.as_json());
    } else {
        report.print();
    }
    if report.passed() {
        Ok(())
    } else {
        Err("a promise is broken, a filesystem failed, or a mutant was not caught".into())
    }
}

fn run_all(args: &Args, folder: &Path, name: &str, seed: u64) -> Fallible<Report> {
    let mut known = Platform::ALL.to_vec();
    known.retain(|platform| {
        let unknown = platform.needs().iter().find(|fs| !kernel_knows(fs));
        if let Some(fs) = unknown {
            println!("skipped: power: {}: this kernel has no {fs}", platform.name());
        }
        unknown.is_none()
    });
    let images = args.images();
    let bar = bar(images * known.len() as u64, "of the images");
    let on_image = |lane: &Lane| {
        if !lane.must_fail {
            bar.inc(1);
        }
    };
    let run = |lanes: Vec<Lane>| -> Fallible<Vec<(Lane, Figures)>> {
        let run = |lane: Lane| {
            let figures = lane.run(folder, name, seed, || on_image(&lane));
            let figures = figures.map_err(|err| format!("{}: {err}", lane.platform.name()))?;
            Ok((lane, figures))
        };
        lanes.into_iter().map(run).collect()
    };
    // Filesystem by filesystem, side by side.
    let lanes = side_by_side(known, |platform| run(lanes_of(platform, images)))?;
    let mut lanes: Vec<_> = lanes.into_iter().flatten().collect();
    lanes.sort_by_key(|(lane, _)| lane.must_fail);
    bar.finish_and_clear();
    Ok(Report { seed, lanes })
}

fn lanes_of(platform: Platform, images: u64) -> Vec<Lane> {
    let real =
        Lane { platform, kinds: StoreKind::ALL.to_vec(), mutant: None, images, must_fail: false };
    let trial = Lane { images: TRIAL, must_fail: true, ..real.clone() };
    let mutants = TRIALS.iter().map(|(mutant, kinds)| Lane {
        kinds: kinds.to_vec(),
        mutant: Some(*mutant),
        ..trial.clone()
    });
    let mut lanes: Vec<Lane> = [real].into_iter().chain(mutants).collect();
    if platform == Platform::Overlay {
        lanes.push(Lane { platform: Platform::Volatile, ..trial });
    }
    lanes
}
