//! The tables of docs/benchmarks.md: each figure and its goal.

use crate::command::Fallible;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::medians::{medians, spread};
use super::rows::{Goal, Row, rows};

/// The page before the plots.
pub(super) fn report(criterion: &Path, figures: &[Value]) -> Fallible<String> {
    let mut out = format!(
        "# Benchmarks\n\n\
         From `cargo xtask bench` on {}, {}. Every ratio is from one run of criterion, in which \
         the contenders alternate over several rounds. The table gives the median ratio over the \
         rounds, and the lowest and highest. \"The baseline\" is a `HashMap` of \
         `Arc<AtomicU64>` (`benches/src/baseline.rs`).\n\n\
         | work | goal | ratio | rounds | ours | peer | met |\n\
         | --- | --- | --- | --- | --- | --- | --- |\n",
        output("date", &["-u", "+%Y-%m-%d"])?,
        machine(),
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
    for figure in figures {
        writeln!(
            out,
            "{}",
            figure_row(figure).ok_or_else(|| format!("unknown figure: {figure}"))?
        )?;
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

fn figure_row(figure: &Value) -> Option<String> {
    if let Some(waiters) = figure["waiters"].as_u64() {
        return waiters_row(figure, waiters);
    }
    if let Some(capacity) = figure["window_capacity"].as_u64() {
        return window_row(figure, capacity);
    }
    let shards = figure["shards"].as_u64()?;
    if let Some(bytes) = figure["bytes_a_shard"].as_u64() {
        let met = if bytes <= 160 { "yes" } else { "no" };
        return Some(format!(
            "| memory of a `ReplicationState` of {shards} shards (dhat) | at most 160 bytes per \
             shard | {bytes} bytes per shard | {met} |"
        ));
    }
    if let Some(bytes) = figure["bytes_a_waited_shard"].as_u64() {
        return waited_shards_row(figure, shards, bytes);
    }
    let (codec, percent) = (figure["codec"].as_str()?, figure["percent_of_a_core"].as_f64()?);
    let saves = figure["saves_a_second"].as_f64()?;
    let goal = if shards <= 1024 { 1.0 } else { 10.0 };
    let met = if percent <= goal { "yes" } else { "no" };
    Some(format!(
        "| CPU time of background checkpoints of {shards} shards, {codec}, {saves:.1} per second, \
         all marks moving | at most {goal} % of a core | {percent:.2} % | {met} |"
    ))
}

fn waiters_row(figure: &Value, waiters: u64) -> Option<String> {
    let (bytes, left) = (figure["bytes_a_waiter"].as_u64()?, figure["bytes_left"].as_u64()?);
    let met = if bytes < 200 && left <= 4096 { "yes" } else { "no" };
    Some(format!(
        "| memory of {waiters} waiters on one shard, each a future and its queue entry (dhat) | \
         under 200 bytes per waiter; after dropping them, at most 4096 bytes more than before | \
         {bytes} bytes per waiter; {left} bytes | {met} |"
    ))
}

fn waited_shards_row(figure: &Value, shards: u64, bytes: u64) -> Option<String> {
    let left = |name: &str| figure[name].as_u64();
    let (waiters, close) = (left("left_after_waiters")?, left("left_after_close")?);
    let met = if waiters.max(close) < 4 * shards { "yes" } else { "no" };
    Some(format!(
        "| memory of one waiter on each of {shards} shards, a future and its queue (dhat) | after \
         they are gone, and after `close`, under 4 bytes per shard more than before | {bytes} bytes \
         per waiter; {waiters} bytes and {close} bytes in all | {met} |"
    ))
}

fn window_row(figure: &Value, capacity: u64) -> Option<String> {
    let (bytes, idle) = (figure["bytes_in_flight"].as_u64()?, figure["bytes_idle"].as_u64()?);
    let met = if bytes <= 2048 && idle <= 1024 { "yes" } else { "no" };
    Some(format!(
        "| memory of a window of a capacity of {capacity}, through which 2 million seqnos go, 10 in \
         flight at a time (dhat) | at most 2048 bytes; idle again after up to 100,000 in flight, \
         at most 1024 bytes | {bytes} bytes; {idle} bytes | {met} |"
    ))
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

/// A description of this machine.
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

    #[test]
    fn waiters_must_be_small_and_leave_little_memory_behind() {
        let is_met = |bytes, left| {
            let figure = serde_json::json!(
                { "waiters": 9, "bytes_a_waiter": bytes, "bytes_left": left }
            );
            figure_row(&figure).unwrap().ends_with("| yes |")
        };
        assert!(is_met(199, 4096) && !is_met(200, 0) && !is_met(1, 4097));
        assert_eq!(figure_row(&serde_json::json!({ "waiters": 9 })), None);
    }

    #[test]
    fn shards_that_were_waited_on_must_leave_little_memory_behind() {
        let is_met = |waiters, close| {
            let figure = serde_json::json!({
                "shards": 10, "bytes_a_waited_shard": 9,
                "left_after_waiters": waiters, "left_after_close": close
            });
            figure_row(&figure).unwrap().ends_with("| yes |")
        };
        assert!(is_met(39, 39) && !is_met(40, 0) && !is_met(0, 40));
    }

    #[test]
    fn a_window_must_be_small_in_use_and_smaller_when_idle() {
        let is_met = |bytes, idle| {
            let figure = serde_json::json!(
                { "window_capacity": 9, "bytes_in_flight": bytes, "bytes_idle": idle }
            );
            figure_row(&figure).unwrap().ends_with("| yes |")
        };
        assert!(is_met(2048, 1024) && !is_met(2049, 0) && !is_met(0, 1025));
        assert_eq!(figure_row(&serde_json::json!({ "window_capacity": 9 })), None);
    }
}
