//! The calls to which a row of the table applies.

use super::scenario::Scenario;
use crate::crash::disk::Call;
use crate::crash::layout::{DIR, SLOTS, is_of_marker, marker, slot_file};

/// The operation during which a call is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum During {
    /// An open that creates its directory.
    Creating,
    /// An open of an existing directory.
    Opening,
    /// Any recovery.
    Recovering,
    /// A recovery that fails on damage.
    Failing,
    /// A recovery that falls back on damage.
    FallingBack,
    Saving,
    /// The first save of a process.
    SavingFirst,
    /// The first save of all.
    SavingFirstOfAll,
    /// The first save of a process that found a marker.
    SavingFirstHere,
    /// The open within a reopen.
    Reopening,
    /// The load within a reopen, where the save in doubt is the newest and an acknowledged one is
    /// older.
    LoadingDoubtful,
    /// The same, where nothing was acknowledged before.
    LoadingFirst,
    /// The same, where the acknowledged save is the newest.
    LoadingAcknowledged,
}

/// The path on which a call is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum On {
    Any,
    /// The store's own directory, or below it.
    Own,
    /// A directory above the store's.
    Above,
    /// The newest checkpoint, to use it.
    Newest,
    /// The slot file, to find out which slot is the newest.
    Looking,
    /// The marker.
    Marker,
    /// What takes the place of the marker.
    NextMarker,
    /// Any other path than these two.
    NoMarker,
    /// Any, before the save can be found.
    Before,
    /// Any, from then on.
    After,
}

pub(super) fn is_during(during: During, scenario: Scenario) -> bool {
    match during {
        During::Creating => scenario == Scenario::Create,
        During::Opening => scenario == Scenario::Open,
        During::Recovering => {
            use Scenario::{FallBack, Recover, RecoverNothing};
            matches!(scenario, RecoverNothing | Recover | FallBack)
                || is_during(During::LoadingAcknowledged, scenario)
        }
        During::Failing => scenario == Scenario::Recover,
        During::FallingBack => scenario == Scenario::FallBack,
        During::Saving => scenario.is_save(),
        During::SavingFirst => {
            is_during(During::SavingFirstOfAll, scenario)
                || is_during(During::SavingFirstHere, scenario)
        }
        During::SavingFirstOfAll => scenario == Scenario::SaveFirst,
        During::SavingFirstHere => {
            matches!(scenario, Scenario::SaveFirstHere | Scenario::SaveLongerFirstHere)
        }
        During::Reopening => scenario == Scenario::Reopen,
        During::LoadingFirst => scenario == (Scenario::Reload { newest: 1, doubtful: true }),
        During::LoadingDoubtful => {
            matches!(scenario, Scenario::Reload { newest: 2.., doubtful: true })
        }
        During::LoadingAcknowledged => {
            matches!(scenario, Scenario::Reload { doubtful: false, .. })
        }
    }
}

pub(super) fn is_on(on: On, scenario: Scenario, before: &[Call], call: &Call) -> bool {
    let name = call.path.file_stem().and_then(|name| name.to_str()?.parse::<u64>().ok());
    let own = call.path.starts_with(DIR);
    // Its first page and each of its slots.
    let of_slots = call.path == slot_file();
    let read = before.iter().filter(|call| call.verb == "read_at").count();
    let is_read = read > SLOTS;
    let saves = |call: &Call| matches!(call.verb, "rename" | "write_at");
    let may_be_found = before.iter().any(|call| saves(call) && !is_of_marker(&call.path));
    match on {
        On::Any => true,
        On::Own => own,
        On::Above => !own,
        On::Newest => name == Some(scenario.acknowledged()) || (of_slots && is_read),
        On::Looking => of_slots && !is_read,
        On::Marker => call.path == marker(),
        On::NextMarker => is_of_marker(&call.path) && call.path != marker(),
        On::NoMarker => !is_of_marker(&call.path),
        On::Before => !may_be_found,
        On::After => may_be_found,
    }
}
