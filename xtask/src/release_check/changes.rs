//! What changed between two listings of a public interface, and whether it breaks dependents.

use std::collections::BTreeSet;

use super::entries::{Entry, entries};

/// What a change needs of the next version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    None,
    Addition,
    Breaking,
}

/// The changes, a line each.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) breaking: Vec<String>,
    pub(super) additions: Vec<String>,
}

impl Changes {
    /// Adds what differs between two listings of the crate.
    pub(super) fn compare(&mut self, name: &str, old: &str, new: &str) {
        let (old, new) = (entries(old), entries(new));
        for entry in missing(&old, &new) {
            self.breaking.push(format!("{name}: - {}", shown(entry)));
        }
        for entry in missing(&new, &old) {
            let is_breaking = is_breaking(entry, &old);
            let lines = if is_breaking { &mut self.breaking } else { &mut self.additions };
            lines.push(format!("{name}: + {}", shown(entry)));
        }
    }

    /// Returns the kind of all changes together.
    pub(super) fn kind(&self) -> Kind {
        match (self.breaking.is_empty(), self.additions.is_empty()) {
            (false, _) => Kind::Breaking,
            (true, false) => Kind::Addition,
            (true, true) => Kind::None,
        }
    }
}

/// The entries that the others lack, except those whose owner is missing as well.
fn missing<'a>(
    entries: &'a BTreeSet<Entry>,
    others: &'a BTreeSet<Entry>,
) -> impl Iterator<Item = &'a Entry> {
    let has_owner = |entry: &Entry| entry.len() == 1 || others.contains(&entry[..entry.len() - 1]);
    entries.iter().filter(move |entry| !others.contains(*entry) && has_owner(entry))
}

fn shown(entry: &Entry) -> String {
    entry.join(" ")
}

/// Whether an added entry breaks dependents, by the item that it is added to: they may match on an
/// enum, make a struct whose fields are all public, or implement a trait.
fn is_breaking(entry: &Entry, old: &BTreeSet<Entry>) -> bool {
    let [owners @ .., line] = entry.as_slice() else { return false };
    let Some(owner) = owners.last() else { return false };
    let kind = without_attributes(owner);
    if kind.starts_with("impl") || kind.starts_with("pub mod") {
        return false;
    }
    let has_hidden = || old.contains(&[owners, &["..".to_owned()]].concat());
    let may_grow = owner.contains("#[non_exhaustive]")
        || (kind.starts_with("pub trait") && line.ends_with("{ .. }"))
        || (kind.starts_with("pub struct") && has_hidden());
    !may_grow
}

fn without_attributes(statement: &str) -> &str {
    let mut rest = statement;
    while rest.starts_with("#[") {
        let Some((_, after)) = rest.split_once("] ") else { break };
        rest = after;
    }
    rest
}

#[cfg(test)]
mod tests;
