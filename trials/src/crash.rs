//! Runs the crash suite from the command line.

use std::thread::available_parallelism;

use repl_harness::crash::{
    Config, MatrixReport, RandomReport, Stage, StoreKind, StoreReport, SuiteReport, Trial, matrix,
    random, suite,
};
use serde_json::{Value, json};

use crate::bar::bar;
use crate::done::Done;

/// The bounds of the enumeration.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Widen the bounds by one crash, one failing call and one sector; takes hours
    #[arg(long)]
    soak: bool,
    /// Run random chains of crashes from this seed instead, with up to 30 shards
    #[arg(long)]
    seed: Option<u64>,
    /// The number of random chains
    #[arg(long, default_value_t = 2000)]
    chains: u64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs the suite, with a progress bar where there is a terminal.
pub(crate) fn run(args: &Args) -> Done {
    if let Some(seed) = args.seed {
        return run_random(seed, args);
    }
    let threads = available_parallelism().map_or(1, usize::from);
    let bounds = Config { threads, ..Config::default() };
    let wider = Config { shards: 38, crashes: 4, faults: 2, ..bounds };
    let bounds = if args.soak { wider } else { bounds };
    let bar = bar(0, "");
    let report = suite(&bounds, |what, progress| {
        bar.set_length(progress.of as u64);
        bar.set_position(progress.done as u64);
        let (crashes, distinct) = (progress.crashes, progress.distinct);
        bar.set_message(format!("{what}, after {crashes} crashes: {distinct} distinct images"));
    });
    bar.finish_and_clear();
    let faults = matrix();
    if args.json {
        println!("{}", as_json(&bounds, &report, &faults));
    } else {
        print(&bounds, &report);
        println!("faults: {faults}");
    }
    if report.passed() && faults.failing.is_empty() {
        Ok(())
    } else {
        Err("a promise is broken, or a mutant not caught".into())
    }
}

fn run_random(seed: u64, args: &Args) -> Done {
    let reports: Vec<_> =
        StoreKind::ALL.iter().map(|store| random(*store, seed, args.chains, None)).collect();
    if args.json {
        let of = |report: &RandomReport| {
            json!({
                "store": report.store.to_string(),
                "seed": seed,
                "chains": report.chains,
                "processes": report.processes,
                "seconds": report.elapsed.as_secs_f64(),
                "violation": report.violation.as_ref().map(ToString::to_string),
            })
        };
        println!("{}", json!({ "stores": reports.iter().map(of).collect::<Vec<_>>() }));
    } else {
        for report in &reports {
            println!("crash: {report}");
        }
    }
    let broken = reports.iter().any(|report| report.violation.is_some());
    if broken { Err("a promise is broken".into()) } else { Ok(()) }
}

fn print(bounds: &Config, report: &SuiteReport) {
    let Config { saves, shards, crashes, faults, threads, .. } = bounds;
    println!(
        "crash: saves: {saves}, shards: {shards}, crashes: {crashes}, failing calls: {faults}, \
         threads: {threads}"
    );
    for StoreReport { store, crashes, deltas, lengths, damage, replaced } in &report.stores {
        println!("{store}: crashes: {crashes}");
        if deltas.processes > 0 {
            println!("{store}: deltas: {deltas}");
        }
        println!("{store}: lengths: {lengths}");
        println!("{store}: damage: {damage}");
        println!("{store}: files replaced: {replaced}");
    }
    for trial in &report.mutants {
        let caught = match &trial.caught {
            Some((stage, violation)) => format!("{} ({})", violation.invariant, at(*stage)),
            None => "NOT CAUGHT".to_owned(),
        };
        println!("{}: mutant: {}: {caught}", trial.store, trial.mutant.about());
    }
    let caught = report.mutants.iter().filter(|trial| trial.caught.is_some()).count();
    let (of, seconds) = (report.mutants.len(), report.elapsed.as_secs_f64());
    println!("{caught} of {of} mutants caught; {seconds:.1} s in all");
}

fn at(stage: Stage) -> String {
    match stage {
        Stage::Crashes { crashes, faults } => {
            format!("crashes: {crashes}, failing calls: {faults}")
        }
        Stage::Deltas { crashes, faults } => {
            format!("deltas, crashes: {crashes}, failing calls: {faults}")
        }
        Stage::Lengths => "lengths".to_owned(),
        Stage::Damage => "damage".to_owned(),
        Stage::Replaced => "files replaced".to_owned(),
    }
}

fn as_json(bounds: &Config, report: &SuiteReport, faults: &MatrixReport) -> Value {
    let failing: Vec<String> = faults
        .failing
        .iter()
        .map(|failing| format!("{}: {}", failing.case, failing.what))
        .collect();
    json!({
        "saves": bounds.saves,
        "shards": bounds.shards,
        "crashes": bounds.crashes,
        "faults": bounds.faults,
        "stores": report.stores.iter().map(store_as_json).collect::<Vec<_>>(),
        "failing_calls": faults.cases,
        "failing_calls_images": faults.images,
        "failing_calls_that_broke": failing,
        "mutants": report.mutants.iter().map(trial_as_json).collect::<Vec<_>>(),
        "seconds": report.elapsed.as_secs_f64(),
        "passed": report.passed() && faults.failing.is_empty(),
    })
}

fn store_as_json(report: &StoreReport) -> Value {
    let StoreReport { store, crashes, deltas, lengths, damage, replaced } = report;
    let violations = [
        &crashes.violation,
        &deltas.violation,
        &lengths.violation,
        &damage.violation,
        &replaced.violation,
    ];
    let violations: Vec<_> = violations.into_iter().flatten().map(ToString::to_string).collect();
    json!({
        "store": store.to_string(),
        "images": crashes.images,
        "distinct_images": crashes.distinct,
        "crash_points": crashes.crash_points,
        "processes": crashes.processes,
        "not_enumerated": crashes.not_enumerated,
        "seconds": crashes.elapsed.as_secs_f64(),
        "deltas": deltas.deltas,
        "deltas_images": deltas.images,
        "deltas_distinct_images": deltas.distinct,
        "deltas_crash_points": deltas.crash_points,
        "deltas_processes": deltas.processes,
        "deltas_seconds": deltas.elapsed.as_secs_f64(),
        "lengths_images": lengths.images,
        "lengths_distinct_images": lengths.distinct,
        "lengths_processes": lengths.processes,
        "lengths_seconds": lengths.elapsed.as_secs_f64(),
        "damaged_disks": damage.images,
        "damage_seconds": damage.elapsed.as_secs_f64(),
        "files_replaced": replaced.cases,
        "violations": violations,
    })
}

fn trial_as_json(trial: &Trial) -> Value {
    let caught = trial.caught.as_ref();
    json!({
        "store": trial.store.to_string(),
        "mutant": format!("{:?}", trial.mutant),
        "about": trial.mutant.about(),
        "caught_by": caught.map(|(_, violation)| violation.invariant.to_string()),
        "within": caught.map(|(stage, _)| at(*stage)),
        "seconds": trial.elapsed.as_secs_f64(),
    })
}
