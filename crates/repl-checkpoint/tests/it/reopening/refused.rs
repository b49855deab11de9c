//! A store that holds something else is refused, and the checkpointer stays poisoned.

use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};

use repl_checkpoint::{
    Candidates, Checkpoint, CheckpointError, CheckpointStore, Checkpointer, CorruptReason,
    Generation, Header, JsonCodec, LoadError, RecoverErrorKind, ReopenError, Save, SaveError,
    Status, StoreId, UnsealError,
};
use repl_core::{EpochStart, Incarnation, LogId, SeqRange};

use super::{ONE, after};
use crate::support::scripted::{Kept, Outcome, Scripted};
use crate::support::{Named, STORE, durable, header, marks, save, sealed, shard};

const OUTCOMES: [Outcome; 2] = [Outcome::InDoubt, Outcome::InDoubtButThere];

/// The checkpointer saves nothing.
fn stays_poisoned(checkpointer: &mut Checkpointer, store: &Scripted) {
    store.take_events();
    for _ in 0..2 {
        let error = checkpointer.begin().unwrap_err();
        assert!(matches!(error, CheckpointError::Poisoned { .. }), "{error}");
        let error = checkpointer.checkpoint(durable).unwrap_err();
        assert!(matches!(error, CheckpointError::Poisoned { .. }), "{error}");
    }
    let status = checkpointer.floors().health().status;
    assert!(matches!(status, Status::Poisoned { .. }), "{status:?}");
    assert_eq!(store.take_events(), [""; 0]);
}

/// It can be opened again with the store that it knows.
fn goes_on(checkpointer: &mut Checkpointer, store: &Scripted) {
    checkpointer.reopen(|| store.open()).unwrap();
    save(checkpointer);
    assert_eq!(store.mark(1), Some(9));
}

/// The newest whole checkpoint with another header.
fn with_header(kept: &Kept, change: impl Fn(Header) -> Header) -> Vec<u8> {
    let (_, newest) = kept.last().unwrap();
    let (header, checkpoint) = Checkpoint::unseal(&JsonCodec, STORE, newest).unwrap();
    checkpoint.seal(&JsonCodec, change(header)).unwrap()
}

/// The acknowledged generation with the same header and mark, and another detail.
fn with_detail(kept: &mut Kept, change: impl FnOnce(&mut Checkpoint)) {
    kept.truncate(2);
    let (header, mut checkpoint) = Checkpoint::unseal(&JsonCodec, STORE, &kept[1].1).unwrap();
    change(&mut checkpoint);
    kept[1] = (2, checkpoint.seal(&JsonCodec, header).unwrap());
}

