//! What a follower does at each start and each new connection: compares its marks with the log, and
//! says what follows. Numbers in comments are those of the steps in README.md.
//!
//! | verdict | action |
//! | --- | --- |
//! | `Resume` | go on |
//! | `Fresh`, `BehindRetention`, `OtherLog` | make the slot and the copy anew |
//! | `AheadOfLog`, `Diverged`, `StaleLog`, `NoProgress` | stop |

use std::sync::Arc;

use example_support::send;
use pgwire_replication::Lsn;
use repl_core::{LogBounds, NewShard, Progress, ReplicationState, SeqNo, Verdict, reconcile};
use tokio_postgres::IsolationLevel;

use crate::Setup;
use crate::copy::Table;
use crate::events::Event;
use crate::failure::Failure;
use crate::patience::Patience;
use crate::sink::{SHARD, Sink, Stored};
use crate::source::{DATABASE, Source, slot_of};

/// Returns a session from which the log can be followed, and the marks to follow it from.
pub(crate) async fn start<S: Sink>(
    sink: &mut S,
    setup: &Setup,
    patience: &mut Patience,
) -> Result<(Source, Arc<ReplicationState>), Failure> {
    let (ours, live) = match sink.stored().await? {
        Stored::Nothing => (Progress::Nothing, None),
        Stored::DataWithoutMarks => (Progress::DataWithoutMarks, None),
        Stored::Marks(live) => (live.progress(SHARD).ok_or(Failure::NotTracked)?, Some(live)),
    }; // 1
    let (mut source, log) = look(setup, &ours).await?; // 2
    let verdict = reconcile(&ours, &log); // 3
    eprintln!("follower: {verdict}");
    match (Action::of(verdict), live) {
        (Action::GoOn { mark }, Some(live)) => {
            source.drop_other_slots().await?;
            if live.epochs(SHARD).as_ref() == Some(&log.epochs) {
                return Ok((source, live));
            }
            let shard = live.shard(SHARD).ok_or(Failure::NotTracked)?;
            sink.adopt(&shard, new_shard(&log, mark)).await?;
        }
        (Action::CopyAnew, live) => {
            if live.is_some_and(|live| live.shard(SHARD).is_some_and(|s| s.log() == log.log)) {
                source = Source::connect(&setup.address, new_slot()).await?; // another log
            }
            copy(sink, setup, &mut source).await?;
            *patience = Patience::new();
        }
        _ => return Err(Failure::Stopped(verdict)),
    }
    match sink.stored().await? {
        Stored::Marks(live) => Ok((source, live)),
        _ => Err(Failure::NotTracked),
    }
}

/// What follows from a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    /// Go on above the mark.
    GoOn { mark: SeqNo },
    /// Make the slot and the copy anew.
    CopyAnew,
    /// The server has lost or replaced what is applied: a human decides.
    Stop,
}

impl Action {
    fn of(verdict: Verdict) -> Action {
        match verdict {
            Verdict::Resume { mark } => Action::GoOn { mark },
            Verdict::Fresh | Verdict::BehindRetention { .. } | Verdict::OtherLog { .. } => {
                Action::CopyAnew
            }
            Verdict::AheadOfLog { .. }
            | Verdict::Diverged { .. }
            | Verdict::StaleLog { .. }
            | Verdict::NoProgress => Action::Stop,
        }
    }
}

/// Returns a session, and what the log offers there: that of our slot, or that of a new one if
/// there is no slot of ours.
async fn look(setup: &Setup, ours: &Progress) -> Result<(Source, LogBounds), Failure> {
    if let Progress::Applied { log, .. } = ours {
        let mut source = Source::connect(&setup.address, slot_of(*log)).await?;
        if source.log() == *log
            && let Some(bounds) = source.bounds().await?
        {
            return Ok((source, bounds));
        }
    }
    let source = Source::connect(&setup.address, new_slot()).await?;
    let bounds = source.bounds_of_new_slot();
    Ok((source, bounds))
}

fn new_slot() -> u64 {
    fastrand::u64(..)
}

/// The shard at a mark of a log.
fn new_shard(log: &LogBounds, mark: SeqNo) -> NewShard {
    NewShard::new(SHARD).with_mark(mark).with_log(log.log).with_epochs(log.epochs.clone())
}

/// Makes the slot anew, and copies all tables as of its first position. 4
async fn copy<S: Sink>(sink: &mut S, setup: &Setup, source: &mut Source) -> Result<(), Failure> {
    source.drop_other_slots().await?;
    let (point, snapshot) = source.create_slot().await?;
    let mut client = setup.address.connect(DATABASE).await?;
    let reader = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead);
    let reader = reader.read_only(true).start().await?;
    let imported = reader.batch_execute(&format!("set transaction snapshot '{snapshot}'")).await;
    imported.map_err(Failure::NoSnapshot)?;
    let tables = Table::published(&reader).await?;
    let new = new_shard(&source.bounds_of_new_slot(), point);
    let rows = sink.copy(&reader, &tables, new).await?;
    send(Event::Copied { log: slot_of(source.log()), rows });
    eprintln!("follower: copied {rows} rows as of {}", Lsn(point));
    Ok(())
}

#[cfg(test)]
mod tests {
    use repl_core::{AppliedSet, EpochStart, Epochs, LogId};

    use super::*;

    fn epochs(starts: &[(u64, u64)]) -> Epochs {
        let start = |(epoch, first): &(u64, u64)| EpochStart { epoch: *epoch, first: *first };
        Epochs::new(starts.iter().map(start)).unwrap()
    }

    /// What follows where the mark is 50, on timeline 2 from 41 on.
    fn action(change: impl FnOnce(&mut LogBounds)) -> Action {
        let (log, applied) = (LogId(7), AppliedSet::up_to(50));
        let epochs = epochs(&[(1, 1), (2, 41)]);
        let ours = Progress::Applied { log, applied, epochs: epochs.clone() };
        let mut bounds = LogBounds { log, last_deleted: 45, last: 90, epochs };
        change(&mut bounds);
        Action::of(reconcile(&ours, &bounds))
    }

    #[test]
    fn each_difference_of_server_and_slot_has_its_action() {
        let go_on = Action::GoOn { mark: 50 };
        assert_eq!(action(|_| ()), go_on);
        assert_eq!(action(|log| log.last_deleted = 50), go_on, "all of it is confirmed");
        assert_eq!(action(|log| log.last_deleted = 3), go_on, "a crash took confirmations back");
        assert_eq!(action(|log| log.epochs = epochs(&[(1, 1), (2, 41), (3, 51)])), go_on);
        assert_eq!(action(|log| log.last_deleted = 51), Action::CopyAnew, "confirmed too much");
        assert_eq!(action(|log| log.log = LogId(8)), Action::CopyAnew, "another slot or system");
        assert_eq!(action(|log| log.last = 49), Action::Stop, "the server has lost its end");
        let diverged = [(1, 1), (2, 41), (3, 48)];
        assert_eq!(action(|log| log.epochs = epochs(&diverged)), Action::Stop, "another history");
        assert_eq!(action(|log| log.epochs = epochs(&[(1, 1)])), Action::Stop, "an old timeline");
    }

    #[test]
    fn a_new_follower_copies_and_tables_without_marks_are_left_alone() {
        let log = LogBounds { last_deleted: 90, last: 90, ..LogBounds::default() };
        assert_eq!(Action::of(reconcile(&Progress::Nothing, &log)), Action::CopyAnew);
        assert_eq!(Action::of(reconcile(&Progress::DataWithoutMarks, &log)), Action::Stop);
    }
}
