//! PostgreSQL: a schema of its own for the tables, which is dropped at the end.

use std::time::Duration;

use repl_checkpoint::StoreId;
use repl_checkpoint_postgres::PostgresStore;
use tokio_postgres::{Client, Config, NoTls};

use super::Server;
use crate::commands::doctor::Check;
use crate::wording::with_causes;

pub(super) struct Postgres {
    client: Client,
    url: String,
    schema: String,
}

impl Server for Postgres {
    const NAME: &str = "postgres";
    const LOOK_AT: &str = "look at the host, port, user and database of the URL, and at the log of \
                           the server";

    type Store = PostgresStore;

    async fn prepare(url: &str) -> Result<(Self, Vec<Check>), String> {
        let config = config(url)?;
        let (client, connection) =
            config.connect(NoTls).await.map_err(|error| failed("connect", &error))?;
        tokio::spawn(connection);
        let checks = settings(&client).await.map_err(|error| failed("read settings", &error))?;
        let schema = format!("repl_doctor_{}", super::Config::default().record);
        let create = format!("create schema {schema}");
        client.batch_execute(&create).await.map_err(|error| {
            let why = "the user needs the right to create one in this database";
            format!("{}; {why}", failed("create a schema for the trial", &error))
        })?;
        Ok((Postgres { client, url: url.to_owned(), schema }, checks))
    }

    fn target(&self) -> String {
        format!("{} {}", self.schema, self.url)
    }

    fn open(target: &str, record: StoreId) -> Result<PostgresStore, String> {
        let (schema, url) = target.split_once(' ').ok_or("no schema is named")?;
        let mut config = config(url)?;
        let options = config.get_options().unwrap_or_default();
        let options = format!("{options} -c search_path={schema}");
        config.options(options.trim());
        Ok(PostgresStore::new(config, record).named("replctl doctor"))
    }

    async fn clean_up(self) -> Result<(), String> {
        let Postgres { client, schema, .. } = self;
        let drop = format!("drop schema {schema} cascade");
        client.batch_execute(&drop).await.map_err(|error| {
            format!("{}: run \"{drop}\" there", failed("remove what was made", &error))
        })
    }
}

fn config(url: &str) -> Result<Config, String> {
    let mut config: Config = url.parse().map_err(|error| failed("read the URL", &error))?;
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(Duration::from_secs(10));
    }
    Ok(config)
}

fn failed(act: &str, error: &tokio_postgres::Error) -> String {
    format!("failed to {act}: {}", with_causes(error))
}

/// The settings on which the promises depend, and which no trial without a crash shows.
async fn settings(client: &Client) -> Result<Vec<Check>, tokio_postgres::Error> {
    let sql = "select current_setting('server_version_num')::int / 10000, current_setting('fsync'),
        current_setting('full_page_writes'), current_setting('synchronous_standby_names'),
        exists (select from pg_stat_replication)";
    let row = client.query_one(sql, &[]).await?;
    let mut checks = vec![Check::good("server", format!("PostgreSQL {}", row.get::<_, i32>(0)))];
    if row.get::<_, &str>(1) != "on" {
        let found = "it is off: a crash of the machine takes acknowledged saves";
        checks.push(Check::broken("fsync", found));
    }
    if row.get::<_, &str>(2) != "on" {
        let found = "full_page_writes is off: a crash of the machine may leave torn pages, \
                     unless the filesystem prevents that";
        checks.push(Check::warning("page writes", found));
    }
    if row.get::<_, &str>(3).is_empty() && row.get::<_, bool>(4) {
        let found = "there are standbys, and none is synchronous: if one takes over, acknowledged \
                     saves may be lost";
        checks.push(Check::warning("standbys", found));
    }
    Ok(checks)
}
