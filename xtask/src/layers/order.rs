//! The layers of a graph, and the circles in it.

use std::collections::{BTreeSet, VecDeque};
use std::fmt::Write as _;

use super::graph::Graph;

/// Files that import each other, directly or through others.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Circle {
    /// All of them.
    pub(super) files: Vec<usize>,
    /// A shortest way from a file back to it: its first file is also its last.
    pub(super) shortest: Vec<usize>,
}

/// The order of a graph's files.
pub(super) struct Order {
    /// The first layer imports nothing; another imports from the layers before it.
    pub(super) layers: Vec<Vec<usize>>,
    /// Files of a circle share a layer.
    pub(super) circles: Vec<Circle>,
}

/// Puts every file into the first layer after those of all that it imports.
///
/// A parent also comes after its own modules that it imports, unless these lead back to it.
pub(super) fn of(graph: &Graph) -> Order {
    let mut arrows: BTreeSet<(usize, usize)> = graph.imports.keys().copied().collect();
    let circles = circles(graph, &arrows);
    for (parent, inner) in &graph.of_own {
        if !reached_from(&arrows, *inner).contains(parent) {
            arrows.insert((*parent, *inner));
        }
    }
    let together = |a, b| circles.iter().any(|c| c.files.contains(a) && c.files.contains(b));
    let mut layer_of = vec![0; graph.files.len()];
    // No chain of layers is longer than there are files.
    for _ in 0..graph.files.len() {
        for (from, to) in &arrows {
            let least = layer_of[*to] + usize::from(!together(from, to));
            layer_of[*from] = layer_of[*from].max(least);
        }
    }
    let mut layers = vec![Vec::new(); layer_of.iter().max().map_or(0, |last| last + 1)];
    for (file, layer) in layer_of.iter().enumerate() {
        layers[*layer].push(file);
    }
    Order { layers, circles }
}

/// Groups the files that reach each other.
fn circles(graph: &Graph, arrows: &BTreeSet<(usize, usize)>) -> Vec<Circle> {
    let reached: Vec<_> = (0..graph.files.len()).map(|file| reached_from(arrows, file)).collect();
    let mut circles = Vec::new();
    for (file, reached_here) in reached.iter().enumerate() {
        let back = |other: &usize| reached[*other].contains(&file);
        let files: Vec<usize> = reached_here.iter().copied().filter(back).collect();
        if files.first() == Some(&file) {
            let ways = files.iter().filter_map(|file| way(graph, *file));
            circles.extend(ways.min_by_key(Vec::len).map(|shortest| Circle { files, shortest }));
        }
    }
    circles
}

/// Collects all that a file imports, directly or through others.
fn reached_from(arrows: &BTreeSet<(usize, usize)>, file: usize) -> BTreeSet<usize> {
    let mut reached = BTreeSet::new();
    let mut next = vec![file];
    while let Some(file) = next.pop() {
        let imported = arrows.range((file, 0)..(file + 1, 0)).map(|(_, to)| *to);
        next.extend(imported.filter(|to| reached.insert(*to)));
    }
    reached
}

/// Finds a shortest way along imports from a file back to it, both ends included.
fn way(graph: &Graph, file: usize) -> Option<Vec<usize>> {
    let mut importer = vec![None; graph.files.len()];
    let mut next = VecDeque::from([file]);
    while let (Some(importing), None) = (next.pop_front(), importer[file]) {
        for ((_, imported), _) in graph.imports.range((importing, 0)..(importing + 1, 0)) {
            if importer[*imported].is_none() {
                importer[*imported] = Some(importing);
                next.push_back(*imported);
            }
        }
    }
    let mut way = vec![file, importer[file]?];
    while way.last() != Some(&file) {
        way.push(importer[*way.last()?]?);
    }
    way.reverse();
    Some(way)
}

impl Order {
    /// Describes each circle, with an import for each arrow.
    pub(super) fn described_circles(&self, graph: &Graph) -> Vec<String> {
        self.circles.iter().map(|circle| circle.described(graph)).collect()
    }
}

