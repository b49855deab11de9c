//! A recorder of metrics for one thread.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use metrics::{
    Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};

/// What was recorded of one metric with its labels, as `name{label="value"}`.
#[derive(Default)]
pub(crate) struct Recorded {
    described: Mutex<BTreeMap<String, (&'static str, String)>>,
    registered: Mutex<BTreeMap<String, Registered>>,
}

struct Registered {
    kind: &'static str,
    key: Key,
    /// A count, or the bits of a gauge.
    value: Arc<AtomicU64>,
}

/// Counts what is recorded.
struct Counted(Arc<AtomicU64>);

impl HistogramFn for Counted {
    fn record(&self, value: f64) {
        assert!(value >= 0.0);
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Recorded {
    /// Runs `f` with what is recorded on this thread.
    pub(crate) fn run<T>(&self, f: impl FnOnce() -> T) -> T {
        metrics::with_local_recorder(self, f)
    }

    /// A counter, or how often a histogram was recorded; `None` if it was never registered.
    pub(crate) fn count(&self, key: &str) -> Option<u64> {
        Some(self.registered.lock().unwrap().get(key)?.value.load(Ordering::Relaxed))
    }

    pub(crate) fn gauge(&self, key: &str) -> Option<f64> {
        self.count(key).map(f64::from_bits)
    }

    /// Every metric with its labels.
    pub(crate) fn keys(&self) -> Vec<String> {
        self.registered.lock().unwrap().keys().cloned().collect()
    }

    /// The counters that are not 0, of one name.
    pub(crate) fn counters(&self, name: &str) -> Vec<(String, u64)> {
        let registered = self.registered.lock().unwrap();
        let of_name = registered.iter().filter(|(_, found)| found.key.name() == name);
        let counts = of_name.map(|(key, found)| (key.clone(), found.value.load(Ordering::Relaxed)));
        counts.filter(|(_, count)| *count > 0).collect()
    }

    /// Each metric as a row of the docs: its name, its type, its labels with their values, and its
    /// description.
    pub(crate) fn rows(&self) -> BTreeSet<[String; 4]> {
        let registered = self.registered.lock().unwrap();
        let described = self.described.lock().unwrap();
        let mut labels: BTreeMap<(&str, &str), BTreeSet<String>> = BTreeMap::new();
        for Registered { kind, key, .. } in registered.values() {
            let of_key = labels.entry((key.name(), kind)).or_default();
            for label in key.labels() {
                of_key.insert(format!("`{}`", label.key()));
                // Shards are any number.
                if label.key() != "shard" {
                    of_key.insert(format!("`{}`", label.value()));
                }
            }
        }
        let row = |((name, kind), labels): ((&str, &str), BTreeSet<String>)| {
            let (described_kind, about) = described.get(name).cloned().unwrap_or_default();
            assert_eq!(described_kind, kind, "{name} is described as another type");
            let labels: Vec<String> = labels.into_iter().collect();
            [format!("`{name}`"), kind.to_owned(), labels.join(" "), about]
        };
        labels.into_iter().map(row).collect()
    }

    fn describe(&self, kind: &'static str, key: &KeyName, about: &SharedString) {
        let (name, about) = (key.as_str().to_owned(), about.to_string());
        self.described.lock().unwrap().insert(name, (kind, about));
    }

    fn register(&self, kind: &'static str, key: &Key) -> Arc<AtomicU64> {
        let labels = key.labels().map(|label| format!("{}={:?}", label.key(), label.value()));
        let labels: Vec<String> = labels.collect();
        let name = if labels.is_empty() {
            key.name().to_owned()
        } else {
            format!("{}{{{}}}", key.name(), labels.join(","))
        };
        let new = || Registered { kind, key: key.clone(), value: Arc::default() };
        let mut registered = self.registered.lock().unwrap();
        Arc::clone(&registered.entry(name).or_insert_with(new).value)
    }
}

impl Recorder for Recorded {
    fn describe_counter(&self, key: KeyName, _: Option<Unit>, about: SharedString) {
        self.describe("counter", &key, &about);
    }
    fn describe_gauge(&self, key: KeyName, _: Option<Unit>, about: SharedString) {
        self.describe("gauge", &key, &about);
    }
    fn describe_histogram(&self, key: KeyName, _: Option<Unit>, about: SharedString) {
        self.describe("histogram", &key, &about);
    }
    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.register("counter", key))
    }
    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.register("gauge", key))
    }
    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(Arc::new(Counted(self.register("histogram", key))))
    }
}
