//! What recovery finds, and that it never falls back silently.

use std::path::Path;

use repl_checkpoint::{
    CheckpointError, CheckpointStore, Codec, CorruptReason, Generation, JsonCodec, LoadError,
    OnCorrupt, RecoverErrorKind, Recovered, Source, UnsealError, recover,
};
use repl_core::{SeqNo, ShardId};

use crate::protocol::{DIR, EIO};
use crate::support::faulty::{Fault, Faulty, How};
use crate::support::{
    contents, durable, file, marks, names, put, recovered, save, sealed, try_recover,
};

const ONE: ShardId = ShardId(1);

/// Writes generations 1 to `newest`, each at ten times its number; those in `damaged` are cut off.
fn generations(dir: &Path, newest: Generation, damaged: &[Generation]) {
    for generation in 1..=newest {
        let bytes = sealed(generation, &marks(&[(1, generation * 10)]));
        let length = bytes.len() - usize::from(damaged.contains(&generation));
        put(dir, generation, &bytes[..length]);
    }
}

fn fallen_back(dir: &Path) -> Recovered {
    try_recover(dir, &[1], OnCorrupt::FallBack).unwrap()
}

fn mark(recovered: &Recovered) -> SeqNo {
    recovered.state.applied_seqno(ONE).unwrap()
}

/// The generation that recovery fell back to, and the damaged files.
fn fell_back(recovered: &Recovered) -> (Generation, Vec<String>) {
    match &recovered.report.source {
        Source::FellBack { generation, damaged } => {
            let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
            (*generation, damaged.iter().map(|d| name(&d.path)).collect())
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_store_without_a_save_is_fresh() {
    let dir = tempfile::tempdir().unwrap();
    for on_corrupt in [OnCorrupt::Fail, OnCorrupt::FallBack] {
        let fresh = try_recover(dir.path(), &[1], on_corrupt).unwrap();
        assert!(matches!(fresh.report.source, Source::Fresh));
        assert_eq!(fresh.report.missing, [ONE]);
        assert_eq!(mark(&fresh), 0);
    }
}

#[test]
fn a_whole_newest_checkpoint_is_resumed_from() {
    let dir = tempfile::tempdir().unwrap();
    generations(dir.path(), 3, &[]);
    for on_corrupt in [OnCorrupt::Fail, OnCorrupt::FallBack] {
        let resumed = try_recover(dir.path(), &[1], on_corrupt).unwrap();
        assert!(matches!(resumed.report.source, Source::Resumed { generation: 3 }));
        assert_eq!(mark(&resumed), 30);
    }
}

#[test]
fn damage_below_the_newest_does_not_matter() {
    let dir = tempfile::tempdir().unwrap();
    generations(dir.path(), 3, &[1, 2]);
    assert_eq!(mark(&recovered(dir.path(), &[1])), 30);
}

#[test]
fn failing_is_the_default() {
    assert_eq!(OnCorrupt::default(), OnCorrupt::Fail);
}

#[test]
fn the_error_names_the_newest_file_its_reason_and_the_newest_whole_one() {
    let dir = tempfile::tempdir().unwrap();
    generations(dir.path(), 4, &[3, 4]);
    let error = try_recover(dir.path(), &[1], OnCorrupt::Fail).unwrap_err();
    let RecoverErrorKind::Corrupt { newest, older } = error.kind() else {
        panic!("{error}");
    };
    assert_eq!(newest.path, file(dir.path(), 4));
    assert!(matches!(newest.reason, CorruptReason::Unseal(UnsealError::Length { .. })));
    assert_eq!(*older, Some((2, file(dir.path(), 2))));
}

#[test]
fn falling_back_reports_every_damaged_one_the_newest_first() {
    let dir = tempfile::tempdir().unwrap();
    generations(dir.path(), 4, &[3, 4]);
    let found = fallen_back(dir.path());
    let damaged = vec![
        "00000000000000000004.checkpoint".to_owned(),
        "00000000000000000003.checkpoint".to_owned(),
    ];
    assert_eq!(fell_back(&found), (2, damaged));
    assert_eq!(mark(&found), 20);
}

#[test]
fn if_all_are_damaged_recovery_fails_whatever_the_caller_chose() {
    let dir = tempfile::tempdir().unwrap();
    generations(dir.path(), 2, &[1, 2]);
    let before = contents(dir.path());
    for on_corrupt in [OnCorrupt::Fail, OnCorrupt::FallBack] {
        let error = try_recover(dir.path(), &[1], on_corrupt).unwrap_err();
        assert!(matches!(error.kind(), RecoverErrorKind::Corrupt { older: None, .. }), "{error}");
        assert!(error.to_string().contains("no older one is whole"));
    }
    assert_eq!(contents(dir.path()), before);
}

#[test]
fn a_file_of_a_newer_version_below_damage_is_not_fallen_back_to() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), 3, b"");
    put(dir.path(), 2, b"repl-checkpoint v3 of a newer version");
    put(dir.path(), 1, &sealed(1, &marks(&[(1, 10)])));
    let error = try_recover(dir.path(), &[1], OnCorrupt::FallBack).unwrap_err();
    let RecoverErrorKind::Refused { refused, newer } = error.kind() else { panic!("{error}") };
    assert_eq!(refused.path, file(dir.path(), 2));
    assert_eq!(newer.len(), 1);
    assert_eq!(newer[0].path, file(dir.path(), 3));
    assert!(
        error.to_string().contains("00000000000000000003.checkpoint cannot be used: it is empty"),
        "{error}"
    );
}

