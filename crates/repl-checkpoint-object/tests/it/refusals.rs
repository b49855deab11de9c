//! Writes that are refused: the condition was false, or our own success was sent twice.

use object_store::ObjectStoreExt;
use object_store::path::Path;
use repl_checkpoint::{Held, RemoteFailure};
use repl_checkpoint_object::BucketError;

use crate::classes::{
    AT, Class, bucket_error, class, conflict, newest, precondition, save, take_over, taken, timeout,
};
use crate::support::client::{Fault, Scripted, Sent};
use crate::support::{Any, field, overwrite, raw, store};

#[tokio::test]
async fn a_refusal_of_our_own_save_that_was_sent_twice_is_a_success() {
    for error in [precondition, conflict] {
        let (scripted, client, mut store, held) = taken().await;
        scripted.at_put(Fault::FailsAfter(error()));
        save(&mut store, &held, b"one").await.unwrap();
        assert_eq!(scripted.sent(), [Sent::Update, Sent::Get]);
        let next = Held { generation: 1, ..held };
        save(&mut store, &next, b"two").await.unwrap();
        assert_eq!(field(&raw(&client, AT).await, "kept"), "2:3,1:3");
    }
}

#[tokio::test]
async fn a_refusal_where_another_process_wrote_equal_content_is_no_success() {
    let (scripted, client, mut store, held) = taken().await;
    // A copy of this process: the same lease, generation and bytes, and another nonce.
    let mut copy = crate::support::store(&client, AT);
    let before = raw(&client, AT).await;
    save(&mut copy, &held, b"one").await.unwrap();
    let after = raw(&client, AT).await;
    overwrite(&client, AT, before).await;
    newest(&mut store).await;
    scripted.sent();
    scripted.at_put(Fault::Overtaken(after));
    match save(&mut store, &held, b"one").await {
        Err(RemoteFailure::Refused(Some(found))) => {
            assert_eq!((found.lease, found.generation), (held.lease, 1));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(scripted.sent(), [Sent::Update, Sent::Get]);
}

#[tokio::test]
async fn a_refusal_is_read_before_it_is_believed() {
    let (scripted, client, mut store, held) = taken().await;
    // Refused, and yet the object is what it was: the write is made again.
    scripted.at_put(Fault::Fails(precondition()));
    save(&mut store, &held, b"one").await.unwrap();
    assert_eq!(scripted.sent(), [Sent::Update, Sent::Get, Sent::Update]);
    // Refused, and the object is another holder's.
    let mut new = crate::support::store(&client, AT);
    let taken = take_over(&mut new).await.unwrap();
    let held = Held { generation: 1, ..held };
    match save(&mut store, &held, b"two").await {
        Err(RemoteFailure::Refused(Some(found))) => assert_eq!(found, taken),
        other => panic!("{other:?}"),
    }
    // Refused, and no object is there.
    client.delete(&Path::from(AT)).await.unwrap();
    match save(&mut new, &taken, b"three").await {
        Err(RemoteFailure::Refused(None)) => {}
        other => panic!("{other:?}"),
    }
    // Refused, and it cannot be read: it may be our own, sent twice.
    let (scripted, _, mut store, held) = self::taken().await;
    scripted.at_put(Fault::FailsAfter(precondition()));
    scripted.at_get(Fault::Fails(timeout()));
    assert_eq!(class(&save(&mut store, &held, b"one").await), Class::InDoubt);
}

#[tokio::test]
async fn a_create_that_is_refused_reads_and_goes_on() {
    for error in [conflict, precondition] {
        // Nothing is there: created again.
        let scripted = Scripted::new();
        let client: Any = scripted.clone();
        scripted.at_put(Fault::Fails(error()));
        let held = take_over(&mut store(&client, AT)).await.unwrap();
        assert_eq!((held.lease.token, held.generation), (1, 0));
        assert_eq!(scripted.sent(), [Sent::Get, Sent::Create, Sent::Get, Sent::Create]);
        // Our own is there.
        let scripted = Scripted::new();
        let client: Any = scripted.clone();
        scripted.at_put(Fault::FailsAfter(error()));
        let mut own = store(&client, AT);
        let held = take_over(&mut own).await.unwrap();
        assert_eq!(held.lease.token, 1);
        assert_eq!(scripted.sent(), [Sent::Get, Sent::Create, Sent::Get]);
        save(&mut own, &held, b"one").await.unwrap();
    }
}

#[tokio::test]
async fn a_takeover_that_is_overtaken_takes_over_from_the_other() {
    let (_, client, mut other, held) = taken().await;
    save(&mut other, &held, b"one").await.unwrap();
    let theirs = raw(&client, AT).await;
    let scripted = Scripted::new();
    let client: Any = scripted.clone();
    scripted.at_put(Fault::Overtaken(theirs));
    let ours = take_over(&mut store(&client, AT)).await.unwrap();
    assert_eq!((ours.lease.token, ours.generation), (2, 1));
    assert_ne!(ours.lease.holder, held.lease.holder);
    let object = raw(&client, AT).await;
    assert_eq!(field(&object, "kept"), "1:3");
    assert!(object.ends_with(b"one"));
}

#[tokio::test]
async fn a_takeover_that_is_overtaken_each_time_ends_in_doubt() {
    let (_, client, mut other, _) = taken().await;
    let scripted = Scripted::new();
    for _ in 0..8 {
        take_over(&mut other).await.unwrap();
        scripted.at_put(Fault::Overtaken(raw(&client, AT).await));
    }
    let client: Any = scripted.clone();
    let result = take_over(&mut store(&client, AT)).await;
    assert_eq!(class(&result), Class::InDoubt);
    assert!(matches!(bucket_error(&result), BucketError::Contended { times: 8, .. }));
}
