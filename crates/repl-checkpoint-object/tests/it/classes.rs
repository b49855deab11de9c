//! What each error of a client means: unavailable, in doubt, or refused.

use std::io;
use std::sync::Arc;

use object_store::Error;
use object_store::path::Path;
use repl_checkpoint::{Acquire, Held, RemoteFailure, RemoteSave, RemoteStore};
use repl_checkpoint_object::{BucketError, BucketStore};

use crate::support::client::{Fault, Scripted, Sent};
use crate::support::{Any, STORE, field, raw, store};

pub(crate) const AT: &str = "follower";

pub(crate) fn why(text: &'static str) -> Box<dyn std::error::Error + Send + Sync> {
    text.into()
}

pub(crate) fn precondition() -> Error {
    Error::Precondition { path: AT.to_owned(), source: why("412") }
}

pub(crate) fn conflict() -> Error {
    Error::AlreadyExists { path: AT.to_owned(), source: why("409") }
}

pub(crate) fn timeout() -> Error {
    Error::Generic { store: "S3", source: why("the answer did not come") }
}

pub(crate) fn io_error(kind: io::ErrorKind) -> Error {
    let cause = BucketError::Client {
        act: "connect to",
        path: Path::from(AT),
        source: Error::Generic { store: "S3", source: Box::new(io::Error::from(kind)) },
    };
    Error::Generic { store: "S3", source: Box::new(cause) }
}

pub(crate) async fn take_over(store: &mut BucketStore) -> Result<Held, RemoteFailure> {
    store.acquire(Acquire::TakeOver { at_least: None }).await
}

pub(crate) async fn save(
    store: &mut BucketStore,
    held: &Held,
    bytes: &[u8],
) -> Result<(), RemoteFailure> {
    let Held { lease, generation: previous, .. } = *held;
    store.save(RemoteSave { lease, previous, generation: previous + 1, bytes }).await
}

/// A store that was taken over, and its client.
pub(crate) async fn taken() -> (Arc<Scripted>, Any, BucketStore, Held) {
    let scripted = Scripted::new();
    let client: Any = scripted.clone();
    let mut store = store(&client, AT);
    let held = take_over(&mut store).await.unwrap();
    scripted.sent();
    (scripted, client, store, held)
}

#[derive(Debug, PartialEq)]
pub(crate) enum Class {
    Unavailable,
    InDoubt,
    Refused,
}

pub(crate) fn class<T: std::fmt::Debug>(result: &Result<T, RemoteFailure>) -> Class {
    match result {
        Err(RemoteFailure::Unavailable(_)) => Class::Unavailable,
        Err(RemoteFailure::InDoubt(_)) => Class::InDoubt,
        Err(RemoteFailure::Refused(_)) => Class::Refused,
        Ok(_) => panic!("{result:?}"),
    }
}

pub(crate) fn bucket_error<T: std::fmt::Debug>(result: &Result<T, RemoteFailure>) -> &BucketError {
    match result {
        Err(RemoteFailure::Unavailable(why) | RemoteFailure::InDoubt(why)) => {
            why.downcast_ref().unwrap()
        }
        other => panic!("{other:?}"),
    }
}

/// The newest generation of the object, which the store then knows.
pub(crate) async fn newest(store: &mut BucketStore) -> Option<u64> {
    store.load(9).await.unwrap().map(|kept| kept.generation)
}

