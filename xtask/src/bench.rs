//! Runs the benches and writes docs/benchmarks.md, docs/scale.md and the plots that they show.

mod axis;
mod draw;
mod figures;
mod medians;
mod plots;
mod report;
mod rows;
mod scale;

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::command::{Done, Fallible, cargo, root};

/// The programs that print figures. Those of docs/scale.md come first.
const FIGURES: [&str; 9] = [
    "memory",
    "scale",
    "rest",
    "waiters",
    "waited_shards",
    "windows",
    "deltas",
    "recovery",
    "background",
];
const FIGURES_OF_SCALE: usize = 3;

/// What to measure.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Write the report of the last run without measuring
    #[arg(long)]
    report_only: bool,
    /// Measure and write docs/scale.md alone
    #[arg(long)]
    scale: bool,
}

/// Measures, unless `report_only` is set, and writes the pages.
pub(crate) fn run(args: &Args) -> Done {
    let target = std::env::var_os("CARGO_TARGET_DIR");
    let target = target.map_or_else(|| root().join("target"), |dir| root().join(dir));
    let (criterion, lines) = (target.join("criterion"), target.join("figures"));
    let programs = if args.scale { &FIGURES[..FIGURES_OF_SCALE] } else { &FIGURES[..] };
    if !args.report_only {
        measure(args.scale, &criterion)?;
        fs::create_dir_all(&lines)?;
        for program in programs {
            let arguments = ["--locked", "--release", "-p", "benches", "--bin", program];
            let figures = cargo("run", &arguments).output()?;
            fs::write(lines.join(program), figures)?;
        }
    }
    let mut figures = Vec::new();
    for program in programs {
        figures.extend(read(&lines.join(program))?);
    }
    let docs = root().join("docs");
    let mut drawn = scale::drawn(&criterion, &figures)?;
    write(&docs.join("scale.md"), &scale::page(&figures)?)?;
    if !args.scale {
        let page = report::report(&criterion, &figures)? + &plots::section();
        print!("{page}");
        write(&docs.join("benchmarks.md"), &page)?;
        drawn.extend(plots::drawn(plots::PLOTS, &criterion, &figures)?);
    }
    fs::create_dir_all(docs.join(plots::FOLDER))?;
    for (file, svg) in drawn {
        write(&docs.join(plots::FOLDER).join(file), &svg)?;
    }
    Ok(())
}

/// Runs the benches of criterion.
fn measure(scale: bool, criterion: &Path) -> Done {
    if scale {
        return cargo("bench", &["--locked", "-p", "benches", "--bench", "scale"]).run();
    }
    if criterion.exists() {
        fs::remove_dir_all(criterion)?;
    }
    cargo("bench", &["--locked", "-p", "benches"]).run()
}

/// The figures that a program printed.
fn read(lines: &Path) -> Fallible<Vec<Value>> {
    let text = fs::read_to_string(lines)
        .map_err(|err| format!("{}: {err}: run without --report-only first", lines.display()))?;
    Ok(text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?)
}

fn write(path: &Path, contents: &str) -> Done {
    fs::write(path, contents).map_err(|err| format!("{}: {err}", path.display()))?;
    println!("written to {}", path.display());
    Ok(())
}
