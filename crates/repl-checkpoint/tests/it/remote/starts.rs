//! What a start makes of a store.

use repl_checkpoint::{JsonCodec, OnCorrupt, RecoverErrorKind, RemoteError, recover_remote};
use smol::block_on;

use super::server::{Client, Fault};
use super::{ONE, found, is_regressed, is_vanished, save, saved_twice, start, start_with};

#[test]
fn a_record_whose_checkpoints_are_gone_is_never_a_fresh_start() {
    let client = Client::new("a");
    drop(saved_twice(&client));
    let mut data = client.data();
    data.kept.pop();
    client.restore(data.clone());
    match start_with(&client, None) {
        Err(RecoverErrorKind::Remote(error)) => assert!(is_regressed(&error), "{error:?}"),
        other => panic!("{other:?}"),
    }
    data.kept.clear();
    client.restore(data);
    match start_with(&client, None) {
        Err(RecoverErrorKind::Remote(error)) => assert!(is_vanished(&error), "{error:?}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_witness_shows_after_a_restart_that_the_server_lost_acknowledged_saves() {
    let client = Client::new("a");
    let mut follower = saved_twice(&client);
    let lost = client.data();
    follower.state.advance(ONE, 3);
    save(&mut follower.checkpointer).unwrap();
    let witness = follower.checkpointer.witness();
    assert_eq!(witness.generation, 3);
    drop(follower);
    client.restore(lost.clone());
    for _ in 0..2 {
        match start_with(&client, Some(witness)) {
            Err(RecoverErrorKind::Remote(error)) => assert!(is_regressed(&error), "{error:?}"),
            other => panic!("{other:?}"),
        }
        assert_eq!(client.data(), lost, "nothing was taken over");
    }
    let again = start_with(&client, None).unwrap();
    assert_eq!(again.state.applied_seqno(ONE), Some(2));
    let next = again.checkpointer.witness();
    start_with(&client, Some(next)).unwrap();
}

#[test]
fn a_takeover_whose_answer_was_lost_is_made_again() {
    let client = Client::new("a");
    drop(saved_twice(&client));
    client.plant(&[Fault::LostAfter]);
    match start_with(&client, None) {
        Err(RecoverErrorKind::Remote(RemoteError::InDoubt { .. })) => {}
        other => panic!("{other:?}"),
    }
    let mut follower = start(&client);
    follower.state.advance(ONE, 3);
    save(&mut follower.checkpointer).unwrap();
    assert_eq!(found(&client), Some(3));
}

#[test]
fn a_damaged_checkpoint_is_refused_or_the_one_before_it_is_used() {
    let client = Client::new("a");
    drop(saved_twice(&client));
    let mut data = client.data();
    data.kept.last_mut().unwrap().bytes[200] ^= 1;
    client.restore(data);
    match start_with(&client, None) {
        Err(RecoverErrorKind::Corrupt { older: Some((1, _)), .. }) => {}
        other => panic!("{other:?}"),
    }
    let recovery = recover_remote(client.clone(), JsonCodec, &[ONE], OnCorrupt::FallBack, None);
    let mut follower = block_on(recovery).unwrap();
    assert_eq!(follower.state.applied_seqno(ONE), Some(1));
    follower.state.advance(ONE, 4);
    save(&mut follower.checkpointer).unwrap();
    assert_eq!(client.data().held.unwrap().generation, 3);
    assert_eq!(found(&client), Some(4));
}
