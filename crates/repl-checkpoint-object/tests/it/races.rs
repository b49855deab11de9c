//! Processes that write one object at once, through two gateways.

use std::sync::Arc;

use object_store::path::Path;
use repl_checkpoint::{Acquire, Held, RemoteFailure, RemoteSave, RemoteStore};
use repl_checkpoint_object::BucketStore;

use crate::support::server::{BUCKET, Server};
use crate::support::{Any, STORE, raw, s3, store};

const WRITERS: usize = 4;

fn stores(server: &Server, path: &str) -> Vec<BucketStore> {
    let one = |i: usize| {
        let client: Any = Arc::new(s3(server.gateways()[i % 2], BUCKET, 3).build().unwrap());
        BucketStore::new(client, Path::from(path), STORE)
    };
    (0..WRITERS).map(one).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_saves_that_follow_one_record_exactly_one_succeeds() {
    let Some(server) = Server::shared().await else { return };
    let client: Any = Arc::new(s3(server.gateways()[0], BUCKET, 3).build().unwrap());
    let mut first = store(&client, "saves");
    let held = first.acquire(Acquire::TakeOver { at_least: None }).await.unwrap();
    let mut writers = stores(&server, "saves");
    for round in 0..10 {
        let tasks = writers.drain(..).enumerate().map(|(i, mut writer)| {
            let Held { lease, .. } = held;
            tokio::spawn(async move {
                let bytes = format!("round {round} of writer {i}").into_bytes();
                let save =
                    RemoteSave { lease, previous: round, generation: round + 1, bytes: &bytes };
                let result = writer.save(save).await;
                (writer, bytes, result)
            })
        });
        let mut won = Vec::new();
        for task in tasks.collect::<Vec<_>>() {
            let (writer, bytes, result) = task.await.unwrap();
            writers.push(writer);
            match result {
                Ok(()) => won.push(bytes),
                Err(RemoteFailure::Refused(Some(found))) => assert_eq!(found.lease, held.lease),
                Err(other) => panic!("{other:?}"),
            }
        }
        assert_eq!(won.len(), 1, "round {round}");
        let kept = first.load(round + 1).await.unwrap().unwrap();
        assert_eq!((kept.generation, &kept.bytes), (round + 1, &won[0]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn takeovers_at_once_get_tokens_of_their_own_and_the_last_one_holds() {
    let Some(server) = Server::shared().await else { return };
    let tasks = stores(&server, "takeovers").into_iter().map(|mut writer| {
        tokio::spawn(async move {
            let mut held = Vec::new();
            for _ in 0..5 {
                let result = writer.acquire(Acquire::TakeOver { at_least: None }).await;
                match result {
                    Ok(taken) => held.push(taken.lease),
                    Err(RemoteFailure::InDoubt(_)) => {} // overtaken each time
                    Err(other) => panic!("{other:?}"),
                }
            }
            held
        })
    });
    let mut leases = Vec::new();
    for task in tasks.collect::<Vec<_>>() {
        leases.extend(task.await.unwrap());
    }
    let mut tokens: Vec<u64> = leases.iter().map(|lease| lease.token).collect();
    tokens.sort_unstable();
    assert!(tokens.windows(2).all(|pair| pair[0] < pair[1]), "{tokens:?}");
    let last = leases.iter().max_by_key(|lease| lease.token).unwrap();
    let client: Any = Arc::new(s3(server.gateways()[0], BUCKET, 3).build().unwrap());
    let object = raw(&client, "takeovers").await;
    assert_eq!(crate::support::field(&object, "holder"), format!("{:032x}", last.holder));
}
