//! The tables of docs/benchmarks.md: each figure and its goal.

use crate::command::Fallible;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::figures;
use super::medians::{medians, spread};
use super::rows::{Goal, Row, rows};

/// The page before the plots.
pub(super) fn report(criterion: &Path, figures: &[Value]) -> Fallible<String> {
    let mut out = format!(
        "# Benchmarks\n\n\
         From `cargo xtask bench` {}. Every ratio is from one run of criterion, in which \
         the contenders alternate over several rounds. The table gives the median ratio over the \
         rounds, and the lowest and highest. \"The baseline\" is a `HashMap` of \
         `Arc<AtomicU64>` (`benches/src/baseline.rs`).\n\n\
         | work | goal | ratio | rounds | ours | peer | met |\n\
         | --- | --- | --- | --- | --- | --- | --- |\n",
        measured()?,
    );
    for row in rows() {
        writeln!(out, "{}", work_row(criterion, row)?)?;
    }
    out.push_str(
        "\nTimes are per operation. With two threads, they are for one operation of each. Waiters \
         are tasks of a small executor, the same for every contender (`benches/src/tasks.rs`). \
         The time includes the advance, the wakers that it calls, and each poll of a woken task. \
         Threads that block or complete out of order are pinned to cores. Peers built from other \
         crates are in `benches/src/peers.rs`.\n\n\
         | figure | goal | measured | met |\n| --- | --- | --- | --- |\n",
    );
    for row in figures::rows(figures)? {
        writeln!(out, "{row}")?;
    }
    Ok(out)
}

fn work_row(criterion: &Path, row: &Row) -> Fallible<String> {
    let ours = medians(criterion, row.group, "ours")?;
    let peer = medians(criterion, row.group, row.peer)?;
    let invert = matches!(row.goal, Goal::Faster(_) | Goal::None);
    let ratio = |(round, ours): (&u32, &f64)| {
        let ratio = ours / peer.get(round)?;
        Some(if invert { ratio.recip() } else { ratio })
    };
    let ratios: Vec<f64> = ours.iter().filter_map(ratio).collect();
    let (ratio, low, high) = spread(ratios).ok_or("no rounds were measured")?;
    let added = |(round, ours): (&u32, &f64)| Some((ours - peer.get(round)?) / 1e3);
    let (added, ..) = spread(ours.iter().filter_map(added).collect()).ok_or("no rounds")?;
    let yes_or_no = |met| if met { "yes" } else { "no" };
    let (goal, met) = match row.goal {
        Goal::AtMost(goal) => (format!("at most {goal}"), yes_or_no(ratio <= goal)),
        Goal::Adds(goal) => (
            format!("at most {goal} us more"),
            yes_or_no(added <= goal * f64::from(row.operations)),
        ),
        Goal::Takes(goal) => {
            let (taken, ..) = spread(ours.values().copied().collect()).ok_or("no rounds")?;
            let met = taken / 1e3 <= goal * f64::from(row.operations);
            (format!("at most {goal} us"), yes_or_no(met))
        }
        Goal::Faster(1.0) => ("faster".to_owned(), yes_or_no(ratio > 1.0)),
        Goal::Faster(goal) => (format!("at least {goal} times faster"), yes_or_no(ratio >= goal)),
        Goal::None => ("none: times faster".to_owned(), "-"),
    };
    Ok(format!(
        "| {} | {goal} | {} | {} to {} | {} | {} | {met} |",
        row.work,
        times(ratio),
        times(low),
        times(high),
        time(&ours, row.operations),
        time(&peer, row.operations),
    ))
}

/// A ratio with its significant digits.
fn times(ratio: f64) -> String {
    if ratio < 100.0 { format!("{ratio:.2}") } else { format!("{ratio:.0}") }
}

fn time(medians: &BTreeMap<u32, f64>, operations: u32) -> String {
    let Some((nanoseconds, ..)) = spread(medians.values().copied().collect()) else {
        return "-".to_owned();
    };
    match nanoseconds / f64::from(operations) {
        ns if ns < 1e4 => format!("{ns:.1} ns"),
        ns if ns < 1e7 => format!("{:.0} us", ns / 1e3),
        ns => format!("{:.1} ms", ns / 1e6),
    }
}

/// The day and a description of this machine.
pub(super) fn measured() -> Fallible<String> {
    Ok(format!("on {}, {}", output("date", &["-u", "+%Y-%m-%d"])?, machine()))
}

fn machine() -> String {
    let field = |file: &str, name: &str| {
        let text = fs::read_to_string(file).ok()?;
        let line = text.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let cpu = field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown CPU".to_owned());
    let memory = field("/proc/meminfo", "MemTotal").unwrap_or_else(|| "unknown".to_owned());
    let rustc = output("rustc", &["--version"]).unwrap_or_default();
    format!("{cores} cores of {cpu}, {memory} of memory, {rustc}")
}

fn output(program: &str, arguments: &[&str]) -> Fallible<String> {
    let output = Command::new(program).args(arguments).output()?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::medians::tests::put;
    use super::*;

    fn row(goal: Goal) -> Row {
        Row { work: "advance", group: "advance", peer: "peer", operations: 2, goal }
    }

    #[test]
    fn a_row_gives_the_median_of_the_ratios_and_whether_it_meets_the_goal() {
        let dir = tempfile::tempdir().unwrap();
        for (round, nanoseconds) in [("0", 30.0), ("1", 20.0), ("2", 10.0)] {
            put(dir.path(), "advance", &format!("ours_{round}"), nanoseconds);
            put(dir.path(), "advance", &format!("peer_{round}"), 40.0);
        }
        let of = |goal| work_row(dir.path(), &row(goal)).unwrap();
        assert_eq!(
            of(Goal::AtMost(0.4)),
            "| advance | at most 0.4 | 0.50 | 0.25 to 0.75 | 10.0 ns | 20.0 ns | no |"
        );
        assert!(of(Goal::AtMost(0.5)).ends_with("| yes |"));
        // Two operations in 10 to 30 ns, and in 40 ns for the peer.
        assert!(of(Goal::Adds(-0.01)).contains("| at most -0.01 us more | 0.50 |"));
        assert!(of(Goal::Adds(-0.01)).ends_with("| yes |"));
        assert!(of(Goal::Adds(-0.011)).ends_with("| no |"));
        assert!(of(Goal::Takes(0.01)).contains("| at most 0.01 us | 0.50 |"));
        assert!(of(Goal::Takes(0.01)).ends_with("| yes |"));
        assert!(of(Goal::Takes(0.009)).ends_with("| no |"));
        assert!(of(Goal::Faster(2.0)).contains("| 2.00 | 1.33 to 4.00 |"));
        assert!(of(Goal::Faster(2.5)).ends_with("| no |"));
        assert!(of(Goal::Faster(1.0)).starts_with("| advance | faster | 2.00 |"));
        assert!(of(Goal::None).contains("| none: times faster | 2.00 |"));
        assert!(of(Goal::None).ends_with("| - |"));
    }
}
