//! The messages, causes and I/O kinds of errors.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::Arc;

use repl_checkpoint::{
    CheckpointError, CloseError, CodecError, CorruptCheckpoint, CorruptReason, DeltaError,
    InvalidCheckpoint, JsonCodec, LoadError, OnCorrupt, OpenStoreError, RecoverError,
    RecoverErrorKind, ReopenError, SaveAndWaitError, SaveError, SealError, SlotFileError, Source,
    SpawnError, Status, StoreId, UnsealError, recover,
};
use repl_core::{EpochStart, Incarnation, SeqRange, ShardId};

use crate::protocol::DIR;
use crate::support::faulty::Faulty;
use crate::support::scripted::{Outcome, Scripted};
use crate::support::{chain, durable, file_name, marks, sealed};

type Boxed = Box<dyn Error + Send + Sync>;

const ONE: ShardId = ShardId(1);

fn disk_error() -> io::Error {
    io::Error::new(ErrorKind::PermissionDenied, "the disk said no")
}

fn path() -> PathBuf {
    PathBuf::from("/marks")
}

fn codec_error() -> CodecError {
    CodecError::new("the codec said no")
}

fn invalid() -> InvalidCheckpoint {
    InvalidCheckpoint::ShardOrder { shard: ONE }
}

/// Recovers from a whole generation 1 below `newer` ones.
fn recovery(newer: &[&[u8]], on_corrupt: OnCorrupt) -> Result<Source, RecoverError> {
    let disk = Faulty::new();
    disk.mkdir(DIR);
    let whole = sealed(1, &marks(&[(1, 10)]));
    for (bytes, generation) in [&*whole].into_iter().chain(newer.iter().copied()).zip(1..) {
        disk.put(&format!("{DIR}/{}", file_name(generation)), bytes);
    }
    let store = crate::protocol::open(&disk).unwrap();
    recover(store, JsonCodec, &[ONE], on_corrupt).map(|recovered| recovered.report.source)
}

fn corrupt_checkpoint() -> CorruptCheckpoint {
    match recovery(&[b""], OnCorrupt::FallBack).unwrap() {
        Source::FellBack { mut damaged, .. } => damaged.remove(0),
        other => panic!("{other:?}"),
    }
}

fn not_loaded() -> RecoverError {
    let disk = Faulty::new();
    disk.mkdir(DIR);
    disk.mkdir(&format!("{DIR}/{}", file_name(1)));
    let store = crate::protocol::open(&disk).unwrap();
    recover(store, JsonCodec, &[ONE], OnCorrupt::Fail).unwrap_err()
}

fn not_saved() -> CheckpointError {
    let (path, source) = (path(), disk_error());
    CheckpointError::Save(SaveError::NotSaved { act: "sync", path, source })
}

fn close_error() -> CloseError {
    let store = Scripted::default();
    let follower = store.recovered(&[1]);
    let when = repl_checkpoint::Schedule::every(std::time::Duration::from_secs(3600));
    let background = follower.checkpointer.spawn(when, durable, |_| ()).unwrap();
    store.fail_next(&[Outcome::NotSaved]);
    background.close().wait().unwrap_err()
}

