//! Figures and their goals: what is measured by programs of its own, and not by criterion.

mod recovery;

use serde_json::Value;

use super::axis;
use crate::command::Fallible;

/// A row of a table for each figure, but for the points of plots.
pub(super) fn rows(figures: &[Value]) -> Fallible<Vec<String>> {
    let row =
        |figure: &Value| Ok(figure_row(figure).ok_or_else(|| format!("unknown figure: {figure}"))?);
    figures.iter().filter(|figure| figure["plot"].is_null()).map(row).collect()
}

fn met(met: bool) -> &'static str {
    if met { "yes" } else { "no" }
}

fn figure_row(figure: &Value) -> Option<String> {
    if let Some(waiters) = figure["waiters"].as_u64() {
        return waiters_row(figure, waiters);
    }
    if let Some(capacity) = figure["window_capacity"].as_u64() {
        return window_row(figure, capacity);
    }
    let scale = rest_row(figure).or_else(|| change_row(figure)).or_else(|| kept_row(figure));
    if let Some(row) = scale.or_else(|| recovery::row(figure)) {
        return Some(row);
    }
    if let Some(shards) = figure["saved_shards"].as_u64() {
        return saves_row(figure, shards);
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

/// The bytes that are written by saves after one mark has moved.
fn saves_row(figure: &Value, shards: u64) -> Option<String> {
    const PAGE: u64 = 4096;
    let field = |name: &str| figure[name].as_u64();
    let (mean, row) = (field("mean_bytes")?, field("row_bytes")?);
    let (goal, most) = match shards {
        ..=1024 => ("under 4 pages".to_owned(), 4 * PAGE),
        _ => (format!("under 2 pages and twice a row, of {row} bytes"), 2 * PAGE + 2 * row),
    };
    Some(format!(
        "| mean of what a save writes after one of {shards} marks has moved, in whole pages, over \
         {} saves to a SlotStore, of which {} are deltas | {goal} | {mean} bytes | {} |",
        field("saves")?,
        field("deltas")?,
        met(mean < most)
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

/// Background checkpointers while nothing moves, or while they poll.
fn rest_row(figure: &Value) -> Option<String> {
    let percent = figure["percent"].as_f64()?;
    if let Some(shards) = figure["polling"].as_f64() {
        return Some(format!(
            "| CPU time of a background checkpointer of {} shards that polls every 10 ms for \
             `or_after`, while one mark moves 10 times a second | none | {percent:.2} % of a core \
             | - |",
            axis::size(shards)
        ));
    }
    let (count, every) = (figure["rest"].as_u64()?, figure["every"].as_str()?);
    let shards = axis::size(figure["shards"].as_f64()?);
    let whose = match count {
        1 => "a background checkpointer".to_owned(),
        count => format!("{count} background checkpointers, each"),
    };
    Some(format!(
        "| CPU time of {whose} of {shards} shards, every {every}, while no mark moves | under 0.1 % of a core in all | {percent:.4} % | {} |",
        met(percent < 0.1)
    ))
}

/// Adding, resetting and removing shards.
fn change_row(figure: &Value) -> Option<String> {
    let shards = figure["shards"].as_f64()?;
    let of = axis::size(shards);
    if let Some(how) = figure["removal"].as_str() {
        let (removed, ns) = (axis::size(figure["removed"].as_f64()?), figure["ns"].as_f64()?);
        let goal = if how == "one by one" { 100e6 } else { 20e6 };
        return Some(format!(
            "| remove {removed} of {of} shards, {how} | under {} | {} | {} |",
            axis::time(goal),
            rounded(ns),
            met(ns < goal)
        ));
    }
    let field = |name: &str| figure[name].as_f64();
    let (mean, p999, slowest) = (field("mean_ns")?, field("p999_ns")?, field("slowest_ns")?);
    let bounded = shards > 1e6;
    let last = if bounded { "; none above 2 ms" } else { "" };
    let is_met = mean < 5e3 && p999 < 100e3 && (!bounded || slowest < 2e6);
    Some(format!(
        "| {} one of {of} shards | mean under 5 us; 999 in 1,000 under 100 us{last} | mean {}; 999 \
         in 1,000 under {}; slowest {} | {} |",
        figure["change"].as_str()?,
        rounded(mean),
        rounded(p999),
        rounded(slowest),
        met(is_met)
    ))
}

/// The memory of a state beside threads that have looked up in it, and what stays of it.
fn kept_row(figure: &Value) -> Option<String> {
    let (shards, threads) = (figure["shards"].as_f64()?, figure["threads"].as_u64()?);
    let work = format!("{} shards in which {threads} threads have looked up", axis::size(shards));
    if let Some(resident) = figure["resident"].as_f64() {
        let more = figure["more"].as_f64()?;
        return Some(format!(
            "| growth of the resident memory while five states of {work} are made and dropped one \
             after the other, and the threads live | after the second, at most 1 % | {:.2} % of {} \
             | {} |",
            more / resident * 100.0,
            axis::bytes((resident / 1e6).round() * 1e6),
            met(more <= resident / 100.0)
        ));
    }
    let (bytes, left) = (figure["bytes_a_shard"].as_u64()?, figure["bytes_left"].as_u64()?);
    Some(format!(
        "| memory of a `ReplicationState` of {work} (dhat) | at most 160 bytes per shard; once it is \
         dropped and while they live, at most 16 kB | {bytes} bytes per shard; {left} bytes | {} |",
        met(bytes <= 160 && left <= 16_000)
    ))
}

/// A time with three digits at most.
fn rounded(ns: f64) -> String {
    let step = 10_f64.powf((ns.max(1.0).log10() - 2.0).floor());
    axis::time((ns / step).round() * step)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn ends(figure: &Value, end: &str) -> bool {
        figure_row(figure).unwrap().ends_with(end)
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

    #[test]
    fn saves_of_one_mark_must_write_few_pages() {
        let saves = |shards, mean| {
            json!({
                "saved_shards": shards, "saves": 9, "deltas": 8, "mean_bytes": mean,
                "row_bytes": 60,
            })
        };
        assert!(ends(&saves(1024, 16_383), "| yes |") && ends(&saves(1024, 16_384), "| no |"));
        assert!(ends(&saves(65_536, 8311), "| yes |") && ends(&saves(65_536, 8312), "| no |"));
    }

    #[test]
    fn checkpointers_at_rest_must_take_no_time() {
        let rest = |percent| json!({"rest": 300, "every": "1 s", "shards": 16, "percent": percent});
        assert!(ends(&rest(0.0999), "| yes |") && ends(&rest(0.1), "| no |"));
        assert!(ends(&json!({"polling": 16, "percent": 3.0}), "| 3.00 % of a core | - |"));
    }

    #[test]
    fn single_changes_must_be_fast_and_the_slowest_of_a_million_shards_bounded() {
        let change = |shards, mean, p999, slowest| {
            json!({
                "change": "add", "shards": shards,
                "mean_ns": mean, "p999_ns": p999, "slowest_ns": slowest,
            })
        };
        assert!(ends(&change(1024, 4999, 99_999, 1_000_000_000), "| yes |"));
        assert!(ends(&change(1024, 5000, 1, 1), "| no |"));
        assert!(ends(&change(1024, 1, 100_000, 1), "| no |"));
        assert!(ends(&change(1 << 20, 1, 1, 1_999_999), "slowest 2 ms | yes |"));
        assert!(ends(&change(1 << 20, 1, 1, 2_000_000), "| no |"));
        let removal = |how: &str, ns| json!({"removal": how, "removed": 2, "shards": 9, "ns": ns});
        assert!(ends(&removal("in one call", 19_900_000), "| under 20 ms | 19.9 ms | yes |"));
        assert!(ends(&removal("in one call", 20_000_000), "| no |"));
        assert!(ends(&removal("one by one", 99_000_000), "| yes |"));
    }

    #[test]
    fn nothing_may_stay_of_a_dropped_state() {
        let kept = |bytes, left| json!({"shards": 9, "threads": 8, "bytes_a_shard": bytes, "bytes_left": left});
        assert!(ends(&kept(160, 16_000), "| yes |"));
        assert!(ends(&kept(161, 0), "| no |") && ends(&kept(1, 16_001), "| no |"));
        let resident = |more| json!({"resident": 1e8, "more": more, "shards": 9, "threads": 8});
        assert!(
            ends(&resident(1e6), "| 1.00 % of 100 MB | yes |") && ends(&resident(2e6), "| no |")
        );
    }

    #[test]
    fn points_of_plots_are_in_no_table_and_other_figures_must_be_known() {
        assert!(rows(&[json!({"plot": "rest"})]).unwrap().is_empty());
        assert!(rows(&[json!({"what": 1})]).is_err());
    }
}
