//! The table of expected outcomes of every failing call.

use super::Outcome;
use super::rows::{During, On, is_during, is_on};
use super::scenario::Scenario;
use crate::crash::disk::Call;
use crate::crash::fault::FaultKind;
use crate::crash::kind::StoreKind;

const EINTR: FaultKind = FaultKind::Errno(4);
const EIO: FaultKind = FaultKind::Errno(5);
const ENOMEM: FaultKind = FaultKind::Errno(12);
const EACCES: FaultKind = FaultKind::Errno(13);
const EBUSY: FaultKind = FaultKind::Errno(16);
const EEXIST: FaultKind = FaultKind::Errno(17);
const EINVAL: FaultKind = FaultKind::Errno(22);
const ENFILE: FaultKind = FaultKind::Errno(23);
const EMFILE: FaultKind = FaultKind::Errno(24);
const EFBIG: FaultKind = FaultKind::Errno(27);
const ENOSPC: FaultKind = FaultKind::Errno(28);
const EROFS: FaultKind = FaultKind::Errno(30);
const ENOLCK: FaultKind = FaultKind::Errno(37);
const EDQUOT: FaultKind = FaultKind::Errno(122);

// Looking at a path needs no descriptor.
const LOOKING: &[FaultKind] = &[EIO, EACCES, ENOMEM];
const OPENING: &[FaultKind] = &[EIO, EACCES, EMFILE, ENFILE, ENOMEM];
const CREATING: &[FaultKind] =
    &[EIO, ENOSPC, EROFS, EACCES, EMFILE, ENFILE, EDQUOT, FaultKind::DoneBut(5)];
const WRITING: &[FaultKind] = &[EIO, ENOSPC, EDQUOT, EFBIG, FaultKind::Short(0)];
const SYNCING: &[FaultKind] = &[
    EIO,
    ENOSPC,
    EDQUOT,
    EINTR,
    FaultKind::SyncLost { errno: 5, cache_survives: true },
    FaultKind::SyncLost { errno: 5, cache_survives: false },
    FaultKind::SyncLost { errno: 28, cache_survives: true },
];
const RENAMING: &[FaultKind] = &[EIO, ENOSPC, EROFS, EACCES, EDQUOT, FaultKind::DoneBut(5)];
const REMOVING: &[FaultKind] = &[EIO, EROFS, EACCES, EBUSY, FaultKind::DoneBut(5)];

struct Row {
    during: &'static [During],
    /// The kind of store; `None` for both.
    kind: Option<StoreKind>,
    verb: &'static str,
    on: On,
    ways: &'static [FaultKind],
    once: Outcome,
    /// `None` if this failure cannot be permanent.
    for_good: Option<Outcome>,
}

const OPEN: &[During] = &[During::Creating, During::Opening, During::Reopening];
const SAVE: &[During] = &[During::Saving];
const FIRST: &[During] = &[During::SavingFirst];
const OF_ALL: &[During] = &[During::SavingFirstOfAll];
const HERE: &[During] = &[During::SavingFirstHere];
const RECOVER: &[During] = &[During::Recovering, During::LoadingFirst, During::LoadingDoubtful];

/// A row with the same outcome for one failure and for a permanent one.
const fn row(
    during: &'static [During],
    verb: &'static str,
    on: On,
    ways: &'static [FaultKind],
    once: Outcome,
) -> Row {
    Row { during, kind: None, verb, on, ways, once, for_good: Some(once) }
}

impl Row {
    const fn of(self, kind: StoreKind) -> Row {
        Row { kind: Some(kind), ..self }
    }

    const fn for_good(self, for_good: Option<Outcome>) -> Row {
        Row { for_good, ..self }
    }
}

use During::{
    Creating, Failing, FallingBack, LoadingAcknowledged, LoadingDoubtful, LoadingFirst, Opening,
    Reopening,
};
use On::{Above, After, Any, Before, Looking, Marker, Newest, NextMarker, NoMarker, Own};
use Outcome::{
    Damaged, FellBack, Ignored, InDoubt, NotLoaded, NotOpened, NotSaved, OtherFound, Refused,
};
use StoreKind::{Files, Slots};

