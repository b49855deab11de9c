//! `replctl inspect --raw`: the fields of header lines, right or not.
//!
//! Other readers refuse a header as a whole. Here each field is taken from its place, as
//! docs/format.md gives it, so that an operator sees what a damaged one still says.

mod form;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::names::EXTENSION;
use crate::output::{Output, Report, Text};
use crate::store::Place;

use self::form::{Form, is_digit, text};

/// What every header begins with.
const MAGIC: &[u8] = b"repl-checkpoint";
const VERSION: &str = "2";
/// A header whose fields are not those of this page.
const OTHER: &str = "of another version";
/// A header in a slot file begins at a multiple of this.
const ALIGN: usize = 512;
/// The longest header.
const LONGEST: usize = 272;
/// The length of the first page of a slot file, which ends in zeros.
const PAGE: usize = 4096;
/// What is read at once: a multiple of `PAGE`.
const CHUNK: usize = 1 << 18;

/// A field: the text before it, its name, its width, and what it holds.
type Field = (&'static str, usize, Form);

/// A kind of header line: its name, its first text, and its fields after the version.
struct Layout(&'static str, &'static str, &'static [Field]);

const STORE: Field = ("store", 32, Form::Digits);
const CRC: Field = ("crc32c", 8, Form::Digits);
const CODEC: Field = ("codec", 8, Form::Codec);
const PAYLOAD: Field = ("payload", 8, Form::Digits);

const fn number(name: &'static str) -> Field {
    (name, 20, Form::Number)
}

/// The most special first.
const LAYOUTS: [Layout; 3] = [
    Layout("first page", "repl-checkpoint slots v", &[STORE, ("slot", 20, Form::Pages), CRC]),
    Layout(
        "delta",
        "repl-checkpoint delta v",
        &[
            CODEC,
            STORE,
            number("generation"),
            number("confirmed"),
            number("base"),
            ("link", 8, Form::Digits),
            number("removed"),
            number("length"),
            PAYLOAD,
            CRC,
        ],
    ),
    Layout(
        "checkpoint",
        "repl-checkpoint v",
        &[CODEC, STORE, number("generation"), number("confirmed"), number("length"), PAYLOAD, CRC],
    ),
];

#[derive(Serialize)]
struct Raw {
    path: PathBuf,
    headers: Vec<Header>,
}

/// A header line.
#[derive(Serialize)]
struct Header {
    path: PathBuf,
    offset: u64,
    kind: &'static str,
    /// Whether every field and the checksum are right.
    right: bool,
    version: String,
    fields: Vec<Value>,
    /// The checksum that the line has.
    checksum: String,
}

#[derive(Serialize)]
struct Value {
    name: &'static str,
    text: String,
    right: bool,
}

/// Prints every header at a path.
pub(crate) fn run(path: &Path, output: &Output) -> Result<Exit, Failure> {
    let mut headers = Vec::new();
    match Place::of(path)? {
        Place::One { file } => headers.push(first_of(&file)?),
        Place::Slots { file } => headers = all_in(&file)?,
        Place::Files { dir } => {
            for file in checkpoint_files(&dir)? {
                headers.push(first_of(&file)?);
            }
        }
    }
    let is_right = headers.iter().all(|header| header.right);
    let is_unknown = headers.iter().all(|header| header.right || header.kind == OTHER);
    let is_empty = headers.is_empty();
    output.print(&Raw { path: path.to_owned(), headers })?;
    Ok(match (is_empty, is_right) {
        (true, _) => Exit::Unknown,
        (_, true) => Exit::Good,
        _ if is_unknown => Exit::Unknown,
        (_, false) => Exit::Damage,
    })
}

/// The checkpoint files of a directory, the newest first.
fn checkpoint_files(dir: &Path) -> Result<Vec<PathBuf>, Failure> {
    let failed = |error| Failure::io("list", dir, &error);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == EXTENSION) {
            files.push(path);
        }
    }
    files.sort_unstable_by(|a, b| b.cmp(a));
    Ok(files)
}

fn first_of(file: &Path) -> Result<Header, Failure> {
    let read = || {
        let mut head = Vec::new();
        File::open(file)?.take(LONGEST as u64).read_to_end(&mut head)?;
        io::Result::Ok(head)
    };
    let head = read().map_err(|error| Failure::io("read", file, &error))?;
    Ok(Header::of(file, 0, &head))
}

