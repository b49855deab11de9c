//! Saves of 64 shards to an object of a SeaweedFS server on loopback, vs one bare conditional put
//! of as many bytes.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a bench may stop")]
#![expect(clippy::print_stdout, reason = "says why a bench is skipped")]

#[cfg(unix)]
#[path = "../../crates/repl-checkpoint-object/tests/it/support/server.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod server;

use benches::rounds::criterion_of_servers;
use criterion::{Criterion, criterion_group, criterion_main};

#[cfg(unix)]
mod unix {
    use std::sync::Arc;

    use benches::dense_ids;
    use benches::rounds::{ROUNDS_OF_SERVERS, contender, rounds_of};
    use criterion::Criterion;
    use object_store::aws::{AmazonS3, AmazonS3Builder};
    use object_store::path::Path;
    use object_store::{
        ClientOptions, ObjectStore, ObjectStoreExt, PutMode, PutOptions, RetryConfig, UpdateVersion,
    };
    use repl_checkpoint::{JsonCodec, OnCorrupt, RemoteRecovered, Saved, StoreId, recover_remote};
    use repl_checkpoint_object::BucketStore;
    use tokio::runtime::Builder;

    use crate::server::{BUCKET, Server};

    const SHARDS: u64 = 64;

    fn client(server: &Server) -> AmazonS3 {
        // A client needs it although it does not encrypt. An error says: it is there.
        let _ = rustls::crypto::ring::default_provider().install_default();
        AmazonS3Builder::new()
            .with_endpoint(format!("http://127.0.0.1:{}", server.gateways()[0]))
            .with_bucket_name(BUCKET)
            .with_region("us-east-1")
            .with_client_options(ClientOptions::new().with_allow_http(true))
            .with_skip_signature(true)
            .with_retry(RetryConfig { max_retries: 0, ..RetryConfig::default() })
            .build()
            .unwrap()
    }

    /// Moves every mark, and saves: snapshot, encoding and all that follows.
    async fn save(follower: &mut RemoteRecovered<BucketStore>, mark: &mut u64) {
        *mark += 1;
        for id in dense_ids(SHARDS) {
            follower.state.advance(id, *mark);
        }
        let attempt = follower.checkpointer.begin().await.unwrap().unwrap();
        let saved = follower.checkpointer.save(attempt).await.unwrap();
        assert!(matches!(saved, Saved::Written(_)));
    }

    /// An object that is written on the condition that it is what the last put made it.
    ///
    /// Its bytes are those that ours wrote, and stay text: SeaweedFS compresses text, and that takes
    /// it a tenth of a put.
    struct Bare {
        client: AmazonS3,
        path: Path,
        bytes: Vec<u8>,
        /// Where the digits of the nonce are.
        nonce: usize,
        version: UpdateVersion,
    }

    impl Bare {
        async fn put(&mut self, number: u64) {
            let digits = format!("{number:032x}"); // its ETag is the hash of the bytes
            self.bytes[self.nonce..][..digits.len()].copy_from_slice(digits.as_bytes());
            let options = PutOptions::from(PutMode::Update(self.version.clone()));
            let payload = self.bytes.clone().into();
            let put = self.client.put_opts(&self.path, payload, options).await.unwrap();
            self.version = put.into();
        }
    }

    pub(crate) fn save_64(c: &mut Criterion) {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let Some(server) = runtime.block_on(Server::start()) else { return };
        let (mut follower, mut bare) = runtime.block_on(prepare(&server));
        let (mut mark, mut number) = (1_000_000, 0);
        let contenders = vec![
            contender("ours", |b| {
                b.iter(|| runtime.block_on(save(&mut follower, &mut mark)));
            }),
            contender("bare_put", |b| {
                b.iter(|| {
                    number += 1;
                    runtime.block_on(bare.put(number));
                });
            }),
        ];
        rounds_of(c, ROUNDS_OF_SERVERS, "object_save_64", contenders);
    }

    async fn prepare(server: &Server) -> (RemoteRecovered<BucketStore>, Bare) {
        let path = Path::from("ours");
        let store = BucketStore::new(Arc::new(client(server)), path.clone(), StoreId::UNNAMED);
        let ids = dense_ids(SHARDS);
        let recovered =
            recover_remote(store.sends_once(), JsonCodec, &ids[..], OnCorrupt::Fail, None);
        let mut follower = recovered.await.unwrap();
        let mut mark = 999_990;
        for _ in 0..3 {
            save(&mut follower, &mut mark).await; // until it keeps as much as it ever will
        }
        let client = client(server);
        let bytes = client.get(&path).await.unwrap().bytes().await.unwrap().to_vec();
        let path = Path::from("bare");
        let put = client.put(&path, bytes.clone().into()).await.unwrap();
        let nonce = bytes.windows(6).position(|at| at == b"nonce=").unwrap() + 6;
        (follower, Bare { client, path, bytes, nonce, version: put.into() })
    }
}

fn save_64(c: &mut Criterion) {
    #[cfg(unix)]
    unix::save_64(c);
    #[cfg(not(unix))]
    println!("skipped: the server is started on Unix alone");
}

criterion_group! { name = saves; config = criterion_of_servers(); targets = save_64 }
criterion_main!(saves);
