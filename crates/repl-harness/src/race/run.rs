//! A run: rounds, each of three phases.

use std::process::Command;
use std::time::Instant;

use repl_checkpoint::Lease;

use super::classify::Finding;
use super::config::Config;
use super::error::RaceError;
use super::judge::{self, Judge, Judged};
use super::plan::Plan;
use super::processes::Processes;
use super::promise::Violation;
use super::report::Report;
use super::step::{Call, Order, Outcome, Step};
use super::worker::is_worker;

/// How often an answer is asked for that the run cannot do without.
const TRIES: usize = 20;

/// Races writers for the record `config.record` of the store at `url`.
///
/// `command` makes the command of each process: [`this_test`](super::this_test), or a program that
/// calls [`work`](super::work). A round takes some 35 calls. `observer` is called after each round.
///
/// # Errors
/// [`RaceError::Violation`] with the first broken promise. Everything else says why the store could
/// not be judged.
pub fn run(
    config: &Config,
    url: &str,
    command: impl FnMut() -> Command,
    mut observer: impl FnMut(&Report),
) -> Result<Report, RaceError> {
    if is_worker() {
        return Err(RaceError::IsWorker); // or processes would start processes without end
    }
    let start = Instant::now();
    let mut run = Run {
        processes: Processes::start(config, url, command)?,
        plan: Plan::new(config.seed, config.writers.max(2)),
        judge: Judge::new(config.skip.clone()),
        report: Report::default(),
        reason: String::new(),
    };
    run.look_for_a_record()?;
    while run.report.rounds + run.report.skipped < config.rounds {
        run.processes.round += 1;
        match run.round(run.processes.round)? {
            Judged::Held => run.report.rounds += 1,
            // Another one follows in its place.
            Judged::Unclear => run.report.unclear += 1,
            Judged::Skipped => run.report.skipped += 1,
        }
        if run.report.unclear > config.rounds {
            return Err(run.failing());
        }
        run.report.elapsed = start.elapsed();
        observer(&run.report);
    }
    Ok(run.report)
}

struct Run {
    processes: Processes,
    plan: Plan,
    judge: Judge,
    report: Report,
    /// Why the last call that failed did.
    reason: String,
}

impl Run {
    /// A renewal of a lease that nobody has must find no record, and must not make one.
    fn look_for_a_record(&mut self) -> Result<(), RaceError> {
        let lease = Lease { holder: fastrand::u128(1..), token: 0 };
        let calls = self.make(&[vec![Step::Renew { lease, token: 1 }.into()]])?;
        if calls.iter().any(|call| matches!(call.outcome, Outcome::Refused(Some(_)))) {
            return Err(RaceError::NotNew { place: self.processes.place.clone() });
        }
        self.judged(&calls).map(drop)
    }

    fn round(&mut self, round: u64) -> Result<Judged, RaceError> {
        for phase in 1..=3 {
            let orders = match phase {
                1 => self.plan.takeovers(&self.judge),
                2 => self.plan.race(round, &self.judge),
                _ => self.plan.look(&self.judge),
            };
            let calls = self.make(&orders)?;
            let judged = self.judged(&calls)?;
            if judged != Judged::Held {
                self.resume()?;
                return Ok(judged);
            }
        }
        Ok(Judged::Held)
    }

    fn make(&mut self, orders: &[Vec<Order>]) -> Result<Vec<Call>, RaceError> {
        let calls = self.processes.make(orders)?;
        for call in &calls {
            self.count(call);
        }
        let Report { calls: all, failed, .. } = self.report;
        // From the first phase on, so that a server that is not there ends the run at once.
        if failed.saturating_mul(10) > all && (failed >= 8 || failed == all) {
            return Err(self.failing());
        }
        Ok(calls)
    }

    fn failing(&self) -> RaceError {
        let Report { calls, failed, .. } = self.report;
        let (place, reason) = (self.processes.place.clone(), self.reason.clone());
        RaceError::Failing { place, failed, calls, reason }
    }

    fn count(&mut self, call: &Call) {
        let report = &mut self.report;
        report.calls += 1;
        match (&call.outcome, &call.step) {
            (Outcome::Acquired(_), Step::TakeOver(_)) => report.takeovers += 1,
            (Outcome::Acquired(_), _) => report.renewals += 1,
            (Outcome::Saved, _) => report.saves += 1,
            (Outcome::Refused(_), _) => report.refused += 1,
            (Outcome::Dropped, _) => report.dropped += 1,
            (Outcome::Unavailable(reason) | Outcome::InDoubt(reason), _) => {
                report.failed += 1;
                self.reason.clone_from(reason);
            }
            (Outcome::Loaded(_) | Outcome::Panicked(_), _) => {}
        }
    }

    fn judged(&mut self, calls: &[Call]) -> Result<Judged, RaceError> {
        let judged = match judge::panic(calls) {
            Some(finding) => Err(finding),
            None => self.judge.judge(calls),
        };
        judged.map_err(|Finding { promise, writers, what }| {
            RaceError::Violation(Box::new(Violation {
                promise,
                round: self.processes.round,
                writers: writers.into_iter().map(|writer| writer + 1).collect(),
                place: self.processes.place.clone(),
                what,
            }))
        })
    }

    /// Begins anew with what is there, after a phase that was not judged.
    fn resume(&mut self) -> Result<(), RaceError> {
        let taken = self.until_answered(Step::TakeOver(None), |outcome| match outcome {
            Outcome::Acquired(seen) => Some(seen),
            _ => None,
        })?;
        let mut kept = Vec::new();
        let mut at_most = u64::MAX;
        while kept.len() < 2 {
            let loaded = self.until_answered(Step::Load { at_most }, |outcome| match outcome {
                Outcome::Loaded(loaded) => Some(loaded),
                _ => None,
            })?;
            let Some((generation, content)) = loaded else { break };
            kept.extend(content.map(|content| (generation, content)));
            let Some(below) = generation.checked_sub(1) else { break };
            at_most = below;
        }
        self.judge.resume(taken, kept);
        Ok(())
    }

    /// Lets one writer make a call until there is an answer.
    fn until_answered<T>(
        &mut self,
        step: Step,
        answer: impl Fn(Outcome) -> Option<T>,
    ) -> Result<T, RaceError> {
        for _ in 0..TRIES {
            let calls = self.make(&[vec![step.into()]])?;
            if let Some(found) = calls.into_iter().find_map(|call| answer(call.outcome)) {
                return Ok(found);
            }
        }
        Err(self.failing())
    }
}
