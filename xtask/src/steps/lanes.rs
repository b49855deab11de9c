//! Programs in two lanes: what one of them waits for leaves the machine to the other.

use std::fmt::Write as _;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::{Skipped, failed};
use crate::command::{Fallible, Program};

/// A lane: its steps run one after the other, beside those of the other lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lane {
    /// Builds of the test profile, and what they run.
    Tests,
    /// Builds of other profiles, and trials, whose build is short: they hardly wait for a build in the
    /// lane of the tests.
    Others,
}

/// Prepares a program.
pub(crate) type Prepare = fn() -> Program;

/// A step of a lane.
pub(super) struct Job {
    pub(super) heading: String,
    pub(super) name: &'static str,
    pub(super) lane: Lane,
    pub(super) prepare: Prepare,
}

/// A step that has passed.
pub(super) struct Ended {
    pub(super) name: &'static str,
    pub(super) time: Duration,
    pub(super) skipped: Skipped,
}

/// Runs the steps, up to the first that fails in either lane. The output of each is printed when it
/// ends. A step that is alone prints as it runs.
pub(super) fn run(jobs: &[Job]) -> Fallible<Vec<Ended>> {
    if let [job] = jobs {
        println!("{}", job.heading);
        return Ok(vec![job.run(|line| println!("{line}"))?]);
    }
    let has_failed = AtomicBool::new(false);
    let ended: [Fallible<Vec<Ended>>; 2] = thread::scope(|scope| {
        let has_failed = &has_failed;
        let lanes = [Lane::Tests, Lane::Others].map(|lane| {
            scope.spawn(move || {
                let mut ended = Vec::new();
                for job in jobs.iter().filter(|job| job.lane == lane) {
                    if has_failed.load(Ordering::Relaxed) {
                        break;
                    }
                    println!("{}: begun", job.heading);
                    let mut output = format!("{}\n", job.heading);
                    let result = job.run(|line| {
                        let _ = writeln!(output, "{line}");
                    });
                    print!("{output}");
                    has_failed.fetch_or(result.is_err(), Ordering::Relaxed);
                    ended.push(result?);
                }
                Ok(ended)
            })
        });
        lanes.map(|lane| lane.join().unwrap_or_else(|panic| resume_unwind(panic)))
    });
    let mut all = Vec::new();
    for ended in ended {
        all.extend(ended?);
    }
    Ok(all)
}

impl Job {
    fn run(&self, mut on_line: impl FnMut(&str)) -> Fallible<Ended> {
        let (start, mut skipped) = (Instant::now(), Skipped::new());
        let result = (self.prepare)().run_collecting(&mut skipped, &mut on_line);
        result.map_err(|err| failed(self.name, &*err))?;
        Ok(Ended { name: self.name, time: start.elapsed(), skipped })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::at;

    fn job(name: &'static str, lane: Lane, prepare: Prepare) -> Job {
        Job { heading: name.to_owned(), name, lane, prepare }
    }

    fn shell(script: &str) -> Program {
        at("/bin/sh".as_ref(), &["-c", script])
    }

    #[test]
    fn the_lanes_run_side_by_side() {
        // Each waits for the other one.
        const MEET: &str = "f=target/lanes.$PPID; mkfifo $f 2>/dev/null; ";
        fn reads() -> Program {
            shell(&format!("{MEET} read line < $f; rm $f; echo skipped: $line"))
        }
        fn writes() -> Program {
            shell(&format!("{MEET} echo met > $f"))
        }
        let jobs = [job("a", Lane::Tests, reads), job("b", Lane::Others, writes)];
        let ended = run(&jobs).unwrap();
        assert_eq!(ended.iter().map(|ended| ended.name).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(ended[0].skipped, ["skipped: met"]);
    }

    #[test]
    fn a_failure_ends_both_lanes_and_is_named() {
        let jobs = [
            job("a", Lane::Tests, || shell("exit 3")),
            job("b", Lane::Others, || shell("sleep 1")),
            job("c", Lane::Others, || shell("touch target/lanes.ran")),
        ];
        let err = run(&jobs).map(|_| ()).unwrap_err();
        assert!(err.to_string().starts_with("step a failed: "), "{err}");
        assert!(!crate::command::root().join("target/lanes.ran").exists());
        assert!(run(&jobs[1..2]).is_ok());
    }
}
