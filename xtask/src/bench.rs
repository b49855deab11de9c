//! Runs the benches and writes docs/benchmarks.md and the plots that it shows.

mod axis;
mod draw;
mod medians;
mod plots;
mod report;
mod rows;

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::command::{Done, cargo, root};

/// What to measure.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Write the report of the last run without measuring
    #[arg(long)]
    report_only: bool,
}

/// Measures, unless `report_only` is set, and writes the report.
pub(crate) fn run(args: &Args) -> Done {
    let target = std::env::var_os("CARGO_TARGET_DIR");
    let target = target.map_or_else(|| root().join("target"), |dir| root().join(dir));
    let (criterion, lines) = (target.join("criterion"), target.join("figures.json"));
    if !args.report_only {
        if criterion.exists() {
            fs::remove_dir_all(&criterion)?;
        }
        cargo("bench", &["--locked", "-p", "benches"]).run()?;
        let mut figures = String::new();
        for figure in ["memory", "waiters", "waited_shards", "windows", "background"] {
            let arguments = ["--locked", "--release", "-p", "benches", "--bin", figure];
            figures += &cargo("run", &arguments).output()?;
        }
        fs::write(&lines, figures)?;
    }
    let figures: Vec<Value> = fs::read_to_string(&lines)
        .map_err(|err| format!("{}: {err}: run without --report-only first", lines.display()))?
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    let page = report::report(&criterion, &figures)? + &plots::section();
    let drawn = plots::drawn(&criterion)?;
    print!("{page}");
    let docs = root().join("docs");
    write(&docs.join("benchmarks.md"), &page)?;
    fs::create_dir_all(docs.join(plots::FOLDER))?;
    for (file, svg) in drawn {
        write(&docs.join(plots::FOLDER).join(file), &svg)?;
    }
    Ok(())
}

fn write(path: &Path, contents: &str) -> Done {
    fs::write(path, contents).map_err(|err| format!("{}: {err}", path.display()))?;
    println!("written to {}", path.display());
    Ok(())
}
