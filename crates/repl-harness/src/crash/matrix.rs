//! Makes every call of an open, a recovery, a save and a reopen fail in every way, once and for
//! good.

mod check;
mod reopen;
mod rows;
mod scenario;
mod table;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;
use std::time::{Duration, Instant};

use repl_checkpoint::{CheckpointStore, OpenStoreError};

use self::check::{Case, Check};
use self::reopen::{Doubt, REOPEN_FAILS};
use self::scenario::Scenario;
use super::disk::{Call, SimDisk};
use super::fault::Fault;
use super::kind::StoreKind;
use super::layout::short;
use super::protocol::Protocol;
use crate::panics::caught;

/// What a store does about a call that fails. An error names what the store was doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Outcome {
    /// It succeeds: it makes the same call again.
    TriedAgain,
    /// It succeeds without the call.
    Ignored,
    NotOpened(&'static str),
    NotLoaded(&'static str),
    /// Recovery reports damage and fails.
    Damaged,
    /// A reopen finds a checkpoint that is neither the acknowledged save nor the one in doubt.
    OtherFound,
    /// Recovery fails, and would also fail with `FallBack`.
    Refused,
    /// Recovery reports damage and falls back.
    FellBack,
    NotSaved(&'static str),
    /// From then on the store makes no call.
    InDoubt(&'static str),
}

type AnyStore = Box<dyn CheckpointStore>;

/// A kind of store with its open function.
struct Subject<'a> {
    kind: StoreKind,
    open: &'a dyn Fn(&SimDisk) -> Result<AnyStore, OpenStoreError>,
}

/// The result of the matrix of failing calls.
#[derive(Debug, Clone)]
pub struct MatrixReport {
    /// The number of cases: a call of a store, a way in which it fails, once or for good.
    pub cases: u64,
    /// The number of disks that were recovered from: caches, and images of power cuts.
    pub images: u64,
    /// The duration of the matrix.
    pub elapsed: Duration,
    /// Every case with another outcome than expected, and every error in the table.
    pub failing: Vec<FailingCase>,
}

/// A case with another outcome than expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailingCase {
    /// The store, what it did, the call, and the way in which the call failed.
    pub case: String,
    /// What was observed.
    pub what: String,
}

impl fmt::Display for MatrixReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let MatrixReport { cases, images, elapsed, failing } = self;
        let seconds = elapsed.as_secs_f64();
        write!(f, "{cases} calls that fail, {images} disks recovered from; {seconds:.1} s")?;
        if failing.is_empty() {
            return write!(f, "; no violation");
        }
        failing.iter().try_for_each(|failing| write!(f, "\n{}: {}", failing.case, failing.what))
    }
}

/// Makes every call of both kinds of store fail in every way, and compares the outcomes to a table.
///
/// Each call fails once, and for good. After each case:
/// - nothing is lost, whether the process dies or the power is cut
/// - a save that was reported as not saved is not found
/// - the next save succeeds once the disk works again
/// - a store in doubt makes no call
/// - no temporary file exists after the next open
///
/// After each kind of save in doubt, every call of a reopen fails in the same way. A reopen that
/// failed succeeds once the disk works again, and floors wait for two saves.
///
/// Takes seconds.
pub fn matrix() -> MatrixReport {
    let mut run = Run::default();
    for kind in StoreKind::ALL.iter().copied() {
        let protocol = Protocol::of(kind, None);
        let subject = Subject { kind, open: &|disk| protocol.open(disk) };
        run.all(&subject);
        run.reopens(&subject);
    }
    run.unmatched_rows();
    run.report()
}

struct Run {
    started: Instant,
    cases: u64,
    images: u64,
    failing: Vec<FailingCase>,
    matched: BTreeSet<usize>,
}

impl Default for Run {
    fn default() -> Self {
        let (failing, matched) = (Vec::new(), BTreeSet::new());
        Run { started: Instant::now(), cases: 0, images: 0, failing, matched }
    }
}