/// What the store holds instead, and the generation that is found.
type Replaced = (&'static str, fn(&mut Kept), Generation);

const REPLACED: [Replaced; 13] = [
    ("an older copy", |kept| kept.truncate(1), 1),
    ("nothing", |kept| kept.clear(), 0),
    ("a newer one of another process", |kept| kept.push((9, sealed(9, &marks(&[(1, 9)])))), 9),
    (
        "the generation in doubt with another mark",
        |kept| {
            kept.truncate(2);
            kept.push((3, sealed(3, &marks(&[(1, 8)]))));
        },
        3,
    ),
    (
        "the newest marks in another generation",
        |kept| {
            let bytes = with_header(kept, |header| Header { generation: 4, ..header });
            kept.push((4, bytes));
        },
        4,
    ),
    (
        "the acknowledged generation with another mark",
        |kept| {
            kept.truncate(1);
            kept.push((2, sealed(2, &marks(&[(1, 8)]))));
        },
        2,
    ),
    (
        "the acknowledged generation with another header",
        |kept| {
            kept.truncate(2);
            let bytes = with_header(kept, |header| Header { confirmed: 0, ..header });
            kept[1] = (2, bytes);
        },
        2,
    ),
    (
        "another range",
        |kept| with_detail(kept, |c| c.shards[0].completed = Box::new([SeqRange::new(9, 9)])),
        2,
    ),
    ("another log", |kept| with_detail(kept, |c| c.shards[0].log = LogId(7)), 2),
    (
        "another incarnation",
        |kept| with_detail(kept, |c| c.shards[0].incarnation = Incarnation(1)),
        2,
    ),
    (
        "other epochs",
        |kept| {
            let epoch = EpochStart { epoch: 2, first: 1 };
            with_detail(kept, |c| c.shards[0].epochs = Box::new([epoch]));
        },
        2,
    ),
    (
        "another next incarnation",
        |kept| with_detail(kept, |c| c.next_incarnation = Incarnation(9)),
        2,
    ),
    ("one more shard", |kept| with_detail(kept, |c| c.shards.push(shard(2, 0))), 2),
];

#[test]
fn any_other_checkpoint_is_refused_and_nothing_is_written() {
    for outcome in OUTCOMES {
        for (what, replace, generation) in REPLACED {
            let (store, mut follower) = after(outcome);
            let floors = follower.checkpointer.floors();
            let other = store.copy();
            other.edit(replace);
            let error = follower.checkpointer.reopen(|| other.open()).unwrap_err();
            let ReopenError::OtherCheckpoint { found, acknowledged, in_doubt } = error else {
                panic!("{what}: {error}");
            };
            assert_eq!((found, acknowledged, in_doubt), (generation, 2, Some(3)), "{what}");
            assert_eq!(other.take_events(), [""; 0]);
            stays_poisoned(&mut follower.checkpointer, &other);
            assert_eq!(floors.checkpointed(ONE), Some(7), "{what}");
            goes_on(&mut follower.checkpointer, &store);
        }
    }
}

#[test]
fn without_doubt_it_goes_on_from_the_acknowledged_save_alone() {
    let (store, mut follower) = after(Outcome::NotSaved);
    let other = store.copy();
    other.edit(|kept| kept.push((3, sealed(3, &marks(&[(1, 9)])))));
    let error = follower.checkpointer.reopen(|| other.open()).unwrap_err();
    let ReopenError::OtherCheckpoint { found: 3, acknowledged: 2, in_doubt: None } = error else {
        panic!("{error}");
    };
    stays_poisoned(&mut follower.checkpointer, &other);
    goes_on(&mut follower.checkpointer, &store);
}

/// Once it is settled, the save in doubt is not expected any more.
#[test]
fn a_doubt_that_was_settled_as_not_there_cannot_come_back() {
    let (store, mut follower) = after(Outcome::InDoubtButThere);
    let without = store.copy();
    without.edit(|kept| kept.truncate(2));
    follower.checkpointer.reopen(|| without.open()).unwrap();
    let error = follower.checkpointer.reopen(|| store.open()).unwrap_err();
    assert!(matches!(error, ReopenError::OtherCheckpoint { found: 3, .. }), "{error}");
    goes_on(&mut follower.checkpointer, &without);
}

#[test]
fn a_failing_open_keeps_it_poisoned_and_can_be_tried_again() {
    for outcome in [Outcome::InDoubt, Outcome::InDoubtButThere, Outcome::NotSaved] {
        let (store, mut follower) = after(outcome);
        for _ in 0..2 {
            let open = || Err::<Scripted, _>(std::io::Error::other("no disk"));
            let error = follower.checkpointer.reopen(open).unwrap_err();
            assert!(matches!(error, ReopenError::Open(_)), "{error}");
            let cause = error.source().unwrap();
            assert!(cause.is::<std::io::Error>() && cause.to_string() == "no disk", "{cause}");
            stays_poisoned(&mut follower.checkpointer, &store);
        }
        goes_on(&mut follower.checkpointer, &store);
    }
}

#[test]
fn an_open_that_panics_keeps_it_poisoned_and_can_be_tried_again() {
    let (store, mut follower) = after(Outcome::NotSaved);
    let checkpointer = &mut follower.checkpointer;
    let open = || -> Result<Scripted, std::io::Error> { panic!("as scripted") };
    catch_unwind(AssertUnwindSafe(|| checkpointer.reopen(open))).unwrap_err();
    stays_poisoned(&mut follower.checkpointer, &store);
    goes_on(&mut follower.checkpointer, &store);
}

/// The same store under another id, or one that cannot be read.
struct Changed {
    inner: Scripted,
    id: StoreId,
    is_readable: bool,
}

impl CheckpointStore for Changed {
    fn store_id(&self) -> StoreId {
        self.id
    }
    fn load(&mut self) -> Result<Candidates<'_>, LoadError> {
        if !self.is_readable {
            return Err(LoadError::Store("no disk".into()));
        }
        self.inner.load()
    }
    fn save(&mut self, save: Save<'_>) -> Result<(), SaveError> {
        self.inner.save(save)
    }
}