impl Circle {
    fn described(&self, graph: &Graph) -> String {
        let name = |file: &usize| graph.files[*file].as_str();
        let all: Vec<&str> = self.files.iter().map(name).collect();
        let shortest: Vec<&str> = self.shortest.iter().map(name).collect();
        let mut out = format!(
            "{}: {} files import each other in a circle: {}\n  {}",
            graph.library,
            all.len(),
            all.join(", "),
            shortest.join(" -> ")
        );
        for pair in self.shortest.windows(2) {
            if let Some(import) = graph.imports.get(&(pair[0], pair[1])) {
                let (at, path, to) = (&import.at, &import.path, name(&pair[1]));
                let _ = write!(out, "\n    {at}: {path} ({to})");
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::super::graph::tests::graph;
    use super::*;

    const LIB: (&str, &str) = ("lib.rs", "mod a; mod b; mod c;");

    fn complaint(a: &str, b: &str, c: &str) -> String {
        let graph = graph(&[LIB, ("a.rs", a), ("b.rs", b), ("c.rs", c)]).unwrap();
        of(&graph).described_circles(&graph).join("\n")
    }

    fn layers(files: &[(&str, &str)]) -> Vec<Vec<String>> {
        let graph = graph(files).unwrap();
        let names = |layer: Vec<usize>| layer.iter().map(|f| graph.files[*f].clone()).collect();
        of(&graph).layers.into_iter().map(names).collect()
    }

    #[test]
    fn a_circle_is_named_with_an_import_for_each_arrow() {
        let found = complaint("use crate::b::X;", "\nuse crate::c::Y;", "\n\nuse crate::a::Z;");
        let src = "crates/planted/src";
        let expected = format!(
            "planted: 3 files import each other in a circle: a.rs, b.rs, c.rs\n  \
             a.rs -> b.rs -> c.rs -> a.rs\n    \
             {src}/a.rs:1: crate::b::X (b.rs)\n    \
             {src}/b.rs:2: crate::c::Y (c.rs)\n    \
             {src}/c.rs:3: crate::a::Z (a.rs)"
        );
        assert_eq!(found, expected);
    }

    #[test]
    fn a_circle_in_a_program_is_found() {
        let root = ("main.rs", "mod a; mod b; fn main() {}");
        let graph =
            graph(&[root, ("a.rs", "use crate::b::X;"), ("b.rs", "use crate::a::Y;")]).unwrap();
        assert_eq!(graph.files, ["a.rs", "b.rs"]);
        assert_eq!(of(&graph).described_circles(&graph).len(), 1);
    }

    #[test]
    fn a_circle_is_found_through_each_way_to_write_a_path() {
        let ways = [
            "use crate::a;",
            "use {crate::{a::X as Y}};",
            "use super::a::*;",
            "fn f() { crate::a::f() }",
            "fn f(x: super::a::X) {}",
            "fn f() { println!(\"{}\", crate::a::f()) }",
            "m! { use crate::{a::X}; }",
            "macro_rules! m { () => { $crate::a::f() } }",
            "mod inline { use super::super::a::X; }",
            "#[serde(with = \"crate::a\")] struct S;",
            "fn f() { let crate::a::X = 1; }",
        ];
        for way in ways {
            let found = complaint("use crate::b::X;", way, "");
            assert!(found.contains("\n  a.rs -> b.rs -> a.rs\n"), "{way}: {found}");
        }
    }

    #[test]
    fn one_direction_or_a_test_or_a_parent_is_no_circle() {
        assert_eq!(complaint("use crate::b::X; use crate::c::X;", "use crate::c::X;", ""), "");
        let for_tests = "#[cfg(test)] mod tests { use crate::a::X; }";
        assert_eq!(complaint("use crate::b::X;", for_tests, ""), "");
        let graph = graph(&[
            ("lib.rs", "mod a;"),
            ("a.rs", "mod b; use self::b::X;"),
            ("a/b.rs", "use super::Y; use crate::a::Z;"),
        ]);
        let graph = graph.unwrap();
        assert!(of(&graph).circles.is_empty());
    }

    #[test]
    fn every_circle_has_its_shortest_way() {
        let files = [
            ("lib.rs", "mod a; mod b; mod c; mod d; mod e;"),
            ("a.rs", "use crate::b::X;"),
            ("b.rs", "use crate::{a::X, c::X};"),
            ("c.rs", "use crate::a::X;"),
            ("d.rs", "use crate::{a::X, e::X};"),
            ("e.rs", "use crate::d::X;"),
        ];
        let graph = graph(&files).unwrap();
        let order = of(&graph);
        let expected = [
            Circle { files: vec![0, 1, 2], shortest: vec![0, 1, 0] },
            Circle { files: vec![3, 4], shortest: vec![3, 4, 3] },
        ];
        assert_eq!(order.circles, expected);
        assert_eq!(order.layers, [vec![0, 1, 2], vec![3, 4]]);
    }

    #[test]
    fn a_file_comes_right_after_the_last_that_it_imports() {
        let files = [
            LIB,
            ("a.rs", "mod d; use crate::c::X;"),
            ("a/d.rs", ""),
            ("b.rs", "use crate::a::X; use crate::c::X;"),
            ("c.rs", "use crate::a::d::X;"),
        ];
        assert_eq!(layers(&files), [vec!["a/d.rs"], vec!["c.rs"], vec!["a.rs"], vec!["b.rs"]]);
    }
    #[test]
    fn a_parent_comes_after_its_own_where_that_makes_no_circle() {
        let found = |inner| {
            layers(&[
                ("lib.rs", "mod a; mod b;"),
                ("a.rs", "mod c; use self::c::X;"),
                ("a/c.rs", inner),
                ("b.rs", "use crate::a::X;"),
            ])
        };
        assert_eq!(found("use super::Y;"), [vec!["a/c.rs"], vec!["a.rs"], vec!["b.rs"]]);
        assert_eq!(found("use crate::b::Y;"), [vec!["a.rs"], vec!["b.rs"], vec!["a/c.rs"]]);
    }
}
