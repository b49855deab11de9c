//! `replctl export`: the newest whole generation, for other programs.

use std::fmt::Write as _;
use std::path::PathBuf;

use repl_core::Snapshot;

use super::diff::marks_at;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Output, print_raw};
use crate::row::Row;

/// The arguments.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The directory of a store, a checkpoint file, or a slot file
    path: PathBuf,
    /// The format
    #[arg(long, value_enum, default_value_t = Format::Json)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// One document, a line for each shard
    Json,
    /// A line for each shard, under a line with the names of the columns
    Csv,
    /// The text format of Prometheus
    Prometheus,
}

/// What is written out when it has this length.
const PIECE: usize = 1 << 16;

/// Prints the marks.
pub(crate) fn run(args: &Args, output: &Output) -> Result<Exit, Failure> {
    let (seen, marks) = marks_at(&args.path)?;
    let of = |found: &repl_checkpoint::Surveyed| found.header;
    let Some(header) = seen.survey.newest_whole().and_then(of) else {
        return Err(Failure::new(Exit::Unknown, &args.path, "no checkpoint is there"));
    };
    let mut pieces = Pieces::default();
    let format = if output.is_json { Format::Json } else { args.format };
    match format {
        Format::Json => {
            let codec = seen.survey.codec.as_deref().unwrap_or_default();
            let (store, next) = (header.store, marks.next_incarnation().0);
            pieces.add(|text| {
                write!(
                    text,
                    "{{\"store\":\"{store}\",\"generation\":{},\"codec\":\"{codec}\",\
                     \"next_incarnation\":{next},\"shards\":[",
                    header.generation
                )
            })?;
            json(&marks, if output.is_json { "" } else { "\n" }, &mut pieces)?;
        }
        Format::Csv => csv(&marks, &mut pieces)?,
        Format::Prometheus => {
            gauge(&mut pieces, "generation", "The newest whole generation.", header.generation)?;
            let shards = marks.len() as u64;
            gauge(&mut pieces, "shards", "The number of shards in it.", shards)?;
            let damaged = seen.survey.found.iter().filter(|found| found.checked.is_err()).count();
            let about = "Generations, slots and pages that recovery refuses.";
            gauge(&mut pieces, "damaged", about, damaged as u64)?;
            prometheus(&marks, &mut pieces)?;
        }
    }
    pieces.end()?;
    if let Some(problem) = &seen.problem {
        // Beside JSON, where it is a document of its own, the standard output is for the marks alone.
        output.fail(problem)?;
    }
    Ok(seen.exit())
}

/// Text that is written out piece by piece.
#[derive(Default)]
struct Pieces {
    text: String,
}

impl Pieces {
    fn add(&mut self, write: impl FnOnce(&mut String) -> std::fmt::Result) -> Result<(), Failure> {
        let _ = write(&mut self.text); // a String takes everything
        if self.text.len() >= PIECE {
            self.end()?;
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), Failure> {
        print_raw(self.text.as_bytes())?;
        self.text.clear();
        Ok(())
    }
}

/// With `end`, a line feed or nothing, before each row.
fn json(marks: &Snapshot, end: &str, pieces: &mut Pieces) -> Result<(), Failure> {
    for (i, entry) in marks.entries().enumerate() {
        let row = serde_json::to_string(&Row::of(&entry)).map_err(std::io::Error::from)?;
        pieces.add(|text| write!(text, "{}{end}{row}", if i == 0 { "" } else { "," }))?;
    }
    pieces.add(|text| text.write_str("]}\n"))
}

fn csv(marks: &Snapshot, pieces: &mut Pieces) -> Result<(), Failure> {
    pieces.add(|text| text.write_str("shard,mark,incarnation,log,completed,epochs\n"))?;
    for entry in marks.entries() {
        let row = Row::of(&entry);
        let (ranges, epochs) = (row.ranges(), row.starts());
        let Row { shard, mark, incarnation, log, .. } = row;
        let line = |text: &mut String| {
            writeln!(text, "{shard},{mark},{incarnation},{log},{ranges},{epochs}")
        };
        pieces.add(line)?;
    }
    Ok(())
}

fn gauge(pieces: &mut Pieces, name: &str, about: &str, value: u64) -> Result<(), Failure> {
    head(pieces, name, about)?;
    pieces.add(|text| writeln!(text, "repl_checkpoint_{name} {value}"))
}

fn head(pieces: &mut Pieces, name: &str, about: &str) -> Result<(), Failure> {
    pieces.add(|text| {
        writeln!(text, "# HELP repl_checkpoint_{name} {about}")?;
        writeln!(text, "# TYPE repl_checkpoint_{name} gauge")
    })
}

/// The samples of a metric are together, as the format asks for.
fn prometheus(marks: &Snapshot, pieces: &mut Pieces) -> Result<(), Failure> {
    head(pieces, "mark", "The last segment up to which a shard is applied and durable.")?;
    for (shard, mark) in marks {
        pieces.add(|text| writeln!(text, "repl_checkpoint_mark{{shard=\"{shard}\"}} {mark}"))?;
    }
    head(pieces, "ranges", "The ranges that are completed above the mark of a shard.")?;
    for entry in marks.entries() {
        let (shard, ranges) = (entry.shard, entry.applied_set.range_count());
        let line = |text: &mut String| {
            writeln!(text, "repl_checkpoint_ranges{{shard=\"{shard}\"}} {ranges}")
        };
        pieces.add(line)?;
    }
    Ok(())
}
