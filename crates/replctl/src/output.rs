//! What a command prints: text for people, or one JSON document a line.

use std::fmt::{Display, Write as _};
use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use serde::Serialize;

/// A list is cut off after this many lines. In JSON it is not.
pub(crate) const MOST_ROWS: usize = 100;

/// Something that a command prints, in both forms.
pub(crate) trait Report: Serialize {
    /// Writes it for people.
    fn show(&self, text: &mut Text);
}

/// Text for people. Colors are removed where they do not belong.
#[derive(Default)]
pub(crate) struct Text(String);

const BAD: Style = AnsiColor::Red.on_default().bold();
const GOOD: Style = AnsiColor::Green.on_default();
const WARNING: Style = AnsiColor::Yellow.on_default();
/// The names of fields are this wide, so that their values are below each other.
const WIDTH: usize = 14;

impl Text {
    /// A line.
    pub(crate) fn line(&mut self, line: impl Display) {
        let _ = writeln!(self.0, "{line}");
    }

    /// Begins anew at the top of the terminal.
    pub(crate) fn clear(&mut self) {
        self.0.push_str("\x1b[H\x1b[J");
    }

    /// A line about damage or a refusal.
    pub(crate) fn bad(&mut self, line: &str) {
        self.line(format_args!("{BAD}{line}{BAD:#}"));
    }

    /// A line about something whole.
    pub(crate) fn good(&mut self, line: &str) {
        self.line(format_args!("{GOOD}{line}{GOOD:#}"));
    }

    /// A line that an operator should read.
    pub(crate) fn warning(&mut self, line: &str) {
        self.line(format_args!("{WARNING}{line}{WARNING:#}"));
    }

    /// Indented lines, each a name and its value. `all` is the command that prints those that are
    /// left out of a long list.
    pub(crate) fn rows(
        &mut self,
        rows: impl ExactSizeIterator<Item = (String, String)>,
        all: &str,
    ) {
        let more = rows.len().saturating_sub(MOST_ROWS);
        for (name, value) in rows.take(MOST_ROWS) {
            self.field(&name, value);
        }
        if more > 0 {
            self.line(format_args!("  and {more} more: {all}"));
        }
    }

    /// An indented line: a name and its value.
    pub(crate) fn field(&mut self, name: &str, value: impl Display) {
        self.line(format_args!("  {name:<WIDTH$}{value}"));
    }
}

/// Where a command prints.
pub(crate) struct Output {
    /// Whether to print JSON.
    pub(crate) is_json: bool,
}

impl Output {
    /// Prints a report. One that nobody reads any more is no error.
    pub(crate) fn print(&self, report: &impl Report) -> io::Result<()> {
        let mut out = anstream::stdout().lock();
        unless_closed(self.write(report, &mut out))
    }

    /// Prints why a command failed: in JSON on the standard output, as a script reads that.
    pub(crate) fn fail(&self, report: &impl Report) -> io::Result<()> {
        if self.is_json {
            return self.print(report);
        }
        unless_closed(self.write(report, &mut anstream::stderr().lock()))
    }

    fn write(&self, report: &impl Report, out: &mut impl Write) -> io::Result<()> {
        if self.is_json {
            let mut line = serde_json::to_vec(report)?;
            line.push(b'\n');
            out.write_all(&line)?;
        } else {
            let mut text = Text::default();
            report.show(&mut text);
            out.write_all(text.0.as_bytes())?;
        }
        out.flush()
    }
}

/// Prints bytes as they are.
pub(crate) fn print_raw(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    unless_closed(out.write_all(bytes).and_then(|()| out.flush()))
}

/// A reader that has seen enough, such as `head`, closes its end.
fn unless_closed(result: io::Result<()>) -> io::Result<()> {
    result.or_else(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Ok(()),
        _ => Err(error),
    })
}