#[test]
fn a_store_of_another_id_is_refused() {
    for outcome in OUTCOMES {
        let (store, mut follower) = after(outcome);
        let id = StoreId(7);
        let open = || store.open().map(|inner| Changed { inner, id, is_readable: true });
        let error = follower.checkpointer.reopen(open).unwrap_err();
        let ReopenError::OtherStore { expected: STORE, found } = error else { panic!("{error}") };
        assert_eq!(found, id);
        stays_poisoned(&mut follower.checkpointer, &store);
        goes_on(&mut follower.checkpointer, &store);
    }
}

#[test]
fn a_store_that_cannot_be_read_is_an_error_and_can_be_tried_again() {
    let (store, mut follower) = after(Outcome::InDoubt);
    let open = || store.open().map(|inner| Changed { inner, id: STORE, is_readable: false });
    let error = follower.checkpointer.reopen(open).unwrap_err();
    let ReopenError::Recover(kind) = &error else { panic!("{error}") };
    assert!(matches!(**kind, RecoverErrorKind::Load(_)), "{error}");
    stays_poisoned(&mut follower.checkpointer, &store);
    goes_on(&mut follower.checkpointer, &store);
}

#[test]
fn a_checkpoint_of_another_codec_is_refused() {
    let (store, mut follower) = after(Outcome::InDoubt);
    let other = store.copy();
    other.edit(|kept| kept.push((4, marks(&[(1, 9)]).seal(&Named("other"), header(4)).unwrap())));
    let error = follower.checkpointer.reopen(|| other.open()).unwrap_err();
    let ReopenError::Recover(kind) = &error else { panic!("{error}") };
    let is_other =
        |why: &CorruptReason| matches!(why, CorruptReason::Unseal(UnsealError::OtherCodec { .. }));
    assert!(
        matches!(&**kind, RecoverErrorKind::Refused { refused, .. } if is_other(&refused.reason)),
        "{error}"
    );
    stays_poisoned(&mut follower.checkpointer, &other);
    goes_on(&mut follower.checkpointer, &store);
}

#[test]
fn a_store_whose_every_checkpoint_is_damaged_is_refused() {
    let (store, mut follower) = after(Outcome::InDoubt);
    let other = store.copy();
    other.edit(|kept| kept.iter_mut().for_each(|(_, bytes)| bytes.truncate(10)));
    let error = follower.checkpointer.reopen(|| other.open()).unwrap_err();
    let ReopenError::Recover(kind) = &error else { panic!("{error}") };
    assert!(matches!(**kind, RecoverErrorKind::Corrupt { older: None, .. }), "{error}");
    stays_poisoned(&mut follower.checkpointer, &other);
    goes_on(&mut follower.checkpointer, &store);
}

/// The state has all that was ever saved, so a damaged save in doubt loses nothing.
#[test]
fn damage_above_the_acknowledged_save_does_no_harm() {
    let (store, mut follower) = after(Outcome::InDoubtButThere);
    store.edit(|kept| kept.last_mut().unwrap().1.truncate(50));
    follower.checkpointer.reopen(|| store.open()).unwrap();
    assert_eq!(save(&mut follower.checkpointer), 4);
    assert_eq!(store.mark(1), Some(9));
}

#[test]
fn damage_of_the_acknowledged_save_is_refused_as_an_older_checkpoint_is() {
    let (store, mut follower) = after(Outcome::InDoubt);
    let other = store.copy();
    other.edit(|kept| kept.last_mut().unwrap().1.truncate(50));
    let error = follower.checkpointer.reopen(|| other.open()).unwrap_err();
    assert!(matches!(error, ReopenError::OtherCheckpoint { found: 1, .. }), "{error}");
    stays_poisoned(&mut follower.checkpointer, &other);
    goes_on(&mut follower.checkpointer, &store);
}
