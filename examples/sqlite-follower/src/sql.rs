//! Splits a user's SQL into transactions, each ending with a line that completes every statement.
//!
//! A statement ends with a semicolon outside of quotes and comments. `CREATE TRIGGER` ends with
//! `END;`, as in SQLite's shell.

/// One or more lines that run as one transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unit {
    /// The number of the first line, from 1.
    pub(crate) line: usize,
    pub(crate) sql: String,
    /// The first [`WORDS`] words of each statement, in upper case.
    pub(crate) statements: Vec<Vec<String>>,
}

/// The number of words kept of a statement, enough to recognize it.
const WORDS: usize = 8;

/// Splits a text into units. An incomplete statement at the end is part of the last one.
pub(crate) fn units(text: &str) -> Vec<Unit> {
    let mut units = Vec::new();
    let mut open: Option<(usize, String, Scanner)> = None;
    for (index, line) in text.lines().enumerate() {
        let (first, mut sql, mut scanner) =
            open.take().unwrap_or_else(|| (index + 1, String::new(), Scanner::default()));
        scanner.read(line);
        scanner.read("\n");
        sql.push_str(line);
        sql.push('\n');
        if !scanner.is_complete() {
            open = Some((first, sql, scanner));
        } else if !scanner.statements.is_empty() {
            units.push(Unit { line: first, sql, statements: scanner.statements });
        }
    }
    if let Some((line, sql, mut scanner)) = open {
        scanner.end_statement();
        if !scanner.statements.is_empty() {
            units.push(Unit { line, sql, statements: scanner.statements });
        }
    }
    units
}

/// Scans SQL in pieces. A piece may end anywhere except inside `--`, `/*` or `*/`.
#[derive(Debug, Default)]
struct Scanner {
    statements: Vec<Vec<String>>,
    words: Vec<String>,
    word: String,
    /// The previous word, to recognize the `END` of a trigger.
    last: String,
    inside: Inside,
    is_trigger: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Inside {
    #[default]
    Statement,
    /// Ends with this character.
    Quotes(char),
    LineComment,
    BlockComment,
}

impl Scanner {
    fn is_complete(&self) -> bool {
        let between = matches!(self.inside, Inside::Statement | Inside::LineComment);
        between && self.words.is_empty() && self.word.is_empty()
    }

    fn read(&mut self, text: &str) {
        let mut rest = text.chars().peekable();
        while let Some(c) = rest.next() {
            match self.inside {
                Inside::Quotes(end) if c == end => {
                    self.end_word();
                    self.inside = Inside::Statement;
                }
                // A quoted name is a word. The beginning of a long text is enough.
                Inside::Quotes(_) if self.word.len() < 32 => self.word.push(c),
                Inside::LineComment if c == '\n' => self.inside = Inside::Statement,
                Inside::BlockComment if c == '*' && rest.next_if_eq(&'/').is_some() => {
                    self.inside = Inside::Statement;
                }
                Inside::Quotes(_) | Inside::LineComment | Inside::BlockComment => {}
                Inside::Statement => match c {
                    '-' if rest.next_if_eq(&'-').is_some() => self.enter(Inside::LineComment),
                    '/' if rest.next_if_eq(&'*').is_some() => self.enter(Inside::BlockComment),
                    '\'' | '"' | '`' => self.enter(Inside::Quotes(c)),
                    '[' => self.enter(Inside::Quotes(']')),
                    ';' => self.semicolon(),
                    c if c.is_alphanumeric() || c == '_' || c == '$' => self.word.push(c),
                    c if c.is_whitespace() => self.end_word(),
                    _ => {
                        self.end_word();
                        self.note_symbol();
                    }
                },
            }
        }
    }

    fn enter(&mut self, inside: Inside) {
        self.end_word();
        if matches!(inside, Inside::Quotes(_)) {
            self.note_symbol();
        }
        self.inside = inside;
    }

    /// Begins a statement that starts with a symbol instead of a word.
    fn note_symbol(&mut self) {
        if self.words.is_empty() {
            self.words.push(String::new());
        }
    }

    fn end_word(&mut self) {
        if self.word.is_empty() {
            return;
        }
        let word = std::mem::take(&mut self.word).to_uppercase();
        let begins = self.words.first().is_some_and(|w| w == "CREATE");
        if word == "TRIGGER" && begins && self.words.len() <= 2 {
            self.is_trigger = true;
        }
        if self.words.len() < WORDS {
            self.words.push(word.clone());
        }
        self.last = word;
    }

    fn semicolon(&mut self) {
        self.end_word();
        if !self.is_trigger || self.last == "END" {
            self.end_statement();
        } else {
            self.last.clear();
        }
    }

    fn end_statement(&mut self) {
        self.end_word();
        let words = std::mem::take(&mut self.words);
        if !words.is_empty() {
            self.statements.push(words);
        }
        self.is_trigger = false;
        self.last.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<(usize, usize)> {
        units(text).iter().map(|u| (u.line, u.statements.len())).collect()
    }

    #[test]
    fn a_line_is_a_unit_unless_its_last_statement_continues_on_the_next() {
        assert_eq!(lines("a;\nb; c;\n\nd\n;\ne"), [(1, 1), (2, 2), (4, 1), (6, 1)]);
        assert_eq!(lines(""), []);
        assert_eq!(lines("-- only a comment\n/* and\n another */\n"), []);
    }

    #[test]
    fn semicolons_in_quotes_and_comments_end_nothing() {
        assert_eq!(lines("insert 'a;\nb';\n"), [(1, 1)]);
        assert_eq!(lines("insert 'it''s; so';\nx;\n"), [(1, 1), (2, 1)]);
        assert_eq!(lines("a -- ;\n b;\n"), [(1, 1)]);
        assert_eq!(lines("a /* ; \n ; */ b;\n"), [(1, 1)]);
        assert_eq!(lines("create table [a;b] (\"c;d\");\n"), [(1, 1)]);
        assert_eq!(lines("a; -- b\nc;"), [(1, 1), (2, 1)]);
    }

    #[test]
    fn a_trigger_ends_with_its_end() {
        let trigger = "create temp trigger t after insert on a begin\n delete from b;\n end;\nx;\n";
        assert_eq!(lines(trigger), [(1, 1), (4, 1)]);
        assert_eq!(lines("select 'trigger';\nx;\n"), [(1, 1), (2, 1)]);
    }

    #[test]
    fn units_of_any_text_are_no_longer_than_it() {
        proptest::proptest!(|(text in "[a-c;'\"\\-/*\\[\\]\n ]{0,60}")| {
            let kept: usize = units(&text).iter().map(|u| u.sql.trim().len()).sum();
            proptest::prop_assert!(kept <= text.len());
        });
    }
}
