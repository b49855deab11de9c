//! Surveys: every check of recovery on everything that a path holds, from outside.

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, SystemTime};

use repl_checkpoint::{
    BincodeCodec, Checkpoint, CheckpointStore, Codec, CorruptReason, FileStore, JsonCodec,
    LoadError, OnCorrupt, RecoverErrorKind, RecoveryReport, SlotStore, Source, StoreId, Survey,
    Track, UnsealError, recover, survey,
};
use repl_core::{ShardId, Snapshot};

use crate::support::{
    Named, STORE, contents, copy_of, every_field, file, header, marks, put, recovered_from, save,
    sealed,
};

const SLOT_FILE: &str = "marks.slots";
const GOLDEN: [(&str, &[u8], StoreId); 4] = [
    ("json", include_bytes!("../golden/v2.json.chains.slots"), StoreId::UNNAMED),
    ("bincode", include_bytes!("../golden/v2.bincode.chains.slots"), StoreId::UNNAMED),
    ("json", include_bytes!("../golden/v2.slots"), StoreId(0x00c0_ffee << 96 | 1)),
    ("json", include_bytes!("../golden/v2.deltas.slots"), StoreId(0x00c0_ffee << 96 | 1)),
];

/// What is made of a path, and the marks.
#[derive(Debug, PartialEq)]
struct Verdict {
    says: String,
    marks: Option<Snapshot>,
}

/// What recovery makes of a store, if it may fall back.
fn recovered(store: impl CheckpointStore + 'static, codec: &str) -> Verdict {
    let recovered = match codec {
        "bincode" => recover(store, BincodeCodec, Track::all(), OnCorrupt::FallBack),
        _ => recover(store, JsonCodec, Track::all(), OnCorrupt::FallBack),
    };
    let refused = |kind: &RecoverErrorKind| match kind {
        RecoverErrorKind::Load(error) => format!("load: {error:?}"),
        RecoverErrorKind::Corrupt { newest, .. } => format!("corrupt: {:?}", newest.reason),
        RecoverErrorKind::Refused { refused, .. } => format!("refused: {:?}", refused.reason),
        other => panic!("{other:?}"),
    };
    match recovered {
        Ok(found) => {
            let RecoveryReport { source, .. } = &found.report;
            let says = match source {
                Source::Fresh => "fresh".to_owned(),
                Source::Resumed { generation } => format!("resumed {generation}"),
                Source::FellBack { generation, damaged } => {
                    let reasons: Vec<_> = damaged.iter().map(|d| &d.reason).collect();
                    format!("fell back to {generation}: {reasons:?}")
                }
            };
            let is_fresh = matches!(source, Source::Fresh);
            let marks = (!is_fresh).then(|| found.state.snapshot());
            Verdict { says, marks }
        }
        Err(error) => Verdict { says: refused(error.kind()), marks: None },
    }
}

/// What a survey says about the same.
fn surveyed(result: &Result<Survey, LoadError>) -> Verdict {
    let survey = match result {
        Ok(survey) => survey,
        Err(error) => return Verdict { says: format!("load: {error:?}"), marks: None },
    };
    let mut damaged: Vec<&CorruptReason> = Vec::new();
    for found in &survey.found {
        match &found.checked {
            Ok(_) => {
                let generation = found.header.unwrap().generation;
                let says = match damaged.len() {
                    0 => format!("resumed {generation}"),
                    _ => format!("fell back to {generation}: {damaged:?}"),
                };
                return Verdict { says, marks: survey.newest.as_deref().cloned() };
            }
            Err(CorruptReason::Unseal(reason)) if reason.is_damage() => {
                damaged.push(found.checked.as_ref().unwrap_err());
            }
            Err(reason) => return Verdict { says: format!("refused: {reason:?}"), marks: None },
        }
    }
    let says = match damaged.first() {
        None => "fresh".to_owned(),
        Some(reason) => format!("corrupt: {reason:?}"),
    };
    Verdict { says, marks: None }
}

/// Every candidate of a store, in its order: its generation, or what is wrong.
fn candidates(store: &mut dyn CheckpointStore, codec: &dyn Codec) -> Vec<String> {
    let id = store.store_id();
    let Ok(candidates) = store.load() else { return Vec::new() };
    candidates
        .map(|candidate| match candidate.unseal(codec, id) {
            Ok((header, checkpoint)) => format!("{header:?} {} shards", checkpoint.shards.len()),
            Err(reason) => format!("{reason:?}"),
        })
        .collect()
}