/// Every variant of every public error, and its kind as an I/O error.
fn errors() -> Vec<(ErrorKind, Boxed, io::Error)> {
    use ErrorKind::{
        InvalidData, InvalidInput, NotADirectory, Other, PermissionDenied, ResourceBusy,
        Unsupported,
    };
    let mut all = Vec::new();
    macro_rules! add {
        ($($kind:expr => $error:expr),+ $(,)?) => {
            $(all.push(($kind, Boxed::from($error), io::Error::from($error)));)+
        };
    }
    let range = SeqRange::new(3, 2);
    let start = EpochStart { epoch: 1, first: 1 };
    let (incarnation, next) = (Incarnation(2), Incarnation(1));
    add! {
        InvalidData => invalid(),
        InvalidData => InvalidCheckpoint::Incarnation { shard: ONE, incarnation, next },
        InvalidData => InvalidCheckpoint::Range { shard: ONE, range },
        InvalidData => InvalidCheckpoint::Epoch { shard: ONE, start },
        InvalidData => codec_error(),
        InvalidInput => SealError::Invalid(invalid()),
        InvalidInput => SealError::Codec { codec: "json", source: codec_error() },
        InvalidInput => SealError::Confirmed { generation: 1, confirmed: 2 },
        InvalidInput => SealError::Base { generation: 1, base: 2 },
        InvalidInput => SealError::Removed { shard: ONE },
        InvalidInput => SealError::CodecName { codec: "no name" },
        InvalidData => UnsealError::Empty,
        InvalidData => UnsealError::Magic,
        Unsupported => UnsealError::Version { version: "3".to_owned() },
        InvalidData => UnsealError::Header,
        InvalidData => UnsealError::Length { expected: 1, found: 2 },
        InvalidData => UnsealError::Checksum { expected: 1, found: 2 },
        InvalidData => UnsealError::OtherCodec { expected: "json", found: "other".to_owned() },
        InvalidData => UnsealError::OtherStore { expected: StoreId(1), found: StoreId(2) },
        InvalidData => UnsealError::OtherGeneration { expected: 1, found: 2 },
        InvalidData => UnsealError::Payload(codec_error()),
        InvalidData => UnsealError::Invalid(invalid()),
        InvalidData => UnsealError::Delta { generation: 1, source: DeltaError::Header },
        InvalidData => UnsealError::Delta {
            generation: 1,
            source: DeltaError::Payload(Box::new(UnsealError::Payload(codec_error()))),
        },
        InvalidData => UnsealError::Rest { at: 1 },
        ResourceBusy => OpenStoreError::Locked { path: path() },
        NotADirectory => OpenStoreError::NotADirectory { path: path() },
        InvalidInput => OpenStoreError::OtherKind {
            dir: path(), file: "marks.slots".to_owned(), expected: "SlotStore",
        },
        PermissionDenied => OpenStoreError::Io { act: "lock", path: path(), source: disk_error() },
        InvalidData => SlotFileError::NothingWhole,
        Unsupported => SlotFileError::Version { version: "3".to_owned() },
        InvalidData => SlotFileError::OtherStore { expected: StoreId(1), found: StoreId(2) },
        InvalidData => SlotFileError::Length { expected: 1, found: 2 },
        PermissionDenied => LoadError::Io { act: "list", path: path(), source: disk_error() },
        InvalidData => LoadError::NotAFile { path: path(), found: "a directory" },
        InvalidData => LoadError::Slots { path: path(), reason: SlotFileError::NothingWhole },
        PermissionDenied => LoadError::Store(Box::new(disk_error())),
        PermissionDenied => SaveError::NotSaved { act: "sync", path: path(), source: disk_error() },
        PermissionDenied => SaveError::InDoubt { act: "sync", path: path(), source: disk_error() },
        Other => SaveError::Poisoned { path: path() },
        InvalidData => corrupt_checkpoint(),
        PermissionDenied => CorruptReason::Read(disk_error()),
        InvalidData => CorruptReason::Unseal(UnsealError::Invalid(invalid())),
        InvalidData => not_loaded(),
        InvalidData => recovery(&[b""], OnCorrupt::Fail).unwrap_err(),
        InvalidData => recovery(&[b"repl-checkpoint vx", b""], OnCorrupt::Fail).unwrap_err(),
        Unsupported => recovery(&[b"repl-checkpoint v3 ", b""], OnCorrupt::Fail).unwrap_err(),
        PermissionDenied => CheckpointError::Flush(Box::new(disk_error())),
        Other => CheckpointError::Flush("the engine said no".into()),
        InvalidInput => CheckpointError::BelowLastSave { shard: ONE, saved: 2, lowered: 1 },
        InvalidInput => CheckpointError::Seal(SealError::Invalid(invalid())),
        Other => CheckpointError::Save(SaveError::Poisoned { path: path() }),
        InvalidInput => CheckpointError::Superseded,
        InvalidInput => CheckpointError::OtherCheckpointer,
        Other => CheckpointError::Poisoned { doubt: "a disk that failed".to_owned() },
        Other => CheckpointError::NoGenerationLeft,
        Other => close_error(),
        Other => CloseError::Panicked("the engine is broken".to_owned()),
        PermissionDenied => SaveAndWaitError::Failed(Arc::new(not_saved())),
        Other => SaveAndWaitError::Ended,
        PermissionDenied => ReopenError::Open(Box::new(disk_error())),
        Other => ReopenError::Open("the engine said no".into()),
        InvalidInput => ReopenError::OtherStore { expected: StoreId(1), found: StoreId(2) },
        InvalidData => ReopenError::Recover(Box::new(not_loaded().into_parts().0)),
        InvalidData => ReopenError::OtherCheckpoint {
            found: 3, acknowledged: 1, in_doubt: Some(2),
        },
    }
    all
}

