//! What is to come of every call that fails: the table.

use super::Outcome;
use super::act::Act;
use crate::crash::disk::Call;
use crate::crash::fault::How;
use crate::crash::protocol::{DIR, Store};

const EINTR: How = How::Errno(4);
const EIO: How = How::Errno(5);
const ENOMEM: How = How::Errno(12);
const EACCES: How = How::Errno(13);
const EBUSY: How = How::Errno(16);
const EEXIST: How = How::Errno(17);
const EINVAL: How = How::Errno(22);
const ENFILE: How = How::Errno(23);
const EMFILE: How = How::Errno(24);
const EFBIG: How = How::Errno(27);
const ENOSPC: How = How::Errno(28);
const EROFS: How = How::Errno(30);
const ENOLCK: How = How::Errno(37);
const EDQUOT: How = How::Errno(122);

/// To look at a path opens nothing.
const LOOKING: &[How] = &[EIO, EACCES, ENOMEM];
const OPENING: &[How] = &[EIO, EACCES, EMFILE, ENFILE, ENOMEM];
const CREATING: &[How] = &[EIO, ENOSPC, EROFS, EACCES, EMFILE, ENFILE, EDQUOT, How::DoneBut(5)];
const WRITING: &[How] = &[EIO, ENOSPC, EDQUOT, EFBIG, How::Short(0)];
const SYNCING: &[How] = &[
    EIO,
    ENOSPC,
    EDQUOT,
    EINTR,
    How::SyncLost { errno: 5, cache_survives: true },
    How::SyncLost { errno: 5, cache_survives: false },
    How::SyncLost { errno: 28, cache_survives: true },
];
const RENAMING: &[How] = &[EIO, ENOSPC, EROFS, EACCES, EDQUOT, How::DoneBut(5)];
const REMOVING: &[How] = &[EIO, EROFS, EACCES, EBUSY, How::DoneBut(5)];

/// When a call is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum During {
    /// An open that creates its directory.
    Creating,
    /// An open of a directory that is there.
    Opening,
    /// A recovery, whatever it does about damage.
    Recovering,
    /// A recovery that stops at damage, and one that falls back.
    Failing,
    FallingBack,
    Saving,
}

/// What a call is made on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum On {
    Any,
    /// The store's own directory, or one above it.
    Own,
    Above,
    /// The file of the newest generation, or of the one before.
    Newest,
    Older,
}

struct Row {
    during: &'static [During],
    /// Of one kind of store alone.
    kind: Option<Store>,
    verb: &'static str,
    on: On,
    ways: &'static [How],
    once: Outcome,
    /// `None` where the way cannot last.
    for_good: Option<Outcome>,
}

const OPEN: &[During] = &[During::Creating, During::Opening];
const SAVE: &[During] = &[During::Saving];
const RECOVER: &[During] = &[During::Recovering];

/// The same for one call and for good.
const fn row(
    during: &'static [During],
    verb: &'static str,
    on: On,
    ways: &'static [How],
    once: Outcome,
) -> Row {
    Row { during, kind: None, verb, on, ways, once, for_good: Some(once) }
}

impl Row {
    const fn of(self, kind: Store) -> Row {
        Row { kind: Some(kind), ..self }
    }

    const fn for_good(self, for_good: Option<Outcome>) -> Row {
        Row { for_good, ..self }
    }
}

use During::{Creating, Failing, FallingBack, Opening};
use On::{Above, Any, Newest, Older, Own};
use Outcome::{Damaged, FellBack, Ignored, InDoubt, NotLoaded, NotOpened, NotSaved, Refused};
use Store::{Files, Slots};

const NOT_SYNCED: Outcome = NotOpened("sync the directory");
const NOT_LOCKED: Option<Outcome> = Some(NotOpened("lock"));

