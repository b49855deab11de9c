//! `replctl watch`: marks as they move, and how far they are behind others.

mod rates;

use std::fmt::Write as _;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use repl_core::Snapshot;
use serde::Serialize;

use self::rates::{Rates, Sample, time_to_catch_up};
use super::diff::marks_at;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::lock::Use;
use crate::output::{Output, Report, Text};
use crate::seen::show_lock;

/// The arguments.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The directory of a store, a checkpoint file, or a slot file
    path: PathBuf,
    /// The store to catch up with: that of a leader or of another follower
    #[arg(long, value_name = "PATH")]
    against: Option<PathBuf>,
    /// The seconds between two looks
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0, value_parser = seconds)]
    interval: f64,
    /// Look this many times, then end
    #[arg(long)]
    count: Option<u64>,
    /// List this many shards: with `--against` those that are most behind
    #[arg(long, default_value_t = 20)]
    limit: usize,
}

fn seconds(text: &str) -> Result<f64, String> {
    let found: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    let is_sound = (0.001..=86_400.0).contains(&found);
    if is_sound { Ok(found) } else { Err("0.001 to 86400 seconds".to_owned()) }
}

/// One look.
#[derive(Serialize)]
struct Look {
    path: PathBuf,
    generation: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lock: Option<Use>,
    #[serde(flatten)]
    all: Progress,
    shards: Vec<OfShard>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<Failure>,
    /// How many shards are not listed.
    more: usize,
    #[serde(skip)]
    is_table: bool,
}

#[derive(Serialize)]
struct OfShard {
    shard: u64,
    #[serde(flatten)]
    progress: Progress,
}

/// Where a mark is, or the sum of all, and how it moves.
#[derive(Serialize)]
struct Progress {
    mark: u64,
    /// Segments a second; `None` before the second look.
    rate: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lag: Option<u64>,
    /// Seconds; `None` if it does not catch up.
    #[serde(skip_serializing_if = "Option::is_none")]
    catches_up_in: Option<f64>,
}

/// Looks until the count is reached, or without an end.
pub(crate) fn run(args: &Args, output: &Output) -> Result<Exit, Failure> {
    let is_table = !output.is_json && std::io::stdout().is_terminal();
    let (mut here, mut there) = (Rates::default(), Rates::default());
    let mut looks = 0;
    loop {
        let exit = match look(args, &mut here, &mut there) {
            Ok(found) => {
                let exit = found.problem.as_ref().map_or(Exit::Good, |problem| problem.exit);
                output.print(&Look { is_table, ..found })?;
                exit
            }
            // At first it is a wrong path. Later it may be there again.
            Err(failure) if looks == 0 => return Err(failure),
            Err(failure) => {
                output.fail(&failure)?;
                failure.exit
            }
        };
        looks += 1;
        if args.count.is_some_and(|count| looks >= count) {
            return Ok(exit);
        }
        std::thread::sleep(Duration::from_secs_f64(args.interval));
    }
}

fn look(args: &Args, here: &mut Rates, there: &mut Rates) -> Result<Look, Failure> {
    let (seen, marks) = marks_at(&args.path)?;
    here.add(Sample { at: Instant::now(), marks: Arc::clone(&marks) });
    let ahead = match &args.against {
        None => None,
        Some(path) => Some(marks_at(path)?.1),
    };
    if let Some(ahead) = &ahead {
        there.add(Sample { at: Instant::now(), marks: Arc::clone(ahead) });
    }
    let mut shards = behind(&marks, ahead.as_deref());
    let more = shards.len().saturating_sub(args.limit);
    shards.truncate(args.limit);
    let of_shard = |(shard, lag): (repl_core::ShardId, Option<u64>)| {
        let (rate, other) = (here.of(shard), there.of(shard));
        let mark = marks.mark(shard).unwrap_or(0);
        OfShard { shard: shard.0, progress: Progress::new(mark, rate, lag, other) }
    };
    let lag = ahead.as_deref().map(|ahead| sum(marks.lag(ahead).map(|(_, lag)| lag)));
    let all = Progress::new(sum(marks.marks().iter().copied()), here.all(), lag, there.all());
    let header = seen.survey.newest_whole().and_then(|found| found.header);
    Ok(Look {
        path: args.path.clone(),
        generation: header.map(|header| header.generation),
        lock: seen.shown.lock,
        all,
        shards: shards.into_iter().map(of_shard).collect(),
        problem: seen.problem,
        more,
        is_table: false,
    })
}