/// Those of a survey.
fn found(result: &Result<Survey, LoadError>) -> Vec<String> {
    let Ok(survey) = result else { return Vec::new() };
    let found = survey.found.iter().map(|found| match &found.checked {
        Ok(counts) => format!("{:?} {} shards", found.header.unwrap(), counts.shards),
        Err(reason) => format!("{reason:?}"),
    });
    found.collect()
}

/// Writes a file that nobody has written to for some time.
fn at_rest(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).unwrap();
    let file = File::options().write(true).open(path).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(60)).unwrap();
}

fn codec_of(name: &str) -> &'static dyn Codec {
    if name == "bincode" { &BincodeCodec } else { &JsonCodec }
}

/// Damage of every kind: flipped bits, lost ends, lost sectors, other digits, what is too long.
fn damages(bytes: &[u8], step: usize) -> impl Iterator<Item = Vec<u8>> + '_ {
    let flipped = (0..bytes.len()).step_by(step).map(|at| {
        let mut damaged = bytes.to_vec();
        damaged[at] ^= 1 << (at % 8);
        damaged
    });
    let cut = (0..bytes.len()).step_by(step * 7).map(|to| bytes[..to].to_vec());
    let lost = (0..bytes.len()).step_by(512).map(|at| {
        let mut damaged = bytes.to_vec();
        let end = bytes.len().min(at + 512);
        damaged[at..end].fill(0);
        damaged
    });
    let moved = (0..bytes.len().saturating_sub(512)).step_by(512).map(|at| {
        let mut damaged = bytes.to_vec();
        damaged.copy_within(at..at + 512, bytes.len() / 2 / 512 * 512);
        damaged
    });
    let longer = std::iter::once([bytes, b"x"].concat());
    flipped.chain(cut).chain(lost).chain(moved).chain(longer)
}

#[test]
fn a_survey_of_a_slot_file_says_what_recovery_says() {
    let mut kinds = std::collections::BTreeSet::new();
    for (codec, bytes, store) in GOLDEN {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(SLOT_FILE);
        let whole = std::iter::once(bytes.to_vec());
        for copy in whole.chain(damages(bytes, 37)) {
            at_rest(&path, &copy);
            let result = survey(dir.path());
            let open = || SlotStore::open(dir.path(), store).unwrap();
            // Without a header that is right, nothing says whose it is.
            if result.as_ref().is_ok_and(|found| found.store.is_some()) {
                let says = surveyed(&result);
                kinds.insert(says.says.split([' ', ':']).next().unwrap().to_owned());
                assert_eq!(says, recovered(open(), codec));
                assert_eq!(found(&result), candidates(&mut open(), codec_of(codec)));
            } else {
                assert!(surveyed(&result).marks.is_none());
                assert!(recovered(open(), codec).marks.is_none(), "{result:?}");
            }
        }
    }
    assert!(kinds.contains("resumed") && kinds.contains("fell"), "{kinds:?}");
}

#[test]
fn a_survey_of_files_says_what_recovery_says() {
    let mut kinds = std::collections::BTreeSet::new();
    for codec in ["json", "bincode"] {
        let dir = tempfile::tempdir().unwrap();
        let older = every_field();
        let newer = Checkpoint { shards: older.shards[1..].to_vec(), ..older.clone() };
        let seal = |generation, checkpoint: &Checkpoint| {
            checkpoint.seal(codec_of(codec), header(generation)).unwrap()
        };
        put(dir.path(), 41, &seal(41, &older));
        let bytes = seal(42, &newer);
        for damaged in [42, 41] {
            let whole = seal(damaged, if damaged == 42 { &newer } else { &older });
            put(dir.path(), 42, &bytes);
            for copy in damages(&whole, 3) {
                put(dir.path(), damaged, &copy);
                let result = survey(dir.path());
                let open = || FileStore::open(dir.path(), STORE).unwrap();
                let says = surveyed(&result);
                kinds.insert(says.says.split([' ', ':']).next().unwrap().to_owned());
                assert_eq!(says, recovered(open(), codec));
                assert_eq!(found(&result), candidates(&mut open(), codec_of(codec)));
            }
        }
    }
    assert!(kinds.contains("resumed") && kinds.contains("fell"), "{kinds:?}");
}