/// A call that no row speaks of, and a row that no call meets, fail the matrix.
const TABLE: &[Row] = &[
    row(OPEN, "kind", Any, LOOKING, NotOpened("look at")),
    row(OPEN, "create_dir", Any, &[EIO, ENOSPC, EROFS, EACCES, EDQUOT], NotOpened("create")),
    // Somebody else was quicker.
    row(OPEN, "create_dir", Any, &[How::DoneBut(17)], Ignored).for_good(None),
    // Directories above one that was there belong to others, who have synced them.
    row(OPEN, "open_dir", Above, &[EIO, EMFILE, ENFILE, ENOMEM], NOT_SYNCED),
    row(OPEN, "sync_dir", Above, &[EIO, ENOSPC, EDQUOT, EINTR], NOT_SYNCED),
    row(&[Creating], "open_dir", Above, &[EACCES], NOT_SYNCED),
    row(&[Creating], "sync_dir", Above, &[EROFS, EINVAL], NOT_SYNCED),
    row(&[Opening], "open_dir", Above, &[EACCES], Ignored).for_good(NOT_LOCKED),
    row(&[Opening], "sync_dir", Above, &[EROFS, EINVAL], Ignored).for_good(NOT_LOCKED),
    row(
        OPEN,
        "try_lock",
        Any,
        &[EIO, EACCES, EROFS, EMFILE, ENFILE, ENOSPC, EDQUOT, ENOLCK],
        NotOpened("lock"),
    ),
    row(OPEN, "open_dir", Own, OPENING, NotOpened("open")),
    row(OPEN, "list", Own, OPENING, NotOpened("list")),
    // A temporary file that stays is in nobody's way.
    row(OPEN, "remove", Any, REMOVING, Ignored),
    row(RECOVER, "list", Own, OPENING, NotLoaded("list")).of(Files),
    row(RECOVER, "kind", Any, LOOKING, NotLoaded("look at")),
    // A checkpoint that cannot be read is lost only where the disk says so.
    row(&[Failing], "read", Newest, &[EIO], Damaged).of(Files).for_good(BAD_LOOK),
    row(&[FallingBack], "read", Newest, &[EIO], FellBack).of(Files).for_good(BAD_LOOK),
    row(RECOVER, "read", Newest, &[EACCES, EMFILE, ENFILE, ENOMEM], Refused)
        .of(Files)
        .for_good(BAD_LOOK),
    row(RECOVER, "read", Older, OPENING, Ignored).of(Files),
    row(RECOVER, "read", Any, OPENING, NotLoaded("read")).of(Slots),
    // What cannot be read is not replaced.
    row(SAVE, "kind", Any, LOOKING, NotSaved("look at")).of(Slots),
    row(SAVE, "read", Any, OPENING, NotSaved("read")).of(Slots),
    row(SAVE, "create_new", Any, CREATING, NotSaved("create")),
    row(SAVE, "create_new", Any, &[EEXIST], AGAIN).for_good(Some(NotSaved("create"))),
    row(SAVE, "write", Any, WRITING, NotSaved("write")),
    row(SAVE, "write", Any, &[How::Short(100)], AGAIN),
    row(SAVE, "write", Any, &[EINTR], AGAIN).for_good(None),
    row(SAVE, "sync_file", Any, SYNCING, NotSaved("sync")),
    row(SAVE, "rename", Any, RENAMING, InDoubt("rename a new checkpoint to")),
    row(SAVE, "sync_dir", Own, SYNCING, InDoubt("sync the directory")),
    row(SAVE, "remove", Any, REMOVING, Ignored).of(Files),
    row(SAVE, "write_at", Any, WRITING, InDoubt("write a slot of")).of(Slots),
    row(SAVE, "write_at", Any, &[How::Short(100)], AGAIN).of(Slots),
    row(SAVE, "write_at", Any, &[EINTR], AGAIN).of(Slots).for_good(None),
    row(SAVE, "sync_data", Any, SYNCING, InDoubt("sync")).of(Slots),
];

const AGAIN: Outcome = Outcome::TriedAgain;
/// The older file is looked at after the newest is read.
const BAD_LOOK: Option<Outcome> = Some(NotLoaded("look at"));

/// How many rows there are.
pub(super) const ROWS: usize = TABLE.len();

/// What is to be tried at a call, with the number of its row: the way, whether for good, and what
/// is to come of it.
pub(super) fn cases(kind: Store, act: Act, call: &Call) -> Vec<(usize, How, bool, Outcome)> {
    let meets = |row: &Row| {
        row.verb == call.verb
            && row.kind.is_none_or(|of| of == kind)
            && row.during.iter().any(|during| is_during(*during, act))
            && is_on(row.on, act, call)
    };
    let rows = TABLE.iter().enumerate().filter(|(_, row)| meets(row));
    let both = |(number, row): (usize, &'static Row)| {
        row.ways.iter().flat_map(move |how| {
            let for_good = row.for_good.map(|outcome| (number, *how, true, outcome));
            [Some((number, *how, false, row.once)), for_good].into_iter().flatten()
        })
    };
    rows.flat_map(both).collect()
}

fn is_during(during: During, act: Act) -> bool {
    match during {
        During::Creating => act == Act::Create,
        During::Opening => act == Act::Open,
        During::Recovering => matches!(act, Act::RecoverNothing | Act::Recover | Act::FallBack),
        During::Failing => act == Act::Recover,
        During::FallingBack => act == Act::FallBack,
        During::Saving => act.is_save(),
    }
}

fn is_on(on: On, act: Act, call: &Call) -> bool {
    let name = call.path.file_stem().and_then(|name| name.to_str()?.parse::<u64>().ok());
    let own = call.path.starts_with(DIR);
    match on {
        On::Any => true,
        On::Own => own,
        On::Above => !own,
        On::Newest => name == Some(act.acknowledged()),
        On::Older => name.is_some_and(|generation| generation < act.acknowledged()),
    }
}
