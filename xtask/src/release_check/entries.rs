//! The statements of a listing in docs/api, each with the items around it.

use std::collections::BTreeSet;

/// A statement on one line, and before it the items that it is in.
pub(super) type Entry = Vec<String>;

/// Reads a listing. Comments are left out, and so is `must_use`, which breaks no dependent.
pub(super) fn entries(listing: &str) -> BTreeSet<Entry> {
    let mut entries = BTreeSet::new();
    let mut owners: Vec<String> = Vec::new();
    let mut statement = String::new();
    for line in listing.lines().map(str::trim) {
        if line.is_empty() || line.starts_with("//") || line.starts_with("#[must_use") {
            continue;
        }
        if !statement.is_empty() {
            statement.push(' ');
        }
        statement.push_str(line);
        if !is_whole(&statement) {
            continue;
        }
        let (opened, closed) = (statement.matches('{').count(), statement.matches('}').count());
        let whole = std::mem::take(&mut statement);
        if whole.starts_with('}') {
            owners.truncate(owners.len().saturating_sub(closed));
            continue;
        }
        entries.insert(owners.iter().cloned().chain([whole.clone()]).collect());
        if opened > closed {
            owners.push(whole);
        } else {
            owners.truncate(owners.len().saturating_sub(closed - opened));
        }
    }
    entries
}

/// Returns whether no more lines belong to a statement.
fn is_whole(statement: &str) -> bool {
    let count = |brackets: [char; 2]| statement.matches(brackets).count();
    let ends_where = statement.ends_with([';', '{']);
    let ends = ends_where || statement.ends_with([',', '}']) || statement == "..";
    count(['(', '[']) == count([')', ']']) && ends && (ends_where || !statement.contains(" where "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_of_several_lines_is_one_entry_below_its_owner() {
        let listing = "\
// A comment.
use std::io;

#[non_exhaustive]
pub enum Kind {
    A,
    B {
        x: u8,
    },
}
impl Clone for Kind;
pub mod inner {
    #[must_use]
    pub struct Opaque { .. }
    impl<S> Opaque<S>
    where
        S: Send,
        Self: Sized,
    {
        pub fn f(
            &self,
            g: [u8; 2],
        ) -> u8
        where
            Self: Send,
            S: Sync;
    }
}
pub const MAX: u64;
";
        let expected = [
            "#[non_exhaustive] pub enum Kind {",
            "#[non_exhaustive] pub enum Kind { / A,",
            "#[non_exhaustive] pub enum Kind { / B {",
            "#[non_exhaustive] pub enum Kind { / B { / x: u8,",
            "impl Clone for Kind;",
            "pub const MAX: u64;",
            "pub mod inner {",
            "pub mod inner { / impl<S> Opaque<S> where S: Send, Self: Sized, {",
            "pub mod inner { / impl<S> Opaque<S> where S: Send, Self: Sized, { / \
             pub fn f( &self, g: [u8; 2], ) -> u8 where Self: Send, S: Sync;",
            "pub mod inner { / pub struct Opaque { .. }",
            "use std::io;",
        ];
        let found: Vec<String> =
            entries(listing).into_iter().map(|entry| entry.join(" / ")).collect();
        assert_eq!(found, expected);
    }
}