const NOT_SYNCED: Outcome = NotOpened("sync the directory");
const NOT_CREATED: Option<Outcome> = Some(NotSaved("create"));
const NOT_LOOKED_AT: Option<Outcome> = Some(NotSaved("look at"));
const NO_RIGHT: &[FaultKind] = &[EACCES, EMFILE, ENFILE, ENOMEM];

/// A call without a row fails the matrix, and so does a row without a call.
const TABLE: &[Row] = &[
    row(OPEN, "kind", Any, LOOKING, NotOpened("look at")),
    row(OPEN, "create_dir", Any, &[EIO, ENOSPC, EROFS, EACCES, EDQUOT], NotOpened("create")),
    // Another process created it first.
    row(OPEN, "create_dir", Any, &[FaultKind::DoneBut(17)], Ignored).for_good(None),
    row(&[Creating], "open_dir", Above, OPENING, NOT_SYNCED),
    row(&[Creating], "sync_dir", Above, &[EIO, ENOSPC, EDQUOT, EINTR, EROFS, EINVAL], NOT_SYNCED),
    row(
        OPEN,
        "try_lock",
        Any,
        &[EIO, EACCES, EROFS, EMFILE, ENFILE, ENOSPC, EDQUOT, ENOLCK],
        NotOpened("lock"),
    ),
    row(OPEN, "open_dir", Own, OPENING, NotOpened("open")),
    row(OPEN, "list", Own, OPENING, NotOpened("list")),
    // A temporary file that stays does no harm.
    row(&[Creating, Opening], "remove", Any, REMOVING, Ignored),
    row(&[Reopening], "remove", Any, REMOVING, Ignored).of(Files).for_good(NOT_LISTED),
    row(&[Reopening], "remove", Any, &[EIO, EACCES], Ignored).of(Slots).for_good(BAD_LOOK),
    row(&[Reopening], "remove", Any, &[FaultKind::DoneBut(5)], Ignored).of(Slots).for_good(None),
    row(RECOVER, "list", Own, OPENING, NotLoaded("list")).of(Files),
    row(RECOVER, "kind", Any, LOOKING, NotLoaded("look at")),
    row(RECOVER, "length", Any, LOOKING, NotLoaded("read")).of(Slots),
    row(RECOVER, "read_at", Looking, OPENING, NotLoaded("read")).of(Slots),
    // A checkpoint counts as damaged only on EIO.
    row(&[Failing], "length", Newest, &[EIO], Damaged).of(Files),
    row(&[Failing], "read_at", Newest, &[EIO], Damaged),
    row(&[FallingBack], "length", Newest, &[EIO], FellBack).of(Files).for_good(Some(Damaged)),
    row(&[FallingBack], "read_at", Newest, &[EIO], FellBack).for_good(Some(Damaged)),
    row(RECOVER, "length", Newest, &[EACCES, ENOMEM], Refused).of(Files),
    row(RECOVER, "read_at", Newest, NO_RIGHT, Refused),
    // A reopen goes on from the acknowledged save, and from no older one.
    row(&[LoadingDoubtful], "length", Newest, &[EIO], Ignored).of(Files).for_good(Some(Damaged)),
    row(&[LoadingDoubtful], "read_at", Newest, &[EIO], Ignored).of(Files).for_good(Some(Damaged)),
    // It reads another slot of the same file.
    row(&[LoadingDoubtful], "read_at", Newest, &[EIO], AGAIN).of(Slots).for_good(Some(Damaged)),
    row(&[LoadingAcknowledged], "length", Newest, &[EIO], OtherFound)
        .of(Files)
        .for_good(Some(Damaged)),
    row(&[LoadingAcknowledged], "read_at", Newest, &[EIO], OtherFound).for_good(Some(Damaged)),
    row(&[LoadingFirst], "length", Newest, &[EIO], Damaged).of(Files),
    row(&[LoadingFirst], "read_at", Newest, &[EIO], Damaged),
    // A file that cannot be read is not replaced.
    row(SAVE, "kind", Any, LOOKING, NotSaved("look at")).of(Slots),
    row(SAVE, "length", Any, LOOKING, NotSaved("read")).of(Slots),
    row(SAVE, "read_at", Any, OPENING, NotSaved("read")).of(Slots),
    // The directories above an existing one may be left to their owners.
    row(FIRST, "open_dir", Above, &[EIO, EMFILE, ENFILE, ENOMEM], NotSaved("sync the directory")),
    row(OF_ALL, "open_dir", Above, &[EACCES], Ignored).for_good(NOT_CREATED),
    row(HERE, "open_dir", Above, &[EACCES], Ignored).for_good(NOT_LOOKED_AT),
    row(FIRST, "sync_dir", Above, &[EIO, ENOSPC, EDQUOT, EINTR], NotSaved("sync the directory")),
    row(OF_ALL, "sync_dir", Above, &[EROFS, EINVAL], Ignored).for_good(NOT_CREATED),
    row(HERE, "sync_dir", Above, &[EROFS, EINVAL], Ignored).for_good(NOT_LOOKED_AT),
    row(SAVE, "create_new", NoMarker, CREATING, NotSaved("create")),
    row(SAVE, "create_new", NoMarker, &[EEXIST], AGAIN).for_good(NOT_CREATED),
    row(SAVE, "write", NoMarker, WRITING, NotSaved("write")),
    row(SAVE, "write", Any, &[FaultKind::Short(100)], AGAIN),
    row(SAVE, "write", Any, &[EINTR], AGAIN).for_good(None),
    row(SAVE, "sync_file", Any, SYNCING, NotSaved("sync")),
    row(SAVE, "lock_is_in", Before, LOOKING, NotSaved("look at")),
    row(SAVE, "dir_is_at", Before, LOOKING, NotSaved("look at")),
    row(SAVE, "rename", NoMarker, RENAMING, InDoubt("rename a new checkpoint to")),
    row(SAVE, "sync_dir", Own, SYNCING, InDoubt("sync the directory")),
    row(SAVE, "create_new", Marker, CREATING, InDoubt("create")),
    // Its name says all.
    row(SAVE, "create_new", Marker, &[EEXIST], Ignored).for_good(None),
    row(SAVE, "write", Marker, WRITING, Ignored).for_good(None),
    // The one that was found stays.
    row(FIRST, "create_new", NextMarker, CREATING, AGAIN).for_good(NOT_CREATED),
    row(FIRST, "create_new", NextMarker, &[EEXIST], AGAIN).for_good(NOT_CREATED),
    row(FIRST, "write", NextMarker, WRITING, Ignored).for_good(None),
    row(FIRST, "rename", NextMarker, RENAMING, Ignored).for_good(None),
    row(SAVE, "write_at", Any, WRITING, InDoubt("write a slot of")).of(Slots),
    row(SAVE, "write_at", Any, &[FaultKind::Short(100)], AGAIN).of(Slots),
    row(SAVE, "write_at", Any, &[EINTR], AGAIN).of(Slots).for_good(None),
    row(SAVE, "sync_data", Any, SYNCING, InDoubt("sync")).of(Slots),
    row(SAVE, "lock_is_in", After, LOOKING, InDoubt("look at")),
    row(SAVE, "dir_is_at", After, LOOKING, InDoubt("look at")),
    row(SAVE, "file_is_in", After, LOOKING, InDoubt("look at")),
    row(SAVE, "remove", Any, REMOVING, Ignored).of(Files),
];

