//! A failed call gives back the store or the checkpointer that it was given.

use std::error::Error;
use std::io;
use std::process::Command;
use std::time::Duration;

use repl_checkpoint::{
    BackgroundCheckpointer, FileStore, JsonCodec, OnCorrupt, OpenStoreError, RecoverErrorKind,
    Schedule, SlotStore, Source, recover,
};
use repl_core::ShardId;

use crate::support::scripted::Scripted;
use crate::support::{
    AnyStore, Named, STORE, durable, loaded, marks, opened, put, recovered_from, save, sealed,
    try_recover,
};

const ONE: ShardId = ShardId(1);

#[test]
fn a_recovery_that_refuses_gives_the_store_back_to_fall_back_with() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), 1, &sealed(1, &marks(&[(1, 10)])));
    put(dir.path(), 2, b"");
    let error = try_recover(dir.path(), &[1], OnCorrupt::Fail).unwrap_err();
    assert!(matches!(FileStore::open(dir.path(), STORE), Err(OpenStoreError::Locked { .. })));
    let mut store = error.into_store();
    assert_eq!(loaded(&mut store).unwrap().len(), 2);
    let recovered = recover(store, JsonCodec, &[ONE], OnCorrupt::FallBack).unwrap();
    assert!(matches!(recovered.report.source, Source::FellBack { generation: 1, .. }));
}

#[test]
fn a_recovery_with_the_wrong_codec_gives_the_store_back_to_use_the_right_one() {
    fn check<S: AnyStore>() {
        let dir = tempfile::tempdir().unwrap();
        save(&mut recovered_from::<S>(dir.path(), &[1]).checkpointer);
        let error =
            recover(opened::<S>(dir.path()), Named("other"), &[ONE], OnCorrupt::Fail).unwrap_err();
        let (kind, store) = error.into_parts();
        assert!(matches!(kind, RecoverErrorKind::Refused { .. }), "{kind}");
        let mut recovered = recover(store, JsonCodec, &[ONE], OnCorrupt::Fail).unwrap();
        assert_eq!(save(&mut recovered.checkpointer), 2);
    }
    check::<FileStore>();
    check::<SlotStore>();
}

#[test]
fn the_directory_is_free_once_the_error_is_dropped() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), 1, b"");
    drop(try_recover(dir.path(), &[1], OnCorrupt::Fail).unwrap_err());
    drop(opened::<FileStore>(dir.path()));
}

#[test]
fn a_checkpointer_whose_thread_cannot_start_is_given_back() {
    let ran = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "given_back::where_no_thread_can_start", "--ignored"])
        .args(["--nocapture", "--test-threads=1"])
        // No address space has room for such a stack.
        .env("RUST_MIN_STACK", (1_u64 << 46).to_string())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success() && said.contains("saved 1"), "{said}");
}

#[test]
#[ignore = "run by another test, in a process that cannot start threads"]
fn where_no_thread_can_start() {
    let when = Schedule::every(Duration::from_secs(1));
    let follower = Scripted::default().recovered(&[1]);
    let spawned = follower.checkpointer.spawn(when, durable, |_| ());
    let error = spawned.map(BackgroundCheckpointer::close).unwrap_err();
    assert_eq!(error.to_string(), "failed to start the checkpointer's thread");
    assert!(error.source().is_some_and(<dyn Error>::is::<io::Error>));
    let mut checkpointer = error.into_checkpointer();
    println!("saved {}", save(&mut checkpointer));
}
