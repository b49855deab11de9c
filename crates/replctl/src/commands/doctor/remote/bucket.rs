//! A bucket: objects under a prefix of their own, which are removed at the end.

use std::sync::Arc;

use object_store::aws::{AmazonS3, AmazonS3Builder, S3ConditionalPut};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, RetryConfig};
use repl_checkpoint::StoreId;
use repl_checkpoint_object::BucketStore;

use super::Server;
use crate::commands::doctor::Check;
use crate::wording::with_causes;

pub(super) struct Bucket {
    client: AmazonS3,
    url: String,
    folder: Path,
}

impl Server for Bucket {
    const NAME: &str = "s3";
    const LOOK_AT: &str = "look at AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and \
                           AWS_ENDPOINT, whether the bucket is there, and, for http://, at \
                           AWS_ALLOW_HTTP=true";

    type Store = BucketStore;

    async fn prepare(url: &str) -> Result<(Self, Vec<Check>), String> {
        let client = client(url)?;
        let name = format!("repl-doctor-{}", super::Config::default().record);
        let folder = prefix(url).join(name);
        // A trial that could not list would leave its objects there.
        let listed = client.list_with_delimiter(Some(&folder)).await;
        listed.map_err(|error| failed("list objects", &error))?;
        let check = Check::good("server", format!("a bucket, tried below {folder}"));
        Ok((Bucket { client, url: url.to_owned(), folder }, vec![check]))
    }

    fn target(&self) -> String {
        format!("{} {}", self.folder, self.url)
    }

    fn open(target: &str, record: StoreId) -> Result<BucketStore, String> {
        let (folder, url) = target.split_once(' ').ok_or("no folder is named")?;
        let object = Path::from(folder).join(record.to_string());
        let store = BucketStore::new(Arc::new(client(url)?), object, record);
        Ok(store.named("replctl doctor").sends_once())
    }

    async fn clean_up(self) -> Result<(), String> {
        let Bucket { client, folder, .. } = self;
        let cleaned = async {
            for object in client.list_with_delimiter(Some(&folder)).await?.objects {
                client.delete(&object.location).await?;
            }
            Ok(())
        };
        cleaned.await.map_err(|error: object_store::Error| {
            format!("{}: delete {folder} there", failed("remove what was made", &error))
        })
    }
}

/// Where the URL points to, within the bucket.
fn prefix(url: &str) -> Path {
    let within = url.trim_start_matches("s3://").split_once('/').map_or("", |(_, within)| within);
    Path::from(within)
}

/// Keys, region and endpoint are in the environment, where other programs look for them too.
fn client(url: &str) -> Result<AmazonS3, String> {
    // An error says that it is there: each process of the race has many clients.
    let _ = rustls::crypto::ring::default_provider().install_default();
    AmazonS3Builder::from_env()
        .with_url(url)
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_retry(RetryConfig { max_retries: 0, ..RetryConfig::default() })
        .build()
        .map_err(|error| failed("read the URL and the variables AWS_*", &error))
}

fn failed(act: &str, error: &object_store::Error) -> String {
    format!("failed to {act}: {}", with_causes(error))
}