#[test]
fn no_error_prints_its_cause() {
    for (_, error, _) in errors() {
        let mut error: &dyn Error = &*error;
        while let Some(source) = error.source() {
            assert!(!error.to_string().contains(&source.to_string()), "{error}: {source}");
            error = source;
        }
    }
}

#[test]
fn every_error_names_its_cause_in_its_chain() {
    for (_, error, _) in errors() {
        let (debug, chain) = (format!("{error:?}"), chain(&*error));
        for cause in ["the disk said no", "the codec said no", "the engine said no"] {
            assert_eq!(debug.contains(cause), chain.contains(cause), "{debug}: {chain}");
        }
    }
}

#[test]
fn the_rule_that_a_checkpoint_breaks_is_the_cause_of_its_refusal() {
    for error in [&SealError::Invalid(invalid()) as &dyn Error, &UnsealError::Invalid(invalid())] {
        assert_eq!(error.source().unwrap().to_string(), invalid().to_string());
    }
}

#[test]
fn every_error_becomes_an_io_error_of_a_fitting_kind_with_the_same_chain() {
    for (kind, error, io_error) in errors() {
        assert_eq!(io_error.kind(), kind, "{error}");
        assert_eq!(chain(&io_error), chain(&*error));
        assert!(io_error.get_ref().is_some(), "{error}");
    }
}

#[test]
fn every_error_can_be_boxed_and_sent() {
    fn is<T: Error + Send + Sync + 'static>() {}
    is::<RecoverError>();
    is::<CheckpointError>();
    is::<CloseError>();
    is::<SpawnError>();
    let boxed: fn() -> Result<(), Boxed> = || {
        recovery(&[b""], OnCorrupt::Fail)?;
        Ok(())
    };
    let error = std::thread::spawn(boxed).join().unwrap().unwrap_err();
    let error = error.downcast::<RecoverError>().unwrap();
    assert!(matches!(error.kind(), RecoverErrorKind::Corrupt { older: Some((1, _)), .. }));
}

#[test]
fn the_error_of_a_flush_is_the_cause_of_the_failed_checkpoint() {
    let mut follower = Scripted::default().recovered(&[1]);
    let error = follower.checkpointer.checkpoint(|_| Err(disk_error().into())).unwrap_err();
    assert_eq!(error.source().unwrap().to_string(), "the disk said no");
    let CheckpointError::Flush(why) = error else { panic!("{error}") };
    assert_eq!(why.downcast::<io::Error>().unwrap().kind(), ErrorKind::PermissionDenied);
}

#[test]
fn health_has_the_error_and_all_its_causes() {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1]);
    let floors = follower.checkpointer.floors();
    let error = follower.checkpointer.checkpoint(|_| Err(disk_error().into())).unwrap_err();
    let said = "the engine failed to flush; no marks were saved: the disk said no";
    assert_eq!(chain(&error), said);
    assert_eq!(floors.health().status, Status::Failing { failures: 1, error: said.to_owned() });
    store.fail_next(&[Outcome::InDoubt]);
    let error = follower.checkpointer.checkpoint(durable).unwrap_err();
    assert_eq!(floors.health().status, Status::Poisoned { error: chain(&error) });
    assert!(chain(&error).len() > error.to_string().len());
}