#[test]
fn a_survey_leaves_no_trace_and_needs_no_lock() {
    let dir = tempfile::tempdir().unwrap();
    let shards: Vec<u64> = (1..=200).collect();
    let mut follower = recovered_from::<SlotStore>(dir.path(), &shards);
    for mark in 1..=5 {
        follower.state.advance(ShardId(1), mark);
        save(&mut follower.checkpointer);
    }
    let before = contents(dir.path());
    let found = survey(dir.path()).unwrap(); // the store is open
    assert_eq!((found.store, found.codec.as_deref()), (Some(STORE), Some("json")));
    assert_eq!(found.newest.as_deref(), Some(&follower.state.snapshot()));
    let newest = found.newest_whole().unwrap();
    assert_eq!(newest.header.unwrap().generation, 5);
    assert!(!newest.deltas.is_empty(), "{found:?}");
    assert_eq!(contents(dir.path()), before);
    let copy = copy_of(dir.path());
    survey(copy.path()).unwrap();
    assert_eq!(fs::read_dir(copy.path()).unwrap().count(), 1, "not even a lock file");
}

#[test]
fn the_place_of_damage_is_an_offset_in_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let mut bytes = sealed(1, &marks(&[(1, 5)]));
    let payload = 197;
    bytes[payload + 9] ^= 1;
    put(dir.path(), 1, &bytes);
    let found = survey(dir.path()).unwrap();
    assert!(found.newest_whole().is_none());
    assert_eq!(found.found[0].damaged_at, Some(payload as u64));
    assert_eq!(found.found[0].header, Some(header(1)), "its header is right");
    put(dir.path(), 1, &bytes[..payload + 3]);
    assert_eq!(survey(dir.path()).unwrap().found[0].damaged_at, Some(payload as u64 + 3));

    let (_, golden, _) = GOLDEN[0];
    let last = golden.windows(24).rposition(|w| w.starts_with(b"repl-checkpoint delta v")).unwrap();
    let mut damaged = golden.to_vec();
    damaged[last + 300] ^= 1; // its payload
    let path = dir.path().join("marks");
    at_rest(&path, &damaged);
    let found = survey(&path).unwrap();
    let of_delta = found.found.iter().find(|found| found.checked.is_err()).unwrap();
    assert_eq!(of_delta.damaged_at, Some(last as u64));
    assert!(of_delta.slot.is_some() && found.newest_whole().is_some());
}

#[test]
fn another_store_or_codec_is_refused_by_the_newest_header() {
    let dir = tempfile::tempdir().unwrap();
    let other = Checkpoint::default().seal(&Named("other"), header(2)).unwrap();
    put(dir.path(), 2, &other);
    put(dir.path(), 1, &sealed(1, &marks(&[(1, 5)])));
    let found = survey(dir.path()).unwrap();
    assert_eq!(found.codec.as_deref(), Some("other"));
    let reasons: Vec<_> = found.found.iter().map(|f| f.checked.as_ref().unwrap_err()).collect();
    let is_other = |reason: &&CorruptReason| {
        matches!(reason, CorruptReason::Unseal(UnsealError::OtherCodec { .. }))
    };
    assert!(reasons.len() == 2 && reasons.iter().all(is_other), "{reasons:?}");
    let unnamed = marks(&[(1, 6)])
        .seal(&JsonCodec, repl_checkpoint::Header { store: StoreId(9), ..header(1) });
    put(dir.path(), 1, &unnamed.unwrap());
    put(dir.path(), 2, &sealed(2, &marks(&[(1, 5)])));
    let found = survey(dir.path()).unwrap();
    assert!(found.found[0].checked.is_ok());
    assert!(matches!(
        found.found[1].checked,
        Err(CorruptReason::Unseal(UnsealError::OtherStore { found: StoreId(9), .. }))
    ));
}

#[test]
fn a_new_directory_is_empty_and_one_that_lost_everything_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    assert!(survey(dir.path()).unwrap().found.is_empty());
    save(&mut recovered_from::<FileStore>(dir.path(), &[1]).checkpointer);
    fs::remove_file(file(dir.path(), 1)).unwrap();
    assert!(matches!(survey(dir.path()), Err(LoadError::Vanished { .. })));
    fs::create_dir(file(dir.path(), 1)).unwrap();
    assert!(matches!(survey(dir.path()), Err(LoadError::NotAFile { .. })));
    assert!(matches!(survey(dir.path().join("missing")), Err(LoadError::Io { .. })));
}
