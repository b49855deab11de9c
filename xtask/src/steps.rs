//! Runs a list of named steps, up to the first that fails: those of no lane in order, then the lanes.

mod lanes;

use std::error::Error;
use std::time::{Duration, Instant};

use self::lanes::{Ended, Job};
pub(crate) use self::lanes::{Lane, Prepare};
use crate::command::Done;

/// The steps to run.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Print the steps and end
    #[arg(long)]
    list: bool,
    /// Run only these steps, by name
    #[arg(value_name = "STEP")]
    steps: Vec<String>,
}

/// Messages of tests that could not run on this machine.
pub(crate) type Skipped = Vec<String>;

/// A check with a name.
pub(crate) struct Step {
    name: &'static str,
    about: &'static str,
    check: Check,
}

enum Check {
    Here(fn(&mut Skipped) -> Done),
    In(Lane, Prepare),
}

/// Makes a step.
pub(crate) const fn step(
    name: &'static str,
    about: &'static str,
    check: fn(&mut Skipped) -> Done,
) -> Step {
    Step { name, about, check: Check::Here(check) }
}

/// Makes a step that runs a program in a lane.
pub(crate) const fn in_lane(
    lane: Lane,
    name: &'static str,
    about: &'static str,
    prepare: Prepare,
) -> Step {
    Step { name, about, check: Check::In(lane, prepare) }
}

/// Runs those of the steps that `args` names, or lists them. `task` is the command that has them.
pub(crate) fn run(task: &str, steps: &[Step], args: &Args) -> Done {
    let chosen = chosen(steps, &args.steps)
        .map_err(|name| format!("no step {name:?}: `cargo xtask {task} --list` names them"))?;
    let width = steps.iter().map(|step| step.name.len()).max().unwrap_or_default();
    if args.list {
        for step in chosen {
            println!("{:<width$} {}", step.name, step.about);
        }
        return Ok(());
    }
    let begun = Instant::now();
    let mut ended = Vec::new();
    let mut jobs = Vec::new();
    for (i, Step { name, about, check }) in chosen.iter().enumerate() {
        let heading = format!("== {} of {}: {name} ({about})", i + 1, chosen.len());
        match *check {
            Check::Here(check) => {
                println!("{heading}");
                let (start, mut skipped) = (Instant::now(), Skipped::new());
                check(&mut skipped).map_err(|err| failed(name, &*err))?;
                ended.push(Ended { name, time: start.elapsed(), skipped });
            }
            Check::In(lane, prepare) => jobs.push(Job { heading, name, lane, prepare }),
        }
    }
    ended.extend(lanes::run(&jobs)?);
    report(&ended, width, begun.elapsed())
}

fn failed(name: &str, err: &dyn Error) -> String {
    format!("step {name} failed: {err}")
}

/// The steps of these names, or all if there are no names.
///
/// # Errors
/// The first name that no step has.
fn chosen<'a>(steps: &'a [Step], names: &[String]) -> Result<Vec<&'a Step>, String> {
    if let Some(unknown) = names.iter().find(|name| steps.iter().all(|s| s.name != **name)) {
        return Err(unknown.clone());
    }
    let is_chosen = |step: &&Step| names.is_empty() || names.iter().any(|name| name == step.name);
    Ok(steps.iter().filter(is_chosen).collect())
}

fn report(ended: &[Ended], width: usize, all: Duration) -> Done {
    println!("== done");
    for Ended { name, time, .. } in ended {
        println!("{name:<width$} {:>6.1} s", time.as_secs_f64());
    }
    println!("{:<width$} {:>6.1} s", "all", all.as_secs_f64());
    let skipped: Vec<&String> = ended.iter().flat_map(|ended| &ended.skipped).collect();
    for line in &skipped {
        println!("{line}");
    }
    let in_ci = std::env::var("CI").is_ok_and(|ci| !matches!(ci.as_str(), "" | "0" | "false"));
    if in_ci && !skipped.is_empty() {
        return Err(format!("{} tests were skipped, and CI is set", skipped.len()).into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEPS: &[Step] = &[step("a", "", |_| Ok(())), step("b", "", |_| Err("b".into()))];

    fn names(chosen: &[&str]) -> Result<Vec<&'static str>, String> {
        let chosen: Vec<String> = chosen.iter().map(|name| (*name).to_owned()).collect();
        super::chosen(STEPS, &chosen).map(|steps| steps.iter().map(|step| step.name).collect())
    }

    #[test]
    fn named_steps_run_alone_in_the_order_of_the_list() {
        assert_eq!(names(&[]).unwrap(), ["a", "b"]);
        assert_eq!(names(&["b", "a"]).unwrap(), ["a", "b"]);
        assert_eq!(names(&["b"]).unwrap(), ["b"]);
        assert_eq!(names(&["a", "c"]).unwrap_err(), "c");
    }

    #[test]
    fn a_step_that_fails_is_named() {
        let run = |name: &str| run("t", STEPS, &Args { list: false, steps: vec![name.to_owned()] });
        assert!(run("a").is_ok());
        assert_eq!(run("b").unwrap_err().to_string(), "step b failed: b");
        assert!(run("c").unwrap_err().to_string().contains("cargo xtask t --list"));
    }
}
