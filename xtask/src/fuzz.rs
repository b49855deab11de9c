//! Runs the fuzz targets, as many at once as there are cores.

use std::collections::VecDeque;
use std::fs;
use std::num::NonZero;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::command::{Done, Fallible, at, nightly, root};

/// The targets, and how long each runs.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The number of seconds that each target runs
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Run only these targets, by name
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
}

/// Returns what is missing for fuzzing, and how to install it.
fn missing() -> Option<&'static str> {
    if !nightly("rustc", &["--version"]).succeeds() {
        return Some("no nightly toolchain: rustup toolchain install nightly --profile minimal");
    }
    let found = nightly("cargo", &["fuzz", "--version"]).succeeds();
    (!found).then_some("no cargo-fuzz: cargo install --locked cargo-fuzz")
}

/// The folder of builds, new inputs and failing inputs. The committed corpus is only read.
const FOLDER: &str = "target/fuzz";

/// Builds the targets and runs them, with a progress bar where there is a terminal.
pub(crate) fn run(args: &Args) -> Done {
    if let Some(why) = missing() {
        println!("skipped: fuzz: {why}");
        return Ok(());
    }
    let mut targets = all()?;
    if let Some(unknown) = args.targets.iter().find(|name| !targets.contains(name)) {
        return Err(format!("no target {unknown:?}: there are {}", targets.join(", ")).into());
    }
    if targets.is_empty() {
        return Err("there are no targets in fuzz/fuzz_targets".into());
    }
    targets.retain(|name| args.targets.is_empty() || args.targets.contains(name));
    // No unsafe code is fuzzed: a sanitizer would find nothing, and take twice the time.
    let build = ["fuzz", "build", "--sanitizer", "none", "--target-dir", FOLDER];
    nightly("cargo", &build).run()?;
    let programs = PathBuf::from(FOLDER).join(host()?).join("release");
    let bars = MultiProgress::new();
    let mut reports = Vec::new();
    for targets in targets.chunks(thread::available_parallelism().map_or(1, NonZero::get)) {
        let fuzz = |target| fuzz(&programs, target, args.seconds, &bars);
        let ended: Fallible<Vec<Report>> = thread::scope(|scope| {
            let started: Vec<_> = targets.iter().map(|t| scope.spawn(move || fuzz(t))).collect();
            let joined = |t: ScopedJoinHandle<'_, _>| t.join().unwrap_or_else(|p| resume_unwind(p));
            started.into_iter().map(joined).collect()
        });
        for report in ended? {
            if !args.json {
                report.print();
            }
            reports.push(report);
        }
    }
    if args.json {
        println!("{}", reports.iter().map(Report::as_json).collect::<Value>());
    }
    match reports.iter().filter(|report| report.failure.is_some()).count() {
        0 => Ok(()),
        failed => Err(format!("targets that failed: {failed}").into()),
    }
}

/// Lists the names of all targets.
fn all() -> Result<Vec<String>, std::io::Error> {
    let files = fs::read_dir(root().join("fuzz/fuzz_targets"))?;
    let paths = files.map(|file| file.map(|file| file.path())).collect::<Result<Vec<_>, _>>()?;
    let name = |path: &PathBuf| Some(path.file_stem()?.to_str()?.to_owned());
    let mut names: Vec<String> = paths.iter().filter_map(name).collect();
    names.sort_unstable();
    Ok(names)
}

/// Returns the platform that the nightly toolchain builds for.
fn host() -> Fallible<String> {
    let version = nightly("rustc", &["--version", "--verbose"]).output()?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.ok_or("rustc does not name its host")?.to_owned())
}

/// The result of one target.
struct Report {
    target: String,
    seen: Seen,
    elapsed: Duration,
    failure: Option<Failure>,
}

/// The numbers of a status line of libFuzzer.
#[derive(Default, Clone, Copy)]
struct Seen {
    executions: u64,
    coverage: u64,
    features: u64,
    inputs: u64,
}

struct Failure {
    /// The input that fails, if it was kept.
    input: Option<String>,
    /// The last lines of the output.
    output: VecDeque<String>,
}

