//! `replctl doctor URL` on a real server.

use object_store::aws::AmazonS3Builder;
use object_store::path::Path;
use object_store::{ClientOptions, ObjectStore};
use tokio::runtime::Runtime;
use tokio_postgres::Client;

use self::server::Server;
use crate::sessions;
use crate::support::Dir;

#[path = "../../../repl-checkpoint-object/tests/it/support/server.rs"]
#[expect(dead_code, reason = "nothing crashes here")]
#[expect(clippy::print_stdout, reason = "says why a test is skipped")]
#[expect(clippy::panic, reason = "fails as a test does")]
mod bucket;
#[path = "../../../repl-checkpoint-postgres/tests/it/support/server.rs"]
#[expect(dead_code, reason = "nothing crashes here")]
#[expect(clippy::print_stdout, reason = "says why a test is skipped")]
mod server;

fn url(server: &Server) -> String {
    format!("postgres://test:secret@127.0.0.1:{}/postgres", server.port)
}

/// What is in the database that a trial could have left there.
async fn left(client: &Client) -> i64 {
    let sql = "select (select count(*) from pg_namespace where nspname like 'repl%')
        + (select count(*) from pg_class where relname like 'repl%')";
    client.query_one(sql, &[]).await.unwrap().get(0)
}

/// All that the program prints: a password in it was in the URL alone.
fn told(arguments: &str) -> String {
    let printed = Dir::new().run(arguments);
    printed.split_once('\n').unwrap().1.to_owned()
}

