//! A real Prometheus scrapes the service, and evaluates the alerts of the docs.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write, stderr};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use example_support::testing::Program;
use example_support::try_for;
use serde_json::Value;

const PROGRAM: Program = Program(env!("CARGO_BIN_EXE_tokio-service"));
const WITHIN: Duration = Duration::from_secs(60);

fn docs() -> PathBuf {
    fs::canonicalize(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs")).unwrap()
}

fn read(page: &str) -> String {
    fs::read_to_string(docs().join(page)).unwrap()
}

/// The rows of a table of the docs whose first cell begins so.
fn rows(begin: &str) -> Vec<Vec<String>> {
    let page = read("observability.md");
    let cells = |line: &str| -> Vec<String> {
        line.trim_matches('|').split('|').map(|cell| cell.trim().replace('`', "")).collect()
    };
    page.lines().filter(|line| line.starts_with(&format!("| `{begin}"))).map(cells).collect()
}

/// The words after each `marker` in a file.
fn words_after(text: &str, marker: &str) -> BTreeSet<String> {
    let word = |rest: &str| -> String {
        rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
    };
    text.match_indices(marker).map(|(at, _)| word(&text[at + marker.len()..])).collect()
}

/// A process that is killed in the end.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Gets a page; `None` if nothing answers.
fn get(addr: SocketAddr, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(addr).ok()?;
    stream.set_read_timeout(Some(WITHIN)).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {addr}\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    (head.split(' ').nth(1) == Some("200")).then(|| body.to_owned())
}

/// Waits for a value, and panics without one.
fn wait_for<T>(what: &str, attempt: impl Fn() -> Option<T>) -> T {
    try_for(WITHIN, || Ok(attempt())).unwrap().unwrap_or_else(|| panic!("not within 60 s: {what}"))
}

/// Asks Prometheus.
struct Prometheus(SocketAddr);

impl Prometheus {
    fn data(&self, path: &str) -> Option<Value> {
        let answer: Value =
            serde_json::from_str(&get(self.0, &format!("/api/v1/{path}"))?).unwrap();
        (answer["status"] == "success").then(|| answer["data"].clone())
    }

    /// The series of a query that has any.
    fn series(&self, query: &str) -> Vec<Value> {
        let encode = |byte: u8| {
            let is_plain = byte.is_ascii_alphanumeric() || byte == b'_';
            if is_plain { char::from(byte).to_string() } else { format!("%{byte:02X}") }
        };
        let path = format!("query?query={}", query.bytes().map(encode).collect::<String>());
        wait_for(query, || {
            let found = self.data(&path)?["result"].as_array()?.clone();
            (!found.is_empty()).then_some(found)
        })
    }
}

/// Why nothing can be scraped. Where CI is set nothing may be skipped.
fn missing() -> Option<String> {
    let lacks = |program: &&&str| {
        let found = Command::new(program).arg("--version").output();
        !found.is_ok_and(|output| output.status.success())
    };
    let program = ["prometheus", "promtool"].iter().find(lacks)?;
    let why = format!("skipped: {program} is not installed");
    let _ = writeln!(stderr(), "{why}"); // past the capture of the test harness
    let in_ci = std::env::var("CI").is_ok_and(|ci| !matches!(ci.as_str(), "" | "0" | "false"));
    assert!(!in_ci, "{why}; where CI is set nothing may be");
    Some(why)
}

fn promtool(args: &[&str], input: &str) {
    let mut promtool = Command::new("promtool");
    promtool.args(args).current_dir(docs().join("observability")).stdin(Stdio::piped());
    let mut promtool = promtool.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    promtool.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let printed = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "promtool {args:?}: {printed}");
}

/// Starts the service and a Prometheus that scrapes it, with the alerts of the docs.
fn start(dir: &Path) -> (SocketAddr, Prometheus, [Running; 2]) {
    let (service, prometheus) = (free_address(), free_address());
    let data = dir.join("service");
    let run = format!("--metrics {service} --seed 5 --dir {}", data.display());
    let run = PROGRAM.command(&run).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let config = format!(
        "global: {{ scrape_interval: 250ms, scrape_timeout: 250ms, evaluation_interval: 250ms }}\n\
         rule_files: ['{}']\n\
         scrape_configs:\n\
         - job_name: follower\n  static_configs: [{{ targets: ['{service}'] }}]\n",
        docs().join("observability/alerts.yml").display()
    );
    let file = dir.join("prometheus.yml");
    fs::write(&file, config).unwrap();
    let scraper = Command::new("prometheus")
        .arg(format!("--config.file={}", file.display()))
        .arg(format!("--storage.tsdb.path={}", dir.join("tsdb").display()))
        .arg(format!("--web.listen-address={prometheus}"))
        .args(["--log.level=error"])
        .spawn()
        .unwrap();
    (service, Prometheus(prometheus), [Running(run), Running(scraper)])
}

