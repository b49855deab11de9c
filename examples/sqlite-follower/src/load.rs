//! Turns a user's SQL file into the leader's transactions, one per statement, however those are
//! spread over lines.
//!
//! Each transaction also counts itself in the database, so a second run continues after the last
//! one. A digest of the statements done detects a file that was changed. Statements that would take
//! the log out of the leader's control are refused before anything runs.
//!
//! A statement ends with a semicolon outside of quotes and comments. `CREATE TRIGGER` ends with
//! `END;` after a semicolon, as in SQLite's shell.

use std::fs;
use std::path::{Path, PathBuf};

use example_support::{Context, Error};
use rusqlite::Connection;

use crate::database::{self, Progress};

/// The transactions of one file.
#[derive(Debug)]
pub(crate) struct Load {
    path: PathBuf,
    statements: Vec<Statement>,
}

const LOG_PRAGMAS: [&str; 5] =
    ["WAL_AUTOCHECKPOINT", "WAL_CHECKPOINT", "JOURNAL_MODE", "LOCKING_MODE", "JOURNAL_SIZE_LIMIT"];

/// How a statement is run, according to its first words.
#[derive(Debug, PartialEq, Eq)]
enum Treatment {
    InTransaction,
    /// Outside of a transaction, as SQLite requires for this statement.
    Alone,
    /// Not at all, since each statement commits anyway.
    LeaveOut,
    Refuse(&'static str),
}

impl Load {
    /// Reads the file, and refuses what must not run.
    pub(crate) fn read(path: &Path) -> Result<Load, Error> {
        let text = fs::read(path).context(|| format!("cannot read {}", path.display()))?;
        let statements = statements(&String::from_utf8_lossy(&text));
        for statement in &statements {
            if let Treatment::Refuse(reason) = treatment(statement) {
                let (path, line) = (path.display(), statement.line);
                return Err(format!("{path} line {line} is refused: {reason}").into());
            }
        }
        Ok(Load { path: path.to_owned(), statements })
    }

    pub(crate) fn len(&self) -> u64 {
        self.statements.len() as u64
    }

    /// Checks that the transactions which the database holds are the first ones of the file.
    pub(crate) fn check(&self, progress: Progress) -> Result<(), Error> {
        let done = usize::try_from(progress.done).ok();
        let done = done.and_then(|done| self.statements.get(..done));
        if done.is_some_and(|done| done.iter().fold(0, digest) == progress.digest) {
            return Ok(());
        }
        Err(format!(
            "the first {} statements of {} differ from those that the database in --dir holds: \
             restore the file, or give another --dir",
            progress.done,
            self.path.display()
        )
        .into())
    }

    /// Commits the transaction with this number.
    pub(crate) fn commit(&self, db: &mut Connection, number: u64) -> Result<(), Error> {
        let index = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
        let statement = index.and_then(|index| self.statements.get(index));
        let statement = statement.ok_or("the file has no more statements")?;
        let run = |db: &mut Connection| {
            if treatment(statement) == Treatment::Alone {
                // It runs twice if the leader is killed before counting it, which is harmless.
                db.execute_batch(&statement.sql)?;
            }
            let transaction = database::begin(db)?;
            if treatment(statement) == Treatment::InTransaction {
                transaction.execute_batch(&statement.sql)?;
            }
            let before = database::progress(&transaction)?.digest;
            database::count_one(&transaction, digest(before, statement))?;
            transaction.commit()
        };
        let (path, line) = (self.path.display(), statement.line);
        run(db).context(|| format!("{path} line {line} failed; what is before it is committed"))
    }
}

/// The digest of all statements up to this one.
fn digest(before: u32, statement: &Statement) -> u32 {
    crc32c::crc32c_append(before, statement.sql.as_bytes())
}

fn treatment(statement: &Statement) -> Treatment {
    let word = |i: usize| statement.words.get(i).map_or("", String::as_str);
    let has = |word: &str| statement.words.iter().any(|w| w == word);
    match word(0) {
        "BEGIN" | "COMMIT" | "END" => Treatment::LeaveOut,
        "ROLLBACK" => Treatment::Refuse("ROLLBACK, but each statement is committed"),
        "SAVEPOINT" | "RELEASE" => {
            Treatment::Refuse("SAVEPOINT or RELEASE, but each statement is a transaction")
        }
        "VACUUM" if has("INTO") => {
            Treatment::Refuse("VACUUM INTO writes a file that is not followed")
        }
        "VACUUM" => Treatment::Alone,
        "ATTACH" | "DETACH" => {
            Treatment::Refuse("ATTACH or DETACH, but only one database is followed")
        }
        "PRAGMA" if (1..4).any(|i| LOG_PRAGMAS.contains(&word(i))) => {
            Treatment::Refuse("this pragma would take the log out of the leader's control")
        }
        _ => Treatment::InTransaction,
    }
}

/// One statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Statement {
    /// The number of its first line, from 1.
    pub(crate) line: usize,
    pub(crate) sql: String,
    /// The first [`WORDS`] words, in upper case.
    pub(crate) words: Vec<String>,
}

/// Enough to recognize a statement.
const WORDS: usize = 8;

enum Token<'a> {
    Space,
    Semicolon,
    /// A word or a quoted text.
    Word(&'a str),
    Symbol,
}

