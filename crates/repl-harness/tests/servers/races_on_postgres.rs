//! The store in PostgreSQL passes both suites, on a real server.

use repl_checkpoint::{RemoteStore, StoreId};
use repl_checkpoint_postgres::PostgresStore;
use repl_harness::race::{self, Config, Report, this_test};
use repl_harness::suites::remote_store_suite;
use tokio::runtime::Runtime;

use self::server::Server;
use crate::show;

#[path = "../../../repl-checkpoint-postgres/tests/it/support/server.rs"]
#[expect(dead_code, reason = "nothing crashes here")]
#[expect(clippy::print_stdout, reason = "says why a test is skipped")]
mod server;

/// The processes of every race run this test alone.
const NAME: &str = "races_on_postgres::two_hundred_rounds_on_postgresql_hold";

fn open(url: &str, record: StoreId) -> Result<PostgresStore, tokio_postgres::Error> {
    Ok(PostgresStore::new(url.parse()?, record))
}

fn url(server: &Server) -> String {
    format!("postgres://test@127.0.0.1:{}/postgres", server.port)
}

/// Returns `None` where there is no PostgreSQL.
fn race(config: &Config) -> Option<Report> {
    let runtime = Runtime::new().unwrap();
    let server = runtime.block_on(Server::start())?;
    let report = race::run(config, &url(&server), this_test(NAME), show);
    Some(report.unwrap_or_else(|error| panic!("{error}")))
}

#[test]
fn two_hundred_rounds_on_postgresql_hold() {
    if race::is_worker() {
        let runtime = Runtime::new().unwrap();
        race::work(open, |task| runtime.block_on(task));
    }
    let Some(report) = race(&Config::default()) else { return };
    println!("PostgreSQL: {report}");
    assert_eq!((report.rounds, report.unclear, report.failed), (200, 0, 0), "{report}");
}

#[test]
#[ignore = "takes a minute"]
fn a_thousand_rounds_on_postgresql_hold() {
    let config = Config { rounds: 1000, seed: 2, ..Config::default() };
    let Some(report) = race(&config) else { return };
    println!("PostgreSQL: {report}");
    assert_eq!((report.rounds, report.unclear, report.failed), (1000, 0, 0), "{report}");
}

#[test]
fn postgresql_passes_the_suite_for_one_process() {
    let runtime = Runtime::new().unwrap();
    let Some(server) = runtime.block_on(Server::start()) else { return };
    let (url, records) = (url(&server), [StoreId(8), StoreId(9)]);
    let place = open(&url, records[0]).unwrap().place();
    let report = remote_store_suite(records, |id| open(&url, id), |task| runtime.block_on(task));
    let report = report.unwrap_or_else(|error| panic!("{place}: {error}"));
    assert!(report.dropped > 4, "{report}");
}
