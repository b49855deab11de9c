//! A store that is lost to this process: another holder, a server that has lost saves, no record.

use repl_checkpoint::{RecoverErrorKind, RemoteError};

use super::server::{self, Client, Fault};
use super::{
    ONE, assert_frozen, found, is_fenced, is_regressed, is_vanished, marks, remote, save,
    saved_twice, start, start_with,
};

#[test]
fn a_process_that_was_taken_over_is_fenced_and_learns_by_whom_and_since_when() {
    let client = Client::new("a");
    let mut old = saved_twice(&client);
    let mut new = start(&client.named("b"));
    old.state.advance(ONE, 3);
    let error = remote(save(&mut old.checkpointer));
    let held = client.data().held.unwrap();
    match &error {
        RemoteError::Fenced { by, holder, since, .. } => {
            assert_eq!((by.as_str(), holder, since), ("b", &held.lease.holder, &held.since));
        }
        other => panic!("{other:?}"),
    }
    let rest = "(holder 00000000000000000000000000000002, 1970-01-01 00:00:02 UTC): stop applying, \
                and end this process";
    assert_eq!(error.to_string(), format!("fenced: the server was taken over by \"b\" {rest}"));
    let RemoteError::Fenced { place, holder, since, .. } = error else { panic!("{error:?}") };
    let unnamed = RemoteError::Fenced { place, holder, since, by: String::new() };
    let said = format!("fenced: the server was taken over by an unnamed process {rest}");
    assert_eq!(unnamed.to_string(), said);
    assert_frozen(&mut old, &client, is_fenced);
    new.state.advance(ONE, 5);
    save(&mut new.checkpointer).unwrap();
    assert_eq!(found(&client), Some(5));
}

#[test]
fn a_save_in_doubt_of_a_process_that_was_taken_over_is_fenced_and_never_counts() {
    for fault in [Fault::LostAfter, Fault::LostBefore, Fault::Late] {
        let client = Client::new("a");
        let mut old = saved_twice(&client);
        old.state.advance(ONE, 3);
        client.plant(&[fault]);
        remote(save(&mut old.checkpointer));
        let new = start(&client.named("b"));
        let before = client.data();
        client.deliver();
        assert_eq!(client.data(), before);
        assert_frozen(&mut old, &client, is_fenced);
        assert_eq!(marks(&old), (Some(2), Some(1)));
        drop(new);
    }
}

#[test]
fn a_copy_of_this_process_that_saves_too_is_fenced() {
    let client = Client::new("a");
    let mut follower = saved_twice(&client);
    let mut data = client.data();
    let mut copy = data.kept.last().cloned().unwrap();
    copy.generation += 1; // the next generation, with other marks
    data.held.as_mut().unwrap().generation = copy.generation;
    data.kept.push(copy);
    client.restore(data);
    follower.state.advance(ONE, 3);
    let error = remote(save(&mut follower.checkpointer));
    assert!(matches!(error, RemoteError::InDoubt { .. }), "{error:?}");
    let error = remote(save(&mut follower.checkpointer));
    assert!(is_fenced(&error), "{error:?}");
    assert_frozen(&mut follower, &client, is_fenced);
}

#[test]
fn a_server_that_lost_acknowledged_saves_or_leases_is_regressed() {
    let client = Client::new("a");
    let before_start = {
        drop(saved_twice(&client));
        client.data()
    };
    let mut follower = start(&client);
    let before_save = client.data();
    follower.state.advance(ONE, 3);
    save(&mut follower.checkpointer).unwrap();
    let expected = follower.checkpointer.witness();
    client.restore(before_save.clone());
    match remote(save(&mut follower.checkpointer)) {
        RemoteError::Regressed { expected: e, found, .. } => {
            assert_eq!((e, found.generation), (expected, expected.generation - 1));
        }
        other => panic!("{other:?}"),
    }
    assert_frozen(&mut follower, &client, is_regressed);

    let mut follower = start(&client);
    client.restore(before_start);
    let error = remote(save(&mut follower.checkpointer));
    assert_says_how_to_go_on(&error);
    assert!(is_regressed(&error), "the lease is lost, and not taken: {error:?}");
    assert_frozen(&mut follower, &client, is_regressed);
}

/// In one message: a copy is below the witness of this process.
fn assert_says_how_to_go_on(error: &RemoteError) {
    let said = error.to_string();
    assert!(said.contains("stop applying, ") && said.contains("restore a "), "{said}");
    assert!(said.ends_with("; then recover without a witness"), "{said}");
}

#[test]
fn a_doubt_at_a_server_that_lost_acknowledged_saves_is_regressed() {
    let client = Client::new("a");
    let mut follower = start(&client);
    let lost = client.data();
    follower.state.advance(ONE, 1);
    save(&mut follower.checkpointer).unwrap();
    follower.state.advance(ONE, 2);
    client.plant(&[Fault::LostAfter]);
    remote(save(&mut follower.checkpointer));
    client.restore(lost);
    let error = remote(save(&mut follower.checkpointer));
    assert!(is_regressed(&error), "{error:?}");
    assert_frozen(&mut follower, &client, is_regressed);
    assert_eq!(marks(&follower), (Some(1), None));
}

#[test]
fn a_store_whose_record_is_gone_has_vanished_and_is_no_new_one() {
    let client = Client::new("a");
    let mut follower = saved_twice(&client);
    let witness = follower.checkpointer.witness();
    client.restore(server::Data::default());
    follower.state.advance(ONE, 3);
    let error = remote(save(&mut follower.checkpointer));
    assert!(is_vanished(&error), "{error:?}");
    assert_says_how_to_go_on(&error);
    assert_frozen(&mut follower, &client, is_vanished);
    for _ in 0..2 {
        match start_with(&client, Some(witness)) {
            Err(RecoverErrorKind::Remote(error)) => assert!(is_vanished(&error), "{error:?}"),
            other => panic!("{other:?}"),
        }
        assert_eq!(client.data(), server::Data::default());
    }
}