/// Every place of a slot file that begins as a header does, and its first page.
fn all_in(file: &Path) -> Result<Vec<Header>, Failure> {
    let failed = |error| Failure::io("read", file, &error);
    let mut open = File::open(file).map_err(failed)?;
    let mut headers = Vec::new();
    let mut at = 0;
    loop {
        let mut chunk = Vec::new();
        open.by_ref().take(CHUNK as u64).read_to_end(&mut chunk).map_err(failed)?;
        for (i, sector) in chunk.chunks(ALIGN).enumerate() {
            let offset = at + (i * ALIGN) as u64;
            if sector.starts_with(MAGIC) || offset == 0 {
                headers.push(Header::of(file, offset, &sector[..sector.len().min(LONGEST)]));
            }
        }
        if let Some(first) = headers.first_mut().filter(|_| at == 0) {
            first.check_page(&chunk[..chunk.len().min(PAGE)]);
        }
        at += chunk.len() as u64;
        if chunk.len() < CHUNK {
            return Ok(headers);
        }
    }
}

impl Header {
    fn of(path: &Path, offset: u64, line: &[u8]) -> Self {
        let path = path.to_owned();
        let begins = |layout: &&Layout| line.starts_with(layout.1.as_bytes());
        // Of no kind: shown as the kind that most headers are.
        let known = LAYOUTS.iter().find(begins);
        let Layout(kind, first, fields) = known.unwrap_or(&LAYOUTS[2]);
        let mut right = known.is_some();
        let mut at = first.len();
        let version: String = text(line, at, LONGEST).chars().take_while(|c| *c != ' ').collect();
        let is_number = (1..=8).contains(&version.len()) && version.bytes().all(is_digit);
        let is_other = || {
            // Or it is of this one, and only the digit is damaged.
            let mut as_this = line.to_vec();
            as_this.splice(at..at + version.len(), VERSION.bytes());
            version.len() > VERSION.len() || !Header::of(&path, offset, &as_this).right
        };
        right &= version == VERSION;
        if known.is_some() && !right && is_number && is_other() {
            let (kind, fields, checksum) = (OTHER, Vec::new(), String::new());
            return Header { path, offset, kind, right, version, fields, checksum };
        }
        let version = text(line, at, 1);
        at += 1;
        let mut values = Vec::with_capacity(fields.len());
        for (name, width, form) in *fields {
            let label = format!(" {name}=");
            let is_labeled = line.get(at..).is_some_and(|rest| rest.starts_with(label.as_bytes()));
            at += label.len();
            let value = text(line, at, *width);
            let right = is_labeled && form.is_right(&value, *width);
            values.push(Value { name, text: value.trim_end().to_owned(), right });
            at += width;
        }
        let checked = line.get(..at - CRC.1).unwrap_or(line);
        let checksum = format!("{:08x}", crc32c::crc32c(checked));
        right &= values.iter().all(|value| value.right) && line.get(at) == Some(&b'\n');
        right &= values.last().is_some_and(|crc| crc.text == checksum);
        Header { path, offset, kind, right, version, fields: values, checksum }
    }

    /// Checks that the first page has zeros behind its line.
    fn check_page(&mut self, page: &[u8]) {
        let line = page.iter().position(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let rest = page.get(line..).unwrap_or_default();
        let used = rest.iter().position(|byte| *byte != 0);
        if let Some(used) = used.filter(|_| self.kind != OTHER) {
            let text = format!("not zero at byte {}", line + used);
            self.fields.push(Value { name: "padding", text, right: false });
            self.right = false;
        }
    }
}

impl Report for Raw {
    fn show(&self, text: &mut Text) {
        for header in &self.headers {
            let state = match header {
                Header { right: true, .. } => ", right",
                Header { kind: OTHER, .. } => "",
                _ => ", damaged",
            };
            let file = header.path.display();
            let line = format!("{file}, byte {}: {}{state}", header.offset, header.kind);
            if header.right {
                text.line(line);
            } else {
                text.bad(&line);
            }
            text.field("version", &header.version);
            for Value { name, text: value, right } in &header.fields {
                let is_crc = *name == CRC.0 && *value != header.checksum;
                if is_crc {
                    let found = &header.checksum;
                    text.field(name, format_args!("{value}, but that of the line is {found}"));
                } else if *right {
                    text.field(name, value);
                } else {
                    text.field(name, format_args!("{value}, which is damaged"));
                }
            }
        }
        if self.headers.is_empty() {
            text.line(format_args!("no checkpoint is in {}", self.path.display()));
        }
    }
}