/// The shards, with how far they are behind: those that are most behind first.
fn behind(marks: &Snapshot, ahead: Option<&Snapshot>) -> Vec<(repl_core::ShardId, Option<u64>)> {
    let Some(ahead) = ahead else { return marks.shards().map(|shard| (shard, None)).collect() };
    let mut shards: Vec<_> = marks.lag(ahead).map(|(shard, lag)| (shard, Some(lag))).collect();
    shards.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    shards
}

fn sum(numbers: impl Iterator<Item = u64>) -> u64 {
    numbers.fold(0, u64::saturating_add)
}

impl Progress {
    fn new(mark: u64, rate: Option<f64>, lag: Option<u64>, other: Option<f64>) -> Self {
        let catches_up_in = lag.and_then(|lag| time_to_catch_up(lag, rate?, other?));
        Progress { mark, rate, lag, catches_up_in }
    }

    fn rate(&self) -> String {
        self.rate.map_or("-".to_owned(), |rate| format!("{rate:.1}/s"))
    }

    fn lag(&self) -> String {
        self.lag.map_or("-".to_owned(), |lag| lag.to_string())
    }

    fn catches_up_in(&self) -> String {
        match (self.catches_up_in, self.lag, self.rate) {
            (Some(time), ..) => format!("{time:.1} s"),
            (None, Some(_), Some(_)) => "never at this rate".to_owned(),
            _ => "-".to_owned(),
        }
    }
}

impl Report for Look {
    fn show(&self, text: &mut Text) {
        if self.is_table { self.table(text) } else { self.lines(text) }
    }
}

impl Look {
    fn generation(&self) -> String {
        self.generation.map_or("?".to_owned(), |number| number.to_string())
    }

    /// One line for each look: it goes into a file or a pipe.
    fn lines(&self, text: &mut Text) {
        let mut line = format!("generation {}  marks {}", self.generation(), self.all.mark);
        let _ = write!(line, "  rate {}", self.all.rate());
        if self.all.lag.is_some() {
            let (lag, time) = (self.all.lag(), self.all.catches_up_in());
            let _ = write!(line, "  lag {lag}  catches up in {time}");
        }
        if let Some(problem) = &self.problem {
            let _ = write!(line, "  {}: {problem}", problem.exit.name());
        }
        text.line(line);
    }

    /// In place of the table before.
    fn table(&self, text: &mut Text) {
        text.clear();
        text.line(format_args!("{}, generation {}", self.path.display(), self.generation()));
        show_lock(self.lock, text);
        text.line(format_args!(
            "{:>20} {:>20} {:>12} {:>12}  catches up in",
            "shard", "mark", "rate", "lag"
        ));
        let row = |shard: &str, progress: &Progress| {
            let (rate, lag, time) = (progress.rate(), progress.lag(), progress.catches_up_in());
            format!("{shard:>20} {:>20} {rate:>12} {lag:>12}  {time}", progress.mark)
        };
        for OfShard { shard, progress } in &self.shards {
            text.line(row(&shard.to_string(), progress));
        }
        if self.more > 0 {
            text.line(format_args!("{:>20}", format!("and {} more", self.more)));
        }
        text.line(row("all", &self.all));
        if let Some(problem) = &self.problem {
            problem.show(text);
        }
    }
}