#[test]
fn the_damaged_file_stays_until_the_second_save() {
    let dir = tempfile::tempdir().unwrap();
    generations(dir.path(), 3, &[3]);
    let damaged = contents(dir.path())["00000000000000000003.checkpoint"].clone();
    let mut follower = fallen_back(dir.path());
    assert_eq!(save(&mut follower.checkpointer), 4);
    assert_eq!(contents(dir.path())["00000000000000000003.checkpoint"], damaged);
    assert!(names(dir.path()).contains(&"00000000000000000002.checkpoint".to_owned()));
    assert_eq!(save(&mut follower.checkpointer), 5);
    assert_eq!(
        names(dir.path()),
        ["00000000000000000004.checkpoint", "00000000000000000005.checkpoint"]
    );
}

#[test]
fn after_falling_back_a_damaged_newest_can_be_fallen_back_from_again() {
    let dir = tempfile::tempdir().unwrap();
    generations(dir.path(), 3, &[3]);
    let mut follower = fallen_back(dir.path());
    follower.state.advance(ONE, 25);
    save(&mut follower.checkpointer);
    drop(follower);
    put(dir.path(), 4, b"");
    let again = fallen_back(dir.path());
    let damaged = ["00000000000000000004.checkpoint", "00000000000000000003.checkpoint"];
    assert_eq!(fell_back(&again), (2, damaged.map(str::to_owned).to_vec()));
    assert_eq!(mark(&again), 20);
}

#[test]
fn the_first_save_of_a_process_keeps_what_it_started_from_and_the_one_before() {
    let dir = tempfile::tempdir().unwrap();
    generations(dir.path(), 3, &[]);
    let mut follower = recovered(dir.path(), &[1]);
    save(&mut follower.checkpointer);
    let kept = [2, 3, 4].map(|g: u64| format!("{g:020}.checkpoint"));
    assert_eq!(names(dir.path()), kept);
    save(&mut follower.checkpointer);
    let kept = [4, 5].map(|g: u64| format!("{g:020}.checkpoint"));
    assert_eq!(names(dir.path()), kept);
}

#[test]
fn generation_numbers_go_on_above_a_damaged_one() {
    let dir = tempfile::tempdir().unwrap();
    generations(dir.path(), 2, &[]);
    put(dir.path(), 9, b"");
    assert_eq!(save(&mut fallen_back(dir.path()).checkpointer), 10);
}