fn fuzz(programs: &Path, target: &str, seconds: u64, bars: &MultiProgress) -> Fallible<Report> {
    let found = format!("{FOLDER}/found/{target}");
    let failing = format!("{FOLDER}/failing/{target}/");
    let committed = format!("fuzz/corpus/{target}");
    for folder in [&found, &failing] {
        fs::create_dir_all(root().join(folder))?;
    }
    let limit = format!("-max_total_time={seconds}");
    let prefix = format!("-artifact_prefix={failing}");
    // New inputs go into the first folder.
    let arguments = [&*limit, "-timeout=10", "-rss_limit_mb=1024", &*prefix, &*found, &*committed];
    let style = ProgressStyle::with_template("{wide_bar} {percent:>3} % {msg}")?;
    let bar = bars.add(ProgressBar::new(seconds).with_style(style));
    let started = Instant::now();
    let mut seen = Seen::default();
    let mut input = None;
    let mut output = VecDeque::new();
    let result = at(&programs.join(target), &arguments).run_watching(|line| {
        if let Some(status) = Seen::of(line) {
            seen = status;
            bar.set_position(started.elapsed().as_secs());
            bar.set_message(format!("{target}: {} executions", seen.executions));
            return;
        }
        let kept = line.split_once("Test unit written to ").map(|(_, path)| path.trim().to_owned());
        input = kept.or(input.take());
        output.push_back(line.to_owned());
        if output.len() > 60 {
            output.pop_front();
        }
    });
    bar.finish_and_clear();
    let failed = result.is_err() || seen.is_nothing();
    let failure = failed.then_some(Failure { input, output });
    Ok(Report { target: target.to_owned(), seen, elapsed: started.elapsed(), failure })
}

impl Seen {
    /// Whether nothing was tried, or no status line was understood: the target has not passed.
    fn is_nothing(self) -> bool {
        self.executions == 0
    }

    /// Reads `#2048 NEW    cov: 644 ft: 1788 corp: 331/116Kb lim: ...`.
    fn of(line: &str) -> Option<Self> {
        let mut words = line.strip_prefix('#')?.split_whitespace();
        let mut seen = Seen { executions: words.next()?.parse().ok()?, ..Seen::default() };
        while let Some(word) = words.next() {
            let number = match word {
                "cov:" => &mut seen.coverage,
                "ft:" => &mut seen.features,
                "corp:" => &mut seen.inputs,
                _ => continue,
            };
            *number = words.next()?.split('/').next()?.parse().ok()?;
        }
        (seen.coverage > 0).then_some(seen)
    }
}

impl Report {
    fn a_second(&self) -> u64 {
        self.seen.executions / self.elapsed.as_secs().max(1)
    }

    fn print(&self) {
        let Seen { executions, coverage, features, inputs } = self.seen;
        println!(
            "{:<10} {executions:>9} executions, {:>6}/s; coverage {coverage}, features {features}; \
             corpus {inputs}; {}",
            self.target,
            self.a_second(),
            if self.failure.is_some() { "FAILED" } else { "no crash" },
        );
        let Some(failure) = &self.failure else { return };
        for line in &failure.output {
            println!("  {line}");
        }
        if let Some(input) = &failure.input {
            println!("input: {input}");
            println!("reproduce: {}", self.reproduce(input));
        }
    }

    /// Returns the command that runs the target on one input.
    fn reproduce(&self, input: &str) -> String {
        let target = &self.target;
        format!("cargo +nightly fuzz run --sanitizer none --target-dir {FOLDER} {target} {input}")
    }

    fn as_json(&self) -> Value {
        let Seen { executions, coverage, features, inputs } = self.seen;
        let input = self.failure.as_ref().and_then(|failure| failure.input.as_deref());
        json!({
            "target": self.target,
            "executions": executions,
            "executions_a_second": self.a_second(),
            "coverage": coverage,
            "features": features,
            "corpus": inputs,
            "seconds": self.elapsed.as_secs_f64(),
            "passed": self.failure.is_none(),
            "input": input,
            "reproduce": input.map(|input| self.reproduce(input)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_line_is_parsed_and_another_line_is_not() {
        let line = "#1436715\tDONE   cov: 644 ft: 1788 corp: 331/116Kb lim: 4096 exec/s: 110516";
        let seen = Seen::of(line).unwrap();
        let Seen { executions, coverage, features, inputs } = seen;
        assert_eq!((executions, coverage, features, inputs), (1_436_715, 644, 1788, 331));
        assert!(Seen::of("#7 0x55 in main").is_none());
        assert!(Seen::of("INFO: cov: 3").is_none());
        assert!(!seen.is_nothing() && Seen::default().is_nothing());
    }
}