const AGAIN: Outcome = Outcome::TriedAgain;
const BAD_LOOK: Option<Outcome> = Some(NotLoaded("look at"));
const NOT_LISTED: Option<Outcome> = Some(NotLoaded("list"));

/// The number of rows.
pub(super) const ROWS: usize = TABLE.len();

/// The number of the row, the fault, whether it is permanent, and the expected outcome.
pub(super) type Expected = (usize, FaultKind, bool, Outcome);

/// The cases of the call after these.
pub(super) fn cases(
    kind: StoreKind,
    scenario: Scenario,
    before: &[Call],
    call: &Call,
) -> Vec<Expected> {
    let matches = |row: &Row| {
        row.verb == call.verb
            && row.kind.is_none_or(|of| of == kind)
            && row.during.iter().any(|during| is_during(*during, scenario))
            && is_on(row.on, scenario, before, call)
    };
    let rows = TABLE.iter().enumerate().filter(|(_, row)| matches(row));
    let both = |(number, row): (usize, &'static Row)| {
        row.ways.iter().flat_map(move |fault| {
            let for_good = row.for_good.map(|outcome| (number, *fault, true, outcome));
            [Some((number, *fault, false, row.once)), for_good].into_iter().flatten()
        })
    };
    rows.flat_map(both).collect()
}