#[test]
fn the_last_generation_number_does_not_panic() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), u64::MAX, &sealed(u64::MAX, &marks(&[(1, 5)])));
    let before = contents(dir.path());
    let mut follower = recovered(dir.path(), &[1]);
    follower.state.advance(ONE, 6);
    let error = follower.checkpointer.checkpoint(durable).unwrap_err();
    assert!(matches!(error, CheckpointError::NoGenerationLeft), "{error}");
    assert!(!error.is_poisoning());
    assert_eq!(contents(dir.path()), before);
}

#[test]
fn recovery_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    generations(dir.path(), 4, &[4]);
    let before = contents(dir.path());
    let follower = fallen_back(dir.path());
    follower.state.advance(ONE, 100);
    drop(follower);
    assert_eq!(contents(dir.path()), before);
}

#[test]
fn a_checkpoint_path_that_is_not_a_file_stops_recovery() {
    let dir = tempfile::tempdir().unwrap();
    generations(dir.path(), 1, &[]);
    std::fs::create_dir(file(dir.path(), 2)).unwrap();
    for on_corrupt in [OnCorrupt::Fail, OnCorrupt::FallBack] {
        let error = try_recover(dir.path(), &[1], on_corrupt).unwrap_err();
        assert!(
            matches!(error.kind(), RecoverErrorKind::Load(LoadError::NotAFile { .. })),
            "{error}"
        );
    }
}

#[test]
fn a_checkpoint_that_cannot_be_read_is_never_taken_for_none() {
    let disk = Faulty::new();
    disk.mkdir(DIR);
    for generation in 1..=2 {
        let bytes = sealed(generation, &marks(&[(1, generation * 10)]));
        disk.put(&format!("{DIR}/{generation:020}.checkpoint"), &bytes);
    }
    disk.arm(Fault { on: "read", after: 0, times: 1, how: How::Errno(EIO) });
    let store = crate::protocol::open(&disk).unwrap();
    let error = recover(store, JsonCodec, &[ONE], OnCorrupt::Fail).unwrap_err();
    let RecoverErrorKind::Corrupt { newest, older } = error.kind() else {
        panic!("{error}");
    };
    assert!(matches!(&newest.reason, CorruptReason::Read(err) if err.raw_os_error() == Some(EIO)));
    assert_eq!(older.as_ref().map(|(generation, _)| *generation), Some(1));
}

#[test]
fn codec_and_store_can_be_chosen_at_run_time() {
    let dir = tempfile::tempdir().unwrap();
    save(&mut recovered(dir.path(), &[1]).checkpointer);
    let store: Box<dyn CheckpointStore> = Box::new(crate::support::store(dir.path()));
    let codec: Box<dyn Codec> = Box::new(JsonCodec);
    let found = recover(store, codec, &[ShardId(1)], OnCorrupt::Fail).unwrap().report;
    assert_eq!(found.missing, []);
}

/// EACCES, EMFILE, ENOMEM, EINTR, ESTALE: another try may succeed.
#[test]
fn a_newest_checkpoint_that_cannot_be_read_is_refused_and_never_passed_over() {
    for errno in [13, 24, 12, 4, 116] {
        for on_corrupt in [OnCorrupt::Fail, OnCorrupt::FallBack] {
            let (disk, store) = crate::protocol::with_two_saves();
            drop(store);
            let store = crate::protocol::open(&disk).unwrap();
            disk.arm(Fault { on: "read", after: 0, times: 1, how: How::Errno(errno) });
            let error = recover(store, JsonCodec, &[ONE], on_corrupt).unwrap_err();
            let RecoverErrorKind::Refused { refused, newer } = error.kind() else {
                panic!("{errno}, {on_corrupt:?}: {error}");
            };
            let CorruptReason::Read(cause) = &refused.reason else { panic!("{refused}") };
            assert_eq!((cause.raw_os_error(), newer.len()), (Some(errno), 0));
            // The next try finds it.
            let found = recover(error.into_store(), JsonCodec, &[ONE], on_corrupt).unwrap();
            assert_eq!(found.state.applied_seqno(ONE), Some(20));
        }
    }
}