impl Run {
    fn all(&mut self, subject: &Subject<'_>) {
        for scenario in Scenario::of(subject.kind) {
            match scenario.calls(subject) {
                Ok(calls) => {
                    for number in 0..calls.len() {
                        self.call(subject, *scenario, number, &calls);
                    }
                }
                Err(what) => self.fails(format!("{:?}, {scenario:?}", subject.kind), what),
            }
        }
    }

    /// Every case of one call.
    fn call(&mut self, subject: &Subject<'_>, scenario: Scenario, number: usize, calls: &[Call]) {
        let at = format!("{:?}, {scenario:?}: ", subject.kind);
        let call = &calls[number];
        let cases = table::cases(subject.kind, scenario, &calls[..number], call);
        self.cases(subject, &at, (scenario, number, call), cases, Check::case);
    }

    fn cases<'a>(
        &mut self,
        subject: &'a Subject<'a>,
        at: &str,
        (scenario, number, call): (Scenario, usize, &Call),
        cases: Vec<table::Expected>,
        run: impl Fn(&mut Check<'a>, Case) -> Result<(), String>,
    ) {
        let at = format!("{at}{} {}", call.verb, short(&call.path));
        if cases.is_empty() {
            self.fails(at.clone(), "no row matches this call".to_owned());
        }
        for (row, kind, permanent, expected) in cases {
            self.matched.insert(row);
            self.cases += 1;
            let fault = Fault { call: number, kind, permanent };
            let mut check = Check::new(subject, scenario);
            let result = caught(|| run(&mut check, Case { fault, expected }));
            self.images += check.images;
            if let Err(what) = result.unwrap_or_else(|panic| Err(format!("it panics: {panic}"))) {
                let duration = if permanent { "for good" } else { "once" };
                self.fails(format!("{at} {kind}, {duration}"), what);
            }
        }
    }

    /// Every case of every call of a reopen, after each kind of save in doubt.
    fn reopens(&mut self, subject: &Subject<'_>) {
        let doubts = match Doubt::all(subject) {
            Ok(doubts) => doubts,
            Err(what) => return self.fails(format!("{:?}, a save in doubt", subject.kind), what),
        };
        for doubt in doubts {
            // A slot store makes all that it keeps durable in each save.
            if subject.kind == StoreKind::Files && doubt.has_older() {
                let mut check = Check::new(subject, Scenario::Reopen);
                let result = check.damage_after_reopen(&doubt);
                self.images += check.images;
                if let Err(what) = result {
                    self.fails(format!("{:?}, {doubt}", subject.kind), what);
                }
            }
            match doubt.calls(subject) {
                Ok(calls) => {
                    let all: Vec<Call> = calls.iter().map(|(_, call)| call.clone()).collect();
                    for (number, (scenario, call)) in calls.iter().enumerate() {
                        let at = format!("{:?}, {doubt}: ", subject.kind);
                        let before = &all[..number];
                        let mut cases = table::cases(subject.kind, *scenario, before, call);
                        cases.retain(|(_, kind, ..)| REOPEN_FAILS.contains(kind));
                        let run = |check: &mut Check<'_>, case| check.reopen(&doubt, case);
                        self.cases(subject, &at, (*scenario, number, call), cases, run);
                    }
                }
                Err(what) => self.fails(format!("{:?}, {doubt}", subject.kind), what),
            }
        }
    }

    fn unmatched_rows(&mut self) {
        let unmatched: Vec<_> =
            (0..table::ROWS).filter(|row| !self.matched.contains(row)).collect();
        for row in unmatched {
            self.fails(format!("row {row}"), "it matches no call".to_owned());
        }
    }

    fn fails(&mut self, case: String, what: String) {
        self.failing.push(FailingCase { case, what });
    }

    fn report(self) -> MatrixReport {
        let Run { started, cases, images, failing, .. } = self;
        MatrixReport { cases, images, elapsed: started.elapsed(), failing }
    }
}
