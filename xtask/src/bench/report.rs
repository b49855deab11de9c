//! The tables of docs/benchmarks.md: each figure beside the bar that was set for it.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::medians::{medians, spread};
use super::rows::{Bar, ROWS, Row};

/// The page, up to its plots.
pub(super) fn report(criterion: &Path, figures: &[Value]) -> Result<String, Box<dyn Error>> {
    let mut out = format!(
        "# Benchmarks\n\n\
         From `cargo xtask bench` on {}, {}. Every ratio is taken within one run of criterion, the \
         contenders in turn over several rounds; given are the median over the rounds, and the \
         lowest and highest round. \"The seed\" is the design that this project grew from \
         (`benches/src/seed.rs`).\n\n\
         | work | bar | ratio | rounds | ours | peer | reached |\n\
         | --- | --- | --- | --- | --- | --- | --- |\n",
        output("date", &["-u", "+%Y-%m-%d"])?,
        machine(),
    );
    for row in ROWS {
        writeln!(out, "{}", work_row(criterion, row)?)?;
    }
    out.push_str(
        "\nTimes are of one operation; with two threads, of one operation of each. Who waits is a \
         task of one small executor, the same for every contender (`benches/src/tasks.rs`): what is \
         timed is the advance, the wakers that it calls, and each poll of a task that was woken. \
         Threads that block, or complete out of order, are pinned to cores. The peers that \
         had to be put together are in `benches/src/peers.rs`.\n\n\
         | figure | bar | measured | reached |\n| --- | --- | --- | --- |\n",
    );
    for figure in figures {
        writeln!(out, "{}", figure_row(figure).ok_or_else(|| format!("unexpected: {figure}"))?)?;
    }
    Ok(out)
}

fn work_row(criterion: &Path, row: &Row) -> Result<String, Box<dyn Error>> {
    let ours = medians(criterion, row.group, "ours")?;
    let peer = medians(criterion, row.group, row.peer)?;
    let invert = !matches!(row.bar, Bar::AtMost(_));
    let ratio = |(round, ours): (&u32, &f64)| {
        let ratio = ours / peer.get(round)?;
        Some(if invert { ratio.recip() } else { ratio })
    };
    let ratios: Vec<f64> = ours.iter().filter_map(ratio).collect();
    let (ratio, low, high) = spread(ratios).ok_or("no rounds were measured")?;
    let yes_or_no = |reached| if reached { "yes" } else { "no" };
    let (bar, reached) = match row.bar {
        Bar::AtMost(bar) => (format!("at most {bar}"), yes_or_no(ratio <= bar)),
        Bar::Faster(1.0) => ("faster".to_owned(), yes_or_no(ratio > 1.0)),
        Bar::Faster(bar) => (format!("at least {bar} times faster"), yes_or_no(ratio >= bar)),
        Bar::None => ("none: times faster".to_owned(), "-"),
    };
    Ok(format!(
        "| {} | {bar} | {} | {} to {} | {} | {} | {reached} |",
        row.work,
        times(ratio),
        times(low),
        times(high),
        time(&ours, row.operations),
        time(&peer, row.operations),
    ))
}

/// A ratio to as many digits as say something.
fn times(ratio: f64) -> String {
    if ratio < 100.0 { format!("{ratio:.2}") } else { format!("{ratio:.0}") }
}

fn figure_row(figure: &Value) -> Option<String> {
    if let Some(waiters) = figure["waiters"].as_u64() {
        return waiters_row(figure, waiters);
    }
    let shards = figure["shards"].as_u64()?;
    if let Some(bytes) = figure["bytes_a_shard"].as_u64() {
        let reached = if bytes <= 160 { "yes" } else { "no" };
        return Some(format!(
            "| memory of a `ReplicationState` of {shards} shards (dhat) | at most 160 bytes a \
             shard | {bytes} bytes a shard | {reached} |"
        ));
    }
    let (codec, percent) = (figure["codec"].as_str()?, figure["percent_of_a_core"].as_f64()?);
    let saves = figure["saves_a_second"].as_f64()?;
    let bar = if shards <= 1024 { 1.0 } else { 10.0 };
    let reached = if percent <= bar { "yes" } else { "no" };
    Some(format!(
        "| background checkpoints of {shards} shards, {codec}, {saves:.1} a second, every mark \
         moving: CPU of their thread | at most {bar} % of a core | {percent:.2} % | {reached} |"
    ))
}

fn waiters_row(figure: &Value, waiters: u64) -> Option<String> {
    let (bytes, left) = (figure["bytes_a_waiter"].as_u64()?, figure["bytes_left"].as_u64()?);
    let reached = if bytes < 200 && left <= 4096 { "yes" } else { "no" };
    Some(format!(
        "| memory of {waiters} waiters on one shard, each a future and its place in the queue (dhat) \
         | under 200 bytes a waiter; once they are dropped, at most 4096 bytes more than before | \
         {bytes} bytes a waiter; {left} bytes | {reached} |"
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

/// The size of this machine, in a few words.
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

fn output(program: &str, arguments: &[&str]) -> Result<String, Box<dyn Error>> {
    let output = Command::new(program).args(arguments).output()?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::medians::tests::put;
    use super::*;

    fn row(bar: Bar) -> Row {
        Row { work: "advance", group: "advance", peer: "peer", operations: 2, bar }
    }

    #[test]
    fn a_row_gives_the_median_of_the_ratios_and_whether_it_reaches_the_bar() {
        let dir = tempfile::tempdir().unwrap();
        for (round, nanoseconds) in [("0", 30.0), ("1", 20.0), ("2", 10.0)] {
            put(dir.path(), "advance", &format!("ours_{round}"), nanoseconds);
            put(dir.path(), "advance", &format!("peer_{round}"), 40.0);
        }
        let of = |bar| work_row(dir.path(), &row(bar)).unwrap();
        assert_eq!(
            of(Bar::AtMost(0.4)),
            "| advance | at most 0.4 | 0.50 | 0.25 to 0.75 | 10.0 ns | 20.0 ns | no |"
        );
        assert!(of(Bar::AtMost(0.5)).ends_with("| yes |"));
        assert!(of(Bar::Faster(2.0)).contains("| 2.00 | 1.33 to 4.00 |"));
        assert!(of(Bar::Faster(2.5)).ends_with("| no |"));
        assert!(of(Bar::Faster(1.0)).starts_with("| advance | faster | 2.00 |"));
        assert!(of(Bar::None).contains("| none: times faster | 2.00 |"));
        assert!(of(Bar::None).ends_with("| - |"));
    }

    #[test]
    fn waiters_have_to_be_small_and_to_leave_nothing_behind() {
        let reached = |bytes, left| {
            let figure = serde_json::json!(
                { "waiters": 9, "bytes_a_waiter": bytes, "bytes_left": left }
            );
            figure_row(&figure).unwrap().ends_with("| yes |")
        };
        assert!(reached(199, 4096) && !reached(200, 0) && !reached(1, 4097));
        assert_eq!(figure_row(&serde_json::json!({ "waiters": 9 })), None);
    }
}
