//! The graph of which file of a crate imports which.

use std::collections::{BTreeMap, BTreeSet};

use super::uses::{self, Written};
use crate::source::{Follow, Library, Target};

/// The files of a crate but its root, and what they import from each other.
pub(super) struct Graph {
    /// The crate's name.
    pub(super) library: String,
    /// By name, below `src`.
    pub(super) files: Vec<String>,
    /// From file to file, but for those between a parent and the modules in it.
    pub(super) imports: BTreeMap<(usize, usize), Import>,
    /// From a parent to a module in it.
    pub(super) of_own: BTreeSet<(usize, usize)>,
}

/// The first import of one file by another.
#[derive(Debug, Clone)]
pub(super) struct Import {
    /// `FILE:LINE`.
    pub(super) at: String,
    pub(super) path: String,
}

/// Builds the graph of a crate.
///
/// # Errors
/// A path that leads nowhere, or code that hides its paths, each with its place.
pub(super) fn of(library: &Library) -> Result<Graph, String> {
    let mut files: Vec<String> = library.modules.iter().map(|m| m.file.clone()).collect();
    files.sort_unstable();
    files.dedup();
    files.retain(|file| Some(file) != library.modules.first().map(|root| &root.file));
    let (library_name, imports, of_own) = (library.name.clone(), BTreeMap::new(), BTreeSet::new());
    let mut graph = Graph { library: library_name, files, imports, of_own };
    let mut errors = Vec::new();
    for (index, module) in library.modules.iter().enumerate() {
        let written = match uses::of(module) {
            Ok(written) => written,
            Err((line, what)) => {
                errors.push(format!("{}: {what}", library.at(index, line)));
                continue;
            }
        };
        for written in written {
            if let Err(error) = graph.add(library, index, &written) {
                errors.push(format!("{}: {error}", library.at(index, written.line)));
            }
        }
    }
    if errors.is_empty() { Ok(graph) } else { Err(errors.join("\n")) }
}

impl Graph {
    fn add(&mut self, library: &Library, from: usize, written: &Written) -> Result<(), String> {
        let found = library.resolve(from, &written.path, Follow::Around)?;
        let Target::Own { module, .. } = found else { return Ok(()) };
        let (from, to) = (file_module(library, from), file_module(library, module));
        let index = |module: usize| self.files.binary_search(&library.modules[module].file).ok();
        let (Some(from_file), Some(to_file)) = (index(from), index(to)) else { return Ok(()) };
        if library.is_within(from, to) {
            return Ok(());
        }
        if library.is_within(to, from) {
            self.of_own.insert((from_file, to_file));
            return Ok(());
        }
        let (at, path) = (library.at(from, written.line), written.path.join("::"));
        self.imports.entry((from_file, to_file)).or_insert(Import { at, path });
        Ok(())
    }
}

/// The module that a file is. An inline module lies in that of its file.
fn file_module(library: &Library, mut module: usize) -> usize {
    while let Some(parent) = library.modules[module].parent
        && library.modules[parent].file == library.modules[module].file
    {
        module = parent;
    }
    module
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::source::tests::planted;

    /// The graph of planted files, or the error.
    pub(in crate::layers) fn graph(files: &[(&str, &str)]) -> Result<Graph, String> {
        of(&planted(files).unwrap())
    }

    /// `a.rs -> b.rs` for each import.
    fn arrows(files: &[(&str, &str)]) -> Vec<String> {
        let graph = graph(files).unwrap();
        let arrow =
            |(from, to): &(usize, usize)| format!("{} -> {}", graph.files[*from], graph.files[*to]);
        graph.imports.keys().map(arrow).collect()
    }

    const NONE: [&str; 0] = [];

    #[test]
    fn the_longest_prefix_that_is_a_module_names_the_file() {
        let lib = ("lib.rs", "mod a; mod b;");
        let b = ("b.rs", "mod c { mod inline {} } mod d;");
        let found = |a| arrows(&[lib, ("a.rs", a), b, ("b/d.rs", "")]);
        assert_eq!(found("use crate::b::c::inline::X;"), ["a.rs -> b.rs"]);
        assert_eq!(found("fn f() { super::b::d::f() }"), ["a.rs -> b/d.rs"]);
        assert_eq!(found("use crate::b; fn f() { b::d::f() }"), ["a.rs -> b.rs", "a.rs -> b/d.rs"]);
    }

    #[test]
    fn a_name_that_a_parent_re_exports_is_the_parents() {
        let files = [
            ("lib.rs", "mod a; mod b;"),
            ("a.rs", "use crate::b::X;"),
            ("b.rs", "mod c; pub(crate) use self::c::X;"),
            ("b/c.rs", ""),
        ];
        assert_eq!(arrows(&files), ["a.rs -> b.rs"]);
    }

    #[test]
    fn a_parent_and_its_children_import_each_other_freely() {
        let files = [
            ("lib.rs", "mod a;"),
            ("a.rs", "mod b; use self::b::X; use b::c::Y; fn f() { crate::a::b::f() }"),
            ("a/b.rs", "mod c; use super::Z; use crate::a::W;"),
            ("a/b/c.rs", "use super::super::Z; use super::Y;"),
        ];
        assert_eq!(arrows(&files), NONE);
    }

    #[test]
    fn what_a_child_takes_through_its_parent_is_followed() {
        let found = |d| {
            arrows(&[
                ("lib.rs", "mod a; mod b;"),
                ("a.rs", ""),
                ("b.rs", "mod c; mod d; use crate::a::X; use self::c::Y;"),
                ("b/c.rs", ""),
                ("b/d.rs", d),
            ])
        };
        let of_parent = "b.rs -> a.rs";
        assert_eq!(found("use super::X;"), [of_parent, "b/d.rs -> a.rs"]);
        assert_eq!(found("use super::Y;"), [of_parent, "b/d.rs -> b/c.rs"]);
        assert_eq!(found("use super::*; fn f() -> X { g!(Y) }").len(), 3);
        assert_eq!(found("use super::*; fn f(x: Z) {}"), [of_parent]);
    }

    #[test]
    fn names_of_the_crates_root_are_those_that_it_re_exports() {
        let lib = ("lib.rs", "mod a; mod b; pub use b::{X, Y as Z}; pub const N: u8 = 1;");
        let found = |a| arrows(&[lib, ("a.rs", a), ("b.rs", "")]);
        assert_eq!(found("use crate::X;"), ["a.rs -> b.rs"]);
        assert_eq!(found("type T = super::Z;"), ["a.rs -> b.rs"]);
        assert_eq!(found("use crate::*; fn f(x: X) {}"), ["a.rs -> b.rs"]);
        assert_eq!(found("const M: u8 = crate::N;"), NONE);
    }

    #[test]
    fn a_path_that_leads_nowhere_is_an_error_with_its_line() {
        let files = |a| [("lib.rs", "mod a; mod b;"), ("a.rs", a), ("b.rs", "")];
        let error = |a| graph(&files(a)).err().unwrap();
        let at = "crates/planted/src/a.rs";
        assert_eq!(error("\nuse crate::c::X;"), format!("{at}:2: crate::c::X: lib.rs has no c"));
        assert_eq!(error("fn f() { super::Y }"), format!("{at}:1: super::Y: lib.rs has no Y"));
        assert!(error("use super::super::Y;").contains("lib.rs has no parent"));
        assert_eq!(arrows(&files("use std::x::Y; use ::b::Z; fn f() { c::d() }")), NONE);
    }
}
