//! Objects that are damaged, of others, or too few.

use object_store::ObjectStoreExt;
use object_store::path::Path;
use repl_checkpoint::{
    JsonCodec, OnCorrupt, RecoverErrorKind, RemoteError, StoreId, recover_remote,
};
use repl_checkpoint_object::{BucketError, BucketStore};

use crate::support::client::Scripted;
use crate::support::{
    Any, ONE, assert_frozen, bucket_error, marks, overwrite, raw, refused_start, remote, save,
    start, start_with, store,
};

const AT: &str = "follower";

async fn saved_twice(client: &Any) -> crate::support::Follower {
    let mut follower = start(store(client, AT)).await;
    save(&mut follower, 1).await.unwrap();
    save(&mut follower, 2).await.unwrap();
    assert_eq!(marks(&follower), (Some(2), Some(1)));
    follower
}

#[tokio::test]
async fn a_damaged_or_foreign_object_is_named_and_never_overwritten() {
    type Case = (&'static str, fn(&[u8]) -> Vec<u8>, fn(&BucketError) -> bool);
    let cases: [Case; 6] = [
        ("empty", |_| Vec::new(), |e| matches!(e, BucketError::Empty { .. })),
        ("foreign", |_| b"hello".to_vec(), |e| matches!(e, BucketError::Foreign { .. })),
        ("cut", |o| o[..o.len() - 1].to_vec(), |e| matches!(e, BucketError::Damaged { .. })),
        ("long", |o| [o, b"x"].concat(), |e| matches!(e, BucketError::Damaged { .. })),
        ("changed", |o| change(o, 20), |e| matches!(e, BucketError::Damaged { .. })),
        (
            "later",
            |o| [b"repl-object 2", &o[13..]].concat(),
            |e| matches!(e, BucketError::Version { version, .. } if version == "2"),
        ),
    ];
    for (what, damage, is_it) in cases {
        let client: Any = Scripted::new();
        let mut follower = saved_twice(&client).await;
        let damaged = damage(&raw(&client, AT).await);
        overwrite(&client, AT, damaged.clone()).await;
        let error = remote(save(&mut follower, 3).await);
        assert!(!error.is_final() && is_it(bucket_error(&error)), "{what}: {error:?}");
        for at_least in [None, Some(follower.checkpointer.witness())] {
            let error = refused_start(start_with(store(&client, AT), at_least).await);
            assert!(is_it(bucket_error(&error)), "{what}: {error:?}");
            let said = bucket_error(&error).to_string();
            assert!(said.contains("the object follower "), "{said}");
            // It may be ours, overwritten: the next path would have no marks.
            let is_other = what == "empty" || what == "foreign";
            assert_eq!(said.contains("if a store was saved here, put a copy"), is_other, "{said}");
            assert_eq!(said.contains("follower is empty"), what == "empty", "{said}");
            assert!(matches!(error, RemoteError::Unavailable { .. }), "{what}: {error:?}");
        }
        assert_eq!(raw(&client, AT).await, damaged, "{what}");
        assert_eq!(marks(&follower), (Some(2), Some(1)));
    }
}

fn change(object: &[u8], at: usize) -> Vec<u8> {
    let mut changed = object.to_vec();
    changed[at] ^= 1;
    changed
}

#[tokio::test]
async fn the_object_of_another_store_is_refused_by_name() {
    let client: Any = Scripted::new();
    drop(saved_twice(&client).await);
    let before = raw(&client, AT).await;
    let other = BucketStore::new(client.clone(), Path::from(AT), StoreId(7));
    let error = refused_start(start_with(other, None).await);
    assert!(matches!(bucket_error(&error), BucketError::OtherStore { found, .. }
        if *found == crate::support::STORE));
    assert_eq!(raw(&client, AT).await, before);
}

#[tokio::test]
async fn a_damaged_checkpoint_in_a_whole_object_is_refused_or_the_one_before_it_is_used() {
    let client: Any = Scripted::new();
    drop(saved_twice(&client).await);
    let object = raw(&client, AT).await;
    let line = object.iter().position(|byte| *byte == b'\n').unwrap();
    overwrite(&client, AT, change(&object, line + 200)).await;
    match start_with(store(&client, AT), None).await {
        Err(RecoverErrorKind::Corrupt { older: Some((1, _)), .. }) => {}
        other => panic!("{other:?}"),
    }
    let fallen = recover_remote(store(&client, AT), JsonCodec, &[ONE], OnCorrupt::FallBack, None);
    assert_eq!(fallen.await.unwrap().state.applied_seqno(ONE), Some(1));
}

#[tokio::test]
async fn an_older_copy_of_the_object_is_regressed_and_a_deleted_one_vanished() {
    let client: Any = Scripted::new();
    let mut follower = saved_twice(&client).await;
    let older = raw(&client, AT).await;
    save(&mut follower, 3).await.unwrap();
    overwrite(&client, AT, older).await;
    let error = remote(save(&mut follower, 4).await);
    assert!(matches!(error, RemoteError::Regressed { .. }), "{error:?}");
    client.delete(&Path::from(AT)).await.unwrap();
    assert_frozen(&mut follower, |e| matches!(e, RemoteError::Regressed { .. })).await;
    let mut follower = saved_twice(&client).await;
    client.delete(&Path::from(AT)).await.unwrap();
    let error = remote(save(&mut follower, 3).await);
    assert!(matches!(error, RemoteError::Vanished { .. }), "{error:?}");
}
