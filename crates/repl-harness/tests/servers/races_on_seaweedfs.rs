//! The store in a bucket passes both suites, on a real S3 server with two gateways.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use object_store::aws::{AmazonS3Builder, S3ConditionalPut};
use object_store::path::Path;
use object_store::{ClientOptions, Error, RetryConfig};
use repl_checkpoint::{RemoteStore, StoreId};
use repl_checkpoint_object::BucketStore;
use repl_harness::race::{self, Config, Report, this_test};
use repl_harness::suites::remote_store_suite;
use tokio::runtime::Runtime;

use self::server::{BUCKET, Server};
use crate::show;

#[path = "../../../repl-checkpoint-object/tests/it/support/server.rs"]
#[expect(dead_code, reason = "nothing crashes here")]
#[expect(clippy::print_stdout, reason = "says why a test is skipped")]
mod server;

/// The processes of every race run this test alone.
const NAME: &str = "races_on_seaweedfs::twelve_rounds_on_two_gateways_hold";

/// The writers of a process take turns in which gateway they use.
fn open(urls: &str, record: StoreId) -> Result<BucketStore, Error> {
    static OPENED: AtomicUsize = AtomicUsize::new(0);
    let turn = OPENED.fetch_add(1, Ordering::Relaxed);
    let url = urls.split(' ').cycle().nth(turn % 2).unwrap_or_default();
    // A client needs it although it does not encrypt. An error says: it is there.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = AmazonS3Builder::new()
        .with_endpoint(url)
        .with_bucket_name(BUCKET)
        .with_region("us-east-1")
        .with_client_options(ClientOptions::new().with_allow_http(true))
        .with_skip_signature(true)
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_retry(RetryConfig { max_retries: 0, ..RetryConfig::default() })
        .build()?;
    let path = Path::from(record.to_string());
    Ok(BucketStore::new(Arc::new(client), path, record).sends_once())
}

fn urls(server: &Server) -> String {
    server.gateways().map(|port| format!("http://127.0.0.1:{port}")).join(" ")
}

/// Returns `None` where there is no SeaweedFS.
fn race(config: &Config) -> Option<Report> {
    let runtime = Runtime::new().unwrap();
    let server = runtime.block_on(Server::start())?;
    let report = race::run(config, &urls(&server), this_test(NAME), show);
    Some(report.unwrap_or_else(|error| panic!("{error}")))
}

/// Each kind of race twice. A write that waits in SeaweedFS for another of the same object waits for
/// a second, so more rounds take minutes.
#[test]
fn twelve_rounds_on_two_gateways_hold() {
    if race::is_worker() {
        let runtime = Runtime::new().unwrap();
        race::work(open, |task| runtime.block_on(task));
    }
    hold(12);
}

#[test]
#[ignore = "takes minutes"]
fn two_hundred_rounds_on_two_gateways_hold() {
    hold(200);
}

#[test]
#[ignore = "takes an hour"]
fn a_thousand_rounds_on_two_gateways_hold() {
    hold(1000);
}

#[expect(clippy::print_stdout, reason = "says how much was tried")]
fn hold(rounds: u64) {
    let Some(report) = race(&Config { rounds, seed: rounds, ..Config::default() }) else { return };
    println!("SeaweedFS: {report}");
    // Where a gateway did not get the lock of an object in time, another round was run.
    assert_eq!(report.rounds, rounds, "{report}");
}

#[test]
fn a_bucket_passes_the_suite_for_one_process() {
    let runtime = Runtime::new().unwrap();
    let Some(server) = runtime.block_on(Server::start()) else { return };
    let (urls, records) = (urls(&server), [StoreId(8), StoreId(9)]);
    let place = open(&urls, records[0]).unwrap().place();
    let report = remote_store_suite(records, |id| open(&urls, id), |task| runtime.block_on(task));
    let report = report.unwrap_or_else(|error| panic!("{place}: {error}"));
    assert!(report.dropped > 4, "{report}");
}