/// Splits a text into statements. The last one may be incomplete.
pub(crate) fn statements(text: &str) -> Vec<Statement> {
    let mut all = Vec::new();
    let mut open: Option<Statement> = None;
    // The words since the last semicolon inside a trigger: their number, and the last one.
    let (mut line, mut inner, mut last) = (1, 0, "");
    let mut rest = text;
    while !rest.is_empty() {
        let (token, length) = token(rest);
        let (piece, after) = rest.split_at(length);
        if let (Some(statement), Token::Space) = (&mut open, &token) {
            statement.sql.push_str(piece);
        } else if !matches!(token, Token::Space | Token::Semicolon) || open.is_some() {
            let new = || Statement { line, sql: String::new(), words: Vec::new() };
            let statement = open.get_or_insert_with(new);
            statement.sql.push_str(piece);
            match token {
                Token::Word(word) => {
                    (inner, last) = (inner + 1, word);
                    if statement.words.len() < WORDS {
                        let start: String = word.chars().take(32).collect();
                        statement.words.push(start.to_ascii_uppercase());
                    }
                }
                Token::Semicolon => {
                    let ends_trigger = inner == 1 && last.eq_ignore_ascii_case("END");
                    if !is_trigger(&statement.words) || ends_trigger {
                        all.extend(open.take());
                    }
                    inner = 0;
                }
                _ => {}
            }
        }
        line += piece.matches('\n').count();
        rest = after;
    }
    all.extend(open);
    all
}

fn is_trigger(words: &[String]) -> bool {
    let word = |i: usize| words.get(i).map_or("", String::as_str);
    let kind = if matches!(word(1), "TEMP" | "TEMPORARY") { word(2) } else { word(1) };
    word(0) == "CREATE" && kind == "TRIGGER"
}

/// The first token of a text that is not empty, and its length.
fn token(text: &str) -> (Token<'_>, usize) {
    let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    let through = |end: &str, from: usize| {
        text[from..].find(end).map_or(text.len(), |at| from + at + end.len())
    };
    let first = text.chars().next().unwrap_or(' ');
    match first {
        _ if text.starts_with("--") => (Token::Space, through("\n", 2)),
        _ if text.starts_with("/*") => (Token::Space, through("*/", 2)),
        '\'' | '"' | '`' | '[' => {
            let end = if first == '[' { "]" } else { &text[..1] };
            let length = through(end, 1);
            (Token::Word(text[1..length].trim_end_matches(end)), length)
        }
        ';' => (Token::Semicolon, 1),
        c if c.is_whitespace() => (Token::Space, c.len_utf8()),
        c if is_word(c) => {
            let length = text.find(|c| !is_word(c)).unwrap_or(text.len());
            (Token::Word(&text[..length]), length)
        }
        c => (Token::Symbol, c.len_utf8()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<usize> {
        statements(text).iter().map(|statement| statement.line).collect()
    }

    #[test]
    fn a_statement_is_one_wherever_its_lines_end() {
        assert_eq!(lines("a;\nb; c;\n\nd\n;\ne"), [1, 2, 2, 4, 6]);
        assert!(lines(";;\n;-- only a comment\n/* and\n another */\n").is_empty());
        assert_eq!(statements(" a\n b ; c")[0].sql, "a\n b ;");
    }

    #[test]
    fn semicolons_in_quotes_and_comments_end_nothing() {
        assert_eq!(lines("insert 'a;\nb';\n"), [1]);
        assert_eq!(lines("insert 'it''s; so';\nx;\n"), [1, 2]);
        assert_eq!(lines("a -- ;\n b;\n"), [1]);
        assert_eq!(lines("a /* ; \n ; */ b;\n"), [1]);
        assert_eq!(lines("create table [a;b] (\"c;d\");\n"), [1]);
        assert_eq!(lines("a; -- b\nc;"), [1, 2]);
    }

    #[test]
    fn a_trigger_ends_with_its_end() {
        let trigger = "create temp trigger t after insert on a begin\n delete from b;\n end;\nx;\n";
        assert_eq!(lines(trigger), [1, 4]);
        let case =
            "create trigger t after insert on a begin select case when 1 then 2 end; end;\nx";
        assert_eq!(lines(case), [1, 2]);
        assert_eq!(lines("select 'trigger';\nx;\n"), [1, 2]);
    }

    #[test]
    fn the_statements_of_any_text_are_pieces_of_it_in_order() {
        proptest::proptest!(|(text in "[a-c;'\"\\-/*\\[\\]\n \u{e4}]{0,60}")| {
            let mut rest = &text[..];
            for statement in statements(&text) {
                let found = rest.find(&statement.sql);
                proptest::prop_assert!(found.is_some(), "{:?}", statement);
                rest = &rest[found.unwrap() + statement.sql.len()..];
            }
        });
    }

    fn treatments(sql: &str) -> Vec<Treatment> {
        statements(sql).iter().map(treatment).collect()
    }

    #[test]
    fn statements_that_would_take_the_log_out_of_the_leaders_control_are_refused() {
        for sql in [
            "PRAGMA journal_mode=DELETE;",
            "pragma main.wal_checkpoint(TRUNCATE);",
            "INSERT INTO t VALUES (1); PRAGMA wal_autocheckpoint = 1;",
            "ATTACH 'x' AS y;",
            "ROLLBACK;",
            "ROLLBACK TO here;",
            "INSERT INTO t VALUES (1); savepoint here;",
            "RELEASE SAVEPOINT here;",
            "VACUUM INTO 'x';",
            "/* c */ -- c\n pragma \"journal_mode\" = off;",
        ] {
            assert!(matches!(treatments(sql).last(), Some(Treatment::Refuse(_))), "{sql}");
        }
        let others = "BEGIN TRANSACTION; vacuum; PRAGMA foreign_keys=OFF; COMMIT";
        let expected =
            [Treatment::LeaveOut, Treatment::Alone, Treatment::InTransaction, Treatment::LeaveOut];
        assert_eq!(treatments(others), expected);
    }
}