#[tokio::test]
async fn each_error_of_a_write_has_the_documented_class() {
    type Case = (&'static str, fn() -> Error, Class, Class);
    use Class::{InDoubt, Unavailable};
    let cases: [Case; 10] = [
        // what, the error, its class where the client sends once, and where it may send again
        (
            "403",
            || Error::PermissionDenied { path: AT.into(), source: why("403") },
            Unavailable,
            InDoubt,
        ),
        (
            "401",
            || Error::Unauthenticated { path: AT.into(), source: why("401") },
            Unavailable,
            InDoubt,
        ),
        ("404", || Error::NotFound { path: AT.into(), source: why("404") }, Unavailable, InDoubt),
        ("refused connection", || io_error(io::ErrorKind::ConnectionRefused), Unavailable, InDoubt),
        ("cut connection", || io_error(io::ErrorKind::ConnectionReset), InDoubt, InDoubt),
        ("broken pipe", || io_error(io::ErrorKind::BrokenPipe), InDoubt, InDoubt),
        ("500, 429, 400 or a time limit", timeout, InDoubt, InDoubt),
        (
            "disabled",
            || Error::NotImplemented { operation: "put".into(), implementer: "S3".into() },
            Unavailable,
            Unavailable,
        ),
        ("not supported", || Error::NotSupported { source: why("no") }, Unavailable, Unavailable),
        (
            "no path",
            || object_store::path::Error::EmptySegment { path: AT.into() }.into(),
            Unavailable,
            Unavailable,
        ),
    ];
    for (what, error, once, again) in cases {
        for (sends_once, expected) in [(true, once), (false, again)] {
            let (scripted, client, mut store, held) = taken().await;
            if !sends_once {
                store = BucketStore::new(client.clone(), Path::from(AT), STORE);
                store.load(0).await.unwrap();
            }
            let before = raw(&client, AT).await;
            scripted.at_put(Fault::Fails(error()));
            let result = save(&mut store, &held, b"x").await;
            assert_eq!(class(&result), expected, "{what}, sent once: {sends_once}: {result:?}");
            assert_eq!(raw(&client, AT).await, before);
            save(&mut store, &held, b"x").await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_read_that_fails_before_a_write_is_unavailable_and_nothing_is_sent() {
    let (scripted, client, _, held) = taken().await;
    for error in [timeout(), io_error(io::ErrorKind::ConnectionReset)] {
        let mut other = store(&client, AT);
        scripted.at_get(Fault::Fails(error));
        assert_eq!(class(&save(&mut other, &held, b"x").await), Class::Unavailable);
        assert_eq!(scripted.sent(), [Sent::Get]);
        scripted.at_get(Fault::Fails(timeout()));
        assert_eq!(class(&other.load(9).await), Class::Unavailable);
        scripted.sent();
    }
}

#[tokio::test]
async fn nothing_is_written_without_a_condition() {
    let (scripted, client, mut known, held) = taken().await;
    // The answer to a write has no version: it is read before the next.
    scripted.at_put(Fault::NoVersion);
    save(&mut known, &held, b"one").await.unwrap();
    let held = Held { generation: 1, ..held };
    save(&mut known, &held, b"two").await.unwrap();
    assert_eq!(scripted.sent(), [Sent::Update, Sent::Get, Sent::Update]);
    // Nor has a read: there is no condition to write on.
    let before = raw(&client, AT).await;
    scripted.sent();
    scripted.at_get(Fault::NoVersion);
    let result = take_over(&mut store(&client, AT)).await;
    assert_eq!(class(&result), Class::Unavailable);
    assert!(matches!(bucket_error(&result), BucketError::NoETag { .. }));
    assert_eq!(scripted.sent(), [Sent::Get]);
    assert_eq!(raw(&client, AT).await, before);
}

#[tokio::test]
async fn a_call_whose_future_was_dropped_leaves_a_store_that_reads_first() {
    let (scripted, _, mut store, held) = taken().await;
    scripted.at_put(Fault::Hangs);
    let limit = std::time::Duration::from_millis(20);
    assert!(tokio::time::timeout(limit, save(&mut store, &held, b"one")).await.is_err());
    scripted.sent();
    let renew = Acquire::Renew { lease: held.lease, token: held.lease.token + 1 };
    let renewed = store.acquire(renew).await.unwrap();
    assert_eq!((renewed.generation, renewed.lease.holder), (1, held.lease.holder));
    assert_eq!(scripted.sent(), [Sent::Get, Sent::Update]);
    assert_eq!(class(&store.acquire(renew).await), Class::Refused);
    assert_eq!(class(&save(&mut store, &held, b"one").await), Class::Refused);
    save(&mut store, &renewed, b"two").await.unwrap();
}

#[tokio::test]
async fn a_save_is_one_request_and_a_takeover_two() {
    let (scripted, client, mut known, held) = taken().await;
    save(&mut known, &held, b"one").await.unwrap();
    assert_eq!(scripted.sent(), [Sent::Update]);
    take_over(&mut store(&client, AT)).await.unwrap();
    assert_eq!(scripted.sent(), [Sent::Get, Sent::Update]);
    assert_eq!(newest(&mut known).await, Some(1));
    assert_eq!(scripted.sent(), [Sent::Get]);
}

#[tokio::test]
async fn a_name_is_kept_and_generations_are_kept_as_many_as_asked() {
    for (keep, expected) in [(0, "5:1,4:1"), (2, "5:1,4:1"), (4, "5:1,4:1,3:1,2:1")] {
        let client: Any = Scripted::new();
        let mut store = store(&client, AT).named("node 3").keep(keep);
        let mut held = take_over(&mut store).await.unwrap();
        assert_eq!(held.by, "node 3");
        for generation in 1..=5 {
            save(&mut store, &held, b"x").await.unwrap();
            held.generation = generation;
        }
        assert_eq!(field(&raw(&client, AT).await, "kept"), expected);
        for at_most in [5, 4] {
            assert_eq!(store.load(at_most).await.unwrap().unwrap().generation, at_most);
        }
        assert_eq!(store.load(0).await.unwrap(), None);
    }
}

#[tokio::test]
async fn an_object_that_is_too_large_is_not_read() {
    let (scripted, client, ..) = taken().await;
    for (length, is_read) in [(1 << 30, true), ((1 << 30) + 1, false)] {
        scripted.at_get(Fault::Length(length));
        let result = store(&client, AT).load(9).await;
        assert_eq!(result.is_ok(), is_read, "{result:?}");
        if !is_read {
            assert_eq!(class(&result), Class::Unavailable);
            let error = bucket_error(&result);
            assert!(matches!(error, BucketError::TooLarge { bytes, .. } if *bytes == length));
        }
    }
}

#[tokio::test]
async fn a_generation_that_is_not_above_the_last_leaves_an_object_that_can_be_read() {
    let (_, client, mut own, held) = taken().await;
    let first = RemoteSave { lease: held.lease, previous: 0, generation: 3, bytes: b"three" };
    own.save(first).await.unwrap();
    own.save(RemoteSave { previous: 3, generation: 2, bytes: b"two", ..first }).await.unwrap();
    assert_eq!(field(&raw(&client, AT).await, "kept"), "2:3");
    assert_eq!(newest(&mut own).await, Some(2));
}
