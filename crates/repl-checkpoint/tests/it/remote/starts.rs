//! What a start makes of a store.

use repl_checkpoint::{JsonCodec, OnCorrupt, RecoverErrorKind, RemoteError, recover_remote};
use smol::block_on;

use super::server::{Client, Fault};
use super::{ONE, found, is_regressed, save, saved_twice, start, start_with};

#[test]
fn a_record_whose_checkpoints_are_gone_is_never_a_fresh_start() {
    let client = Client::new("a");
    drop(saved_twice(&client));
    let mut data = client.data();
    data.kept.pop();
    client.restore(data.clone());
    assert_bytes_are_gone(&start_with(&client, None).unwrap_err());
    let fallen = recover_remote(client.clone(), JsonCodec, &[ONE], OnCorrupt::FallBack, None);
    assert_eq!(block_on(fallen).unwrap().state.applied_seqno(ONE), Some(1));
    data.kept.clear();
    client.restore(data);
    assert_bytes_are_gone(&start_with(&client, None).unwrap_err());
    let fallen = recover_remote(client, JsonCodec, &[ONE], OnCorrupt::FallBack, None);
    assert_bytes_are_gone(&block_on(fallen).unwrap_err());
}

fn assert_bytes_are_gone(error: &RecoverErrorKind) {
    match error {
        RecoverErrorKind::Remote(RemoteError::Vanished { generation: Some(2), .. }) => {}
        other => panic!("{other:?}"),
    }
    assert!(!error.may_pass());
    let said = error.to_string();
    for part in ["a record of generation 2, and its bytes are gone", "put them back", "FallBack"] {
        assert!(said.contains(part), "{said}");
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
    let error = start_with(&client, None).unwrap_err();
    assert!(matches!(error, RecoverErrorKind::Remote(RemoteError::InDoubt { .. })), "{error:?}");
    assert!(error.may_pass());
    let said = "in doubt: the takeover of the server may have happened or not: call recover again";
    assert_eq!(error.to_string(), said);
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
    let error = start_with(&client, None).unwrap_err();
    match &error {
        RecoverErrorKind::Corrupt { older: Some((1, _)), .. } => assert!(!error.may_pass()),
        other => panic!("{other:?}"),
    }
    let said = "checkpoint generation 2 of the server is damaged; generation 1 in the server is \
                whole: recover with OnCorrupt::FallBack to use it";
    assert_eq!(error.to_string(), said);
    let recovery = recover_remote(client.clone(), JsonCodec, &[ONE], OnCorrupt::FallBack, None);
    let mut follower = block_on(recovery).unwrap();
    assert_eq!(follower.state.applied_seqno(ONE), Some(1));
    follower.state.advance(ONE, 4);
    save(&mut follower.checkpointer).unwrap();
    assert_eq!(client.data().held.unwrap().generation, 3);
    assert_eq!(found(&client), Some(4));
}
