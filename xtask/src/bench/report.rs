//! The tables of docs/benchmarks.md: each figure beside the bar that was set for it.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::medians::{medians, spread};

/// One row of the report: how `ours` compares with `peer` in one criterion group.
struct Row {
    work: &'static str,
    group: &'static str,
    peer: &'static str,
    /// How many operations criterion takes for one.
    operations: u32,
    bar: Bar,
}

/// What was set out to reach.
enum Bar {
    /// At most so many times the peer's time.
    AtMost(f64),
    /// At least so many times faster than the peer.
    Faster(f64),
}

/// The benches of marks time so many operations at once, so that the loop weighs nothing.
const BATCH: u32 = 256;

const ROWS: &[Row] = &[
    Row {
        work: "read through a handle, to a raw atomic load",
        group: "read",
        peer: "raw_load",
        operations: BATCH,
        bar: Bar::AtMost(2.0),
    },
    Row {
        work: "advance through a handle, to a raw `fetch_max`",
        group: "advance",
        peer: "raw_fetch_max",
        operations: BATCH,
        bar: Bar::AtMost(1.2),
    },
    Row {
        work: "stale advance, to a raw atomic load",
        group: "stale_advance",
        peer: "raw_load",
        operations: BATCH,
        bar: Bar::AtMost(3.0),
    },
    Row {
        work: "read by id while shards come and go, to the seed",
        group: "read_by_id",
        peer: "seed",
        operations: BATCH,
        bar: Bar::AtMost(0.75),
    },
    Row {
        work: "advance by id while shards come and go, to the seed",
        group: "advance_by_id",
        peer: "seed",
        operations: BATCH,
        bar: Bar::AtMost(1.0),
    },
    Row {
        work: "two threads on neighbouring shards, to raw padded atomics",
        group: "two_threads_neighbours",
        peer: "raw_padded",
        operations: BATCH,
        bar: Bar::AtMost(1.1),
    },
    Row {
        work: "snapshot of 1,024 shards, to the seed",
        group: "snapshot_1024",
        peer: "seed",
        operations: 1,
        bar: Bar::Faster(10.0),
    },
    Row {
        work: "snapshot of 65,536 shards, to the seed",
        group: "snapshot_65536",
        peer: "seed",
        operations: 1,
        bar: Bar::Faster(10.0),
    },
    Row {
        work: "bincode encode and seal, 65,536 shards, to memcpy and CRC32C of the same bytes",
        group: "bincode_seal_65536",
        peer: "memcpy_crc32c",
        operations: 1,
        bar: Bar::AtMost(2.0),
    },
    Row {
        work: "JSON open and decode, 65,536 dense ids, to `serde_json` into the seed's map",
        group: "json_open_65536_dense",
        peer: "seed",
        operations: 1,
        bar: Bar::Faster(1.8),
    },
    Row {
        work: "JSON open and decode, 65,536 64-bit ids, to `serde_json` into the seed's map",
        group: "json_open_65536_wide",
        peer: "seed",
        operations: 1,
        bar: Bar::Faster(1.8),
    },
    Row {
        work: "FileStore save of 1,024 shards, to its bare system calls",
        group: "file_save_1024",
        peer: "bare_system_calls",
        operations: 1,
        bar: Bar::AtMost(1.15),
    },
];

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
        let ours = medians(criterion, row.group, "ours")?;
        let peer = medians(criterion, row.group, row.peer)?;
        let (bar, invert) = match row.bar {
            Bar::AtMost(bar) => (format!("at most {bar}"), false),
            Bar::Faster(bar) => (format!("at least {bar} times faster"), true),
        };
        let ratio = |(round, ours): (&u32, &f64)| {
            let ratio = ours / peer.get(round)?;
            Some(if invert { ratio.recip() } else { ratio })
        };
        let ratios: Vec<f64> = ours.iter().filter_map(ratio).collect();
        let (ratio, low, high) = spread(ratios).ok_or("no rounds were measured")?;
        let reached = match row.bar {
            Bar::AtMost(bar) => ratio <= bar,
            Bar::Faster(bar) => ratio >= bar,
        };
        writeln!(
            out,
            "| {} | {bar} | {ratio:.2} | {low:.2} to {high:.2} | {} | {} | {} |",
            row.work,
            time(&ours, row.operations),
            time(&peer, row.operations),
            if reached { "yes" } else { "no" },
        )?;
    }
    out.push_str(
        "\nTimes are of one operation; with two threads, of one operation of each.\n\n\
         | figure | bar | measured | reached |\n| --- | --- | --- | --- |\n",
    );
    for figure in figures {
        writeln!(out, "{}", figure_row(figure).ok_or_else(|| format!("unexpected: {figure}"))?)?;
    }
    Ok(out)
}

fn figure_row(figure: &Value) -> Option<String> {
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