/// That Prometheus has a metric with the type, the labels and the meaning of its row.
fn is_as_documented(prometheus: &Prometheus, row: &[String]) {
    let [name, kind, labels, about] = row else { panic!("four cells: {row:?}") };
    let series = if kind == "histogram" { format!("{name}_count") } else { name.clone() };
    let label = labels.split(':').next().unwrap();
    let expected: BTreeSet<&str> =
        ["__name__", "instance", "job", label].into_iter().filter(|l| !l.is_empty()).collect();
    let mut values = BTreeSet::new();
    for found in prometheus.series(&series) {
        let found = found["metric"].as_object().unwrap();
        assert_eq!(found.keys().map(String::as_str).collect::<BTreeSet<_>>(), expected, "{name}");
        values.extend(found.get(label).map(|value| value.as_str().unwrap().to_owned()));
    }
    if let Some((_, documented)) = labels.split_once(':') {
        let documented: BTreeSet<String> = documented.split(',').map(|v| v.trim().into()).collect();
        assert_eq!(values, documented, "{name}");
    }
    let metadata = wait_for(name, || {
        prometheus.data(&format!("metadata?metric={name}"))?[name].get(0).cloned()
    });
    assert_eq!((&metadata["type"], &metadata["help"]), (&kind[..].into(), &about[..].into()));
}

#[test]
fn prometheus_finds_every_documented_metric_in_the_service_and_evaluates_the_alerts() {
    if missing().is_some() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (service, prometheus, _running) = start(dir.path());
    let page = wait_for("the service", || get(service, "/metrics"));
    promtool(&["check", "metrics"], &page);
    assert_eq!(get(service, "/"), None);

    // Two saves, so that nothing is missing.
    prometheus.series("repl_floor_seqnos > 0");
    let rows = rows("repl_");
    assert!(rows.len() > 20);
    for row in &rows {
        is_as_documented(&prometheus, row);
    }
    for holds in [
        "repl_floor_seqnos <= repl_checkpointed_seqnos",
        "repl_checkpointed_seqnos <= repl_applied_seqnos",
        "repl_shards == 8",
        "repl_shards_not_shown == 4",
        "count(repl_shard_applied_seqno == repl_shard_applied_seqno) == 4",
        "repl_checkpoint_health{status=\"good\"} == 1",
        "time() - repl_checkpoint_last_success_timestamp_seconds < 60",
        "repl_recoveries_total{origin=\"fresh\"} == 1",
        "repl_checkpoints_total{outcome=\"whole\"} > 1",
    ] {
        prometheus.series(holds);
    }

    let rules = wait_for("the rules", || {
        let rules = prometheus.data("rules")?["groups"][0]["rules"].as_array()?.clone();
        rules.iter().all(|rule| rule["health"] != "unknown").then_some(rules)
    });
    let names: BTreeSet<&str> = rules.iter().map(|rule| rule["name"].as_str().unwrap()).collect();
    assert_eq!(names.len(), self::rows("Repl").len());
    for rule in &rules {
        assert_eq!((&rule["health"], &rule["state"]), (&"ok".into(), &"inactive".into()), "{rule}");
    }
}

#[test]
fn the_rules_are_valid_and_pass_their_tests() {
    if missing().is_none() {
        promtool(&["check", "rules", "alerts.yml"], "");
        promtool(&["test", "rules", "alerts_test.yml"], "");
    }
}

#[test]
fn each_alert_is_documented_and_tested_and_names_only_documented_metrics() {
    let (rules, tests) = (read("observability/alerts.yml"), read("observability/alerts_test.yml"));
    let documented: BTreeSet<String> = rows("Repl").into_iter().map(|row| row[0].clone()).collect();
    assert_eq!(words_after(&rules, "alert: "), documented);
    assert_eq!(words_after(&tests, "alertname: "), documented);
    let metrics: BTreeSet<String> = rows("repl_").into_iter().map(|row| row[0].clone()).collect();
    let used: BTreeSet<String> = [&rules, &tests]
        .iter()
        .flat_map(|text| words_after(text, "repl_"))
        .map(|word| format!("repl_{word}"))
        .collect();
    assert!(used.len() > 5 && used.is_subset(&metrics), "{used:?}");
}
