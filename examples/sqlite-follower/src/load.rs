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

/// How a statement is run.
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
        let text = fs::read(path).at("read", path)?;
        let statements = statements(&String::from_utf8_lossy(&text));
        for Statement { line, treatment, .. } in &statements {
            if let Treatment::Refuse(reason) = treatment {
                let path = path.display();
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
            if statement.treatment == Treatment::Alone {
                // It runs twice if the leader is killed before counting it, which is harmless.
                db.execute_batch(&statement.sql)?;
            }
            let transaction = database::begin(db)?;
            if statement.treatment == Treatment::InTransaction {
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

/// One statement.
#[derive(Debug)]
struct Statement {
    /// The number of its first line, from 1.
    line: usize,
    sql: String,
    treatment: Treatment,
}

/// Splits a text into statements. The last one may be incomplete.
fn statements(text: &str) -> Vec<Statement> {
    let (mut all, mut line, mut rest) = (Vec::new(), 1, text);
    while !rest.is_empty() {
        let (tokens, length) = first_statement(rest);
        let (sql, after) = rest.split_at(length);
        if !tokens.is_empty() {
            all.push(Statement { line, sql: sql.to_owned(), treatment: treatment(&tokens) });
        }
        line += sql.matches('\n').count();
        rest = after;
    }
    all
}

/// The tokens and the length of the statement at the start of a text. No tokens if there is white
/// space, a comment or a lone semicolon.
fn first_statement(text: &str) -> (Vec<&str>, usize) {
    let (mut tokens, mut length) = (Vec::new(), 0);
    while length < text.len() {
        let token = &text[length..][..token_length(&text[length..])];
        length += token.len();
        let is_comment = token.starts_with("--") || token.starts_with("/*");
        if !is_comment && !token.starts_with(char::is_whitespace) {
            tokens.push(token);
        }
        match tokens[..] {
            [] | [";"] => return (Vec::new(), length),
            [.., ";", end, ";"] if end.eq_ignore_ascii_case("END") => break,
            [.., ";"] if !is_trigger(&tokens) => break,
            _ => {}
        }
    }
    (tokens, length)
}

/// The length of the first token of a text: white space, a comment, a quoted text, a word, or one
/// other character.
fn token_length(text: &str) -> usize {
    let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    let through = |end: &str, from: usize| {
        text[from..].find(end).map_or(text.len(), |at| from + at + end.len())
    };
    let first = text.chars().next().unwrap_or(' ');
    match first {
        _ if text.starts_with("--") => through("\n", 2),
        _ if text.starts_with("/*") => through("*/", 2),
        '[' => through("]", 1),
        '\'' | '"' | '`' => through(&text[..1], 1),
        c if is_word(c) => text.find(|c| !is_word(c)).unwrap_or(text.len()),
        c => c.len_utf8(),
    }
}

/// The word at `index`, in upper case and without quotes.
fn word(tokens: &[&str], index: usize) -> String {
    let token = tokens.get(index).copied().unwrap_or("");
    token.trim_matches(['\'', '"', '`', '[', ']']).to_ascii_uppercase()
}

fn is_trigger(tokens: &[&str]) -> bool {
    let [create, second, third] = [0, 1, 2].map(|index| word(tokens, index));
    let kind = if matches!(&second[..], "TEMP" | "TEMPORARY") { third } else { second };
    create == "CREATE" && kind == "TRIGGER"
}

fn treatment(tokens: &[&str]) -> Treatment {
    let is_log_pragma = |index| LOG_PRAGMAS.contains(&&word(tokens, index)[..]);
    Treatment::Refuse(match &word(tokens, 0)[..] {
        "BEGIN" | "COMMIT" | "END" => return Treatment::LeaveOut,
        "ROLLBACK" => "ROLLBACK, but each statement is committed",
        "SAVEPOINT" | "RELEASE" => "SAVEPOINT or RELEASE, but each statement is a transaction",
        "VACUUM" if (1..tokens.len()).any(|index| word(tokens, index) == "INTO") => {
            "VACUUM INTO writes a file that is not followed"
        }
        "VACUUM" => return Treatment::Alone,
        "ATTACH" | "DETACH" => "ATTACH or DETACH, but only one database is followed",
        "PRAGMA" if (1..5).any(is_log_pragma) => {
            "this pragma would take the log out of the leader's control"
        }
        _ => return Treatment::InTransaction,
    })
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
        statements(sql).into_iter().map(|statement| statement.treatment).collect()
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
