//! Every call of an open, a recovery and a save fails in every way, once and for good.

mod act;
mod check;
mod table;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use repl_checkpoint::{CheckpointStore, OpenStoreError};

use self::act::Act;
use self::check::Check;
use super::disk::{Call, SimDisk};
use super::fault::Fault;
use super::life::short;
use super::protocol::{Protocol, Store};

/// What a store makes of a call that fails. Each comes with the act that its error names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Outcome {
    /// All goes well, by the same call once more.
    TriedAgain,
    /// All goes well without it.
    Ignored,
    NotOpened(&'static str),
    NotLoaded(&'static str),
    /// Recovery reports damage and stops.
    Damaged,
    /// Recovery stops, and falls back in no case.
    Refused,
    /// Recovery reports damage, and falls back as it was told to.
    FellBack,
    NotSaved(&'static str),
    /// From then on the store makes no call.
    InDoubt(&'static str),
}

type AnyStore = Box<dyn CheckpointStore>;

/// A kind of store, and how it is opened.
struct Subject<'a> {
    kind: Store,
    open: &'a dyn Fn(&SimDisk) -> Result<AnyStore, OpenStoreError>,
}

/// What came of every call that was made to fail.
#[derive(Debug, Clone)]
pub struct MatrixReport {
    /// How many cases the matrix has: a call of a store, a way in which it fails, once or for good.
    pub cases: u64,
    /// How many disks were recovered from after them: the cache, and what power cuts leave.
    pub images: u64,
    /// How long it took.
    pub elapsed: Duration,
    /// Every case that came to something else than it should, and what is wrong with the table.
    pub failing: Vec<FailingCase>,
}

/// A case that came to something else than it should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailingCase {
    /// The store, what it did, the call, and the way in which that failed.
    pub case: String,
    /// What came of it.
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

/// Makes every call of both stores fail in every way that it can, once and for good, and holds what
/// comes of it to one table. After each, nothing is lost, whether the process dies or the power is
/// cut; what is not saved is not found, and the next save works once the disk is good again; a store
/// in doubt makes no call; and no temporary file outlives the next open.
///
/// Takes seconds.
pub fn matrix() -> MatrixReport {
    let mut run = Run::default();
    for kind in Store::ALL.iter().copied() {
        let protocol = Protocol::of(kind, None);
        run.all(&Subject { kind, open: &|disk| protocol.open(disk) });
    }
    run.rows_that_nothing_meets();
    run.report()
}

struct Run {
    started: Instant,
    cases: u64,
    images: u64,
    failing: Vec<FailingCase>,
    met: BTreeSet<usize>,
}

impl Default for Run {
    fn default() -> Self {
        let (failing, met) = (Vec::new(), BTreeSet::new());
        Run { started: Instant::now(), cases: 0, images: 0, failing, met }
    }
}

impl Run {
    fn all(&mut self, subject: &Subject<'_>) {
        for act in Act::of(subject.kind) {
            match act.calls(subject) {
                Ok(calls) => {
                    for (number, call) in calls.iter().enumerate() {
                        self.call(subject, *act, number, call);
                    }
                }
                Err(what) => self.fails(format!("{:?}, {act:?}", subject.kind), what),
            }
        }
    }

    /// One row of cases.
    fn call(&mut self, subject: &Subject<'_>, act: Act, number: usize, call: &Call) {
        let at = format!("{:?}, {act:?}: {} {}", subject.kind, call.verb, short(&call.path));
        let cases = table::cases(subject.kind, act, call);
        if cases.is_empty() {
            self.fails(at.clone(), "the table says nothing of this call".to_owned());
        }
        for (row, how, lasting, expected) in cases {
            self.met.insert(row);
            self.cases += 1;
            let fault = Fault { call: number, how, lasting };
            let mut check = Check::new(subject, act);
            let case = || check.case(fault, expected);
            let seen = catch_unwind(AssertUnwindSafe(case));
            self.images += check.images;
            if let Err(what) = seen.unwrap_or_else(|_| Err("a panic".to_owned())) {
                let how_long = if lasting { "for good" } else { "once" };
                self.fails(format!("{at} {how}, {how_long}"), what);
            }
        }
    }

    fn rows_that_nothing_meets(&mut self) {
        let unmet = (0..table::ROWS).filter(|row| !self.met.contains(row)).collect::<Vec<_>>();
        for row in unmet {
            self.fails(format!("row {row}"), "no call meets it".to_owned());
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
