//! Serves metrics to Prometheus. Copy it, or serve the page from the server that you have.

use std::future::pending;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use example_support::{Context, Error};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use metrics_util::MetricKindMask;
use repl_checkpoint::{Floors, StateMetrics, describe_metrics};
use repl_core::Snapshot;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{interval, timeout};

use crate::shards::Live;

/// The lag in seconds is exact up to this.
const SAMPLE_EVERY: Duration = Duration::from_millis(100);
/// How long one client may take.
const PATIENCE: Duration = Duration::from_secs(1);
/// The longest request.
const LONGEST: u64 = 8192;
/// Shards with metrics of their own. A real service has more, or none.
const SHARDS_SHOWN: usize = 4;
/// The upper bounds of the buckets of durations, in seconds.
const BUCKETS: [f64; 9] = [0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 10.0];

/// The recorder of the process, and where its metrics are served; or none.
pub(crate) struct Metrics(Option<(SocketAddr, PrometheusHandle)>);

impl Metrics {
    /// Installs the recorder. Comes before the recovery, which is counted too.
    pub(crate) fn install(addr: Option<SocketAddr>) -> Result<Metrics, Error> {
        let Some(addr) = addr else { return Ok(Metrics(None)) };
        let handle = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_duration_seconds".to_owned()), &BUCKETS)?
            // Of shards that were removed.
            .idle_timeout(MetricKindMask::GAUGE, Some(Duration::from_secs(10)))
            .install_recorder()?;
        describe_metrics();
        Ok(Metrics(Some((addr, handle))))
    }

    /// Serves the metrics until an error.
    pub(crate) async fn serve(
        self,
        floors: Floors,
        live: watch::Receiver<Live>,
    ) -> Result<(), Error> {
        let Some((addr, handle)) = self.0 else { return pending().await };
        let listener = TcpListener::bind(addr).await;
        let listener = listener.context(|| format!("cannot listen on {addr}"))?;
        let (mut metrics, start) =
            (StateMetrics::new(floors).with_shards(SHARDS_SHOWN), Instant::now());
        let mut samples = interval(SAMPLE_EVERY);
        loop {
            tokio::select! {
                _ = samples.tick() => {
                    metrics.log_ends(&log_ends(&live.borrow()), start.elapsed());
                }
                accepted = listener.accept() => {
                    let (client, _) = accepted?;
                    metrics.record(start.elapsed());
                    // A client that is slow or gone is not an error of the service.
                    let answer = answer(client, handle.render());
                    tokio::spawn(async { _ = timeout(PATIENCE, answer).await });
                }
            }
        }
    }
}

fn log_ends(live: &Live) -> Snapshot {
    live.iter().map(|(shard, replica)| (*shard, replica.log.end())).collect()
}

/// Answers one request with the page.
async fn answer(client: TcpStream, page: String) -> std::io::Result<()> {
    let mut client = BufReader::new(client);
    let (mut request, mut line) = (String::new(), String::new());
    let mut head = (&mut client).take(LONGEST);
    head.read_line(&mut request).await?;
    while head.read_line(&mut line).await? > 2 {
        line.clear(); // up to the empty line
    }
    let (status, body) = if request.starts_with("GET /metrics ") {
        ("200 OK", page)
    } else {
        ("404 Not Found", "The metrics are at /metrics.\n".to_owned())
    };
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    client.write_all(answer.as_bytes()).await?;
    client.shutdown().await
}