#[test]
fn a_good_server_is_trusted_and_nothing_is_left_there() {
    let runtime = Runtime::new().unwrap();
    let Some(server) = runtime.block_on(Server::start()) else { return };
    // The session of the docs.
    let steps = sessions::steps(sessions::on_a_server());
    let printed = sessions::run(&steps, &url(&server));
    for ((_, shown), printed) in steps.iter().zip(printed) {
        let printed = printed.replace(&format!("127.0.0.1:{}", server.port), "db.example");
        let is_version = |line: &&str| line.starts_with("  server        PostgreSQL ");
        let without = |text: &str| {
            let lines: Vec<String> =
                text.lines().filter(|l| !is_version(l)).map(str::to_owned).collect();
            lines.join("\n")
        };
        assert_eq!(without(&printed), without(shown));
    }
    let printed = told(&format!("--json doctor {} --rounds 12", url(&server)));
    assert!(printed.contains(r#""verdict":"good""#) && !printed.contains("secret"), "{printed}");
    assert!(printed.contains("12 of 12 rounds held"), "{printed}");
    let left = runtime.block_on(async { left(&server.client().await).await });
    assert_eq!(left, 0);
}

#[test]
fn a_server_that_does_not_sync_is_not_trusted() {
    let runtime = Runtime::new().unwrap();
    let Some(mut server) = runtime.block_on(Server::start()) else { return };
    runtime.block_on(async {
        let client = server.client().await;
        client.batch_execute("alter system set fsync = off").await.unwrap();
        client.batch_execute("alter system set full_page_writes = off").await.unwrap();
    });
    server.crash();
    runtime.block_on(server.run());
    let printed = told(&format!("doctor {} --rounds 10", url(&server)));
    assert!(printed.contains("it CANNOT be trusted; see below"), "{printed}");
    assert!(printed.contains("fsync         BROKEN: it is off"), "{printed}");
    let warning = "page writes   warning: full_page_writes is off";
    assert!(printed.contains(warning), "{printed}");
    assert!(printed.contains("exit status 5"), "{printed}");
}

#[test]
fn what_cannot_be_told_is_not_called_good() {
    let printed = told("doctor postgres://test:secret@127.0.0.1:1/postgres");
    assert!(printed.contains("cannot tell: postgres://127.0.0.1:1/postgres"), "{printed}");
    assert!(printed.contains("failed to connect") && !printed.contains("secret"), "{printed}");
    let next = "next          look at the host, port, user and database of the URL";
    assert!(printed.contains(next) && printed.contains("exit status 3"), "{printed}");
    let printed = told("doctor ftp://ann:secret@host/path");
    assert!(printed.contains("\"ftp\" is no kind of server that is known"), "{printed}");
    assert!(printed.contains("exit status 2") && !printed.contains("secret"), "{printed}");

    let runtime = Runtime::new().unwrap();
    let Some(server) = runtime.block_on(Server::start()) else { return };
    runtime.block_on(async {
        let client = server.client().await;
        client.batch_execute("create role reader login").await.unwrap();
    });
    let url = format!("postgres://reader@127.0.0.1:{}/postgres", server.port);
    let printed = told(&format!("doctor {url}"));
    assert!(printed.contains("the user needs the right to create one"), "{printed}");
    assert!(printed.contains("exit status 3"), "{printed}");
}

#[test]
fn a_server_that_never_answers_is_not_waited_for_without_end() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let printed = told(&format!("doctor postgres://ann@127.0.0.1:{port}/postgres"));
    assert!(
        printed.contains("no answer within 10s") && printed.contains("exit status 3"),
        "{printed}"
    );
}

#[test]
fn a_failure_is_told_once_and_says_where_to_look() {
    let plain = [("AWS_ENDPOINT", "http://127.0.0.1:1"), ("AWS_SKIP_SIGNATURE", "true")];
    let printed = Dir::new().run_with("doctor s3://bucket", &plain);
    assert!(printed.contains("at AWS_ALLOW_HTTP=true\n"), "{printed}");
    assert_eq!(printed.matches("http://127.0.0.1:1").count(), 1, "{printed}");
}

/// All that the program prints about a bucket of a gateway.
fn told_of(arguments: &str, port: u16) -> String {
    let endpoint = format!("http://127.0.0.1:{port}");
    let of_bucket = [
        ("AWS_ENDPOINT", endpoint.as_str()),
        ("AWS_ALLOW_HTTP", "true"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_SKIP_SIGNATURE", "true"),
    ];
    let printed = Dir::new().run_with(arguments, &of_bucket);
    printed.split_once('\n').unwrap().1.to_owned()
}

#[test]
fn a_good_bucket_is_trusted_and_nothing_is_left_there() {
    let runtime = Runtime::new().unwrap();
    let Some(server) = runtime.block_on(bucket::Server::start()) else { return };
    let port = server.gateways()[0];
    let url = format!("s3://{}/trials", bucket::BUCKET);
    let printed = told_of(&format!("doctor {url} --rounds 10"), port);
    let trusted = format!("{url}: it can be trusted with a remote store");
    assert!(printed.starts_with(&trusted), "{printed}");
    assert!(printed.contains("10 of 10 rounds held"), "{printed}");
    // A client needs it although it does not encrypt. An error says: it is there.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = AmazonS3Builder::new()
        .with_endpoint(format!("http://127.0.0.1:{port}"))
        .with_bucket_name(bucket::BUCKET)
        .with_region("us-east-1")
        .with_client_options(ClientOptions::new().with_allow_http(true))
        .with_skip_signature(true)
        .build()
        .unwrap();
    let trials = Path::from("trials");
    let listed = |prefix| runtime.block_on(client.list_with_delimiter(Some(prefix))).unwrap();
    let left = listed(&trials);
    assert!(left.objects.is_empty(), "{left:?}");
    // SeaweedFS shows an empty folder, and in it the folder itself as an object of no bytes.
    for folder in &left.common_prefixes {
        let left = listed(folder);
        let is_empty = left.objects.iter().all(|object| object.size == 0);
        assert!(is_empty && left.common_prefixes.is_empty(), "{left:?}");
    }
    let printed = told_of("doctor s3://no-such-bucket/trials", port);
    assert!(printed.contains("cannot tell") && printed.contains("exit status 3"), "{printed}");
}
