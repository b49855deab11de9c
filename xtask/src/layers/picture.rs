//! Draws layers as SVG, on a white ground of its own, so that it is readable on a dark page too.

use std::fmt::Write as _;

use super::graph::Graph;
use super::order::Order;

const WIDTH: usize = 860;
const MARGIN: usize = 16;

/// Where boxes begin, right of the number of their layer.
const LEFT: usize = MARGIN + 34;
const RIGHT: usize = WIDTH - MARGIN - 8;

const BOX: usize = 22;
/// Between boxes, and between a box and the edge of its band.
const GAP: usize = 6;

/// The width of every character in a box.
const CHARACTER: usize = 7;

const CAPTION: &str =
    "A file imports only from layers above its own; a parent and its submodules aside.";

/// Draws each crate's layers one below the other: a band a layer, a box a file.
pub(super) fn svg(crates: &[(Graph, Order)]) -> String {
    let mut drawn = String::new();
    let mut y = MARGIN + 14;
    text(&mut drawn, (MARGIN, y), "caption", CAPTION);
    y += 12;
    for (graph, order) in crates {
        y += 28;
        text(&mut drawn, (MARGIN, y), "crate", &graph.library);
        y += 10;
        for (number, files) in order.layers.iter().enumerate() {
            y = band(&mut drawn, y, number + 1, files, graph, order) + 3;
        }
    }
    let height = y + MARGIN;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\">\n<style>\n\
         text {{ font: 12px sans-serif; fill: #222 }}\n\
         .crate {{ font-size: 17px; font-weight: bold }}\n\
         .number {{ fill: #777; text-anchor: end }}\n\
         .file {{ font-family: monospace; font-size: 11.5px; text-anchor: middle }}\n\
         .band {{ fill: #eef2f6 }}\n\
         .box {{ fill: #fff; stroke: #0072b2 }}\n\
         .circle {{ fill: #fff; stroke: #d55e00; stroke-width: 3 }}\n\
         </style>\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#fff\"/>\n{drawn}</svg>\n"
    )
}

/// Draws a layer from `top` on, in as many rows as its files need. Returns where it ends.
fn band(
    out: &mut String,
    top: usize,
    number: usize,
    files: &[usize],
    graph: &Graph,
    order: &Order,
) -> usize {
    let mut boxes = String::new();
    let (mut x, mut y) = (LEFT, top + GAP);
    for file in files {
        let name = graph.files[*file].as_str();
        let width = name.len() * CHARACTER + 14;
        if x > LEFT && x + width > RIGHT {
            (x, y) = (LEFT, y + BOX + GAP);
        }
        let in_circle = order.circles.iter().any(|circle| circle.files.contains(file));
        let class = if in_circle { "circle" } else { "box" };
        rect(&mut boxes, (x, y), (width, BOX), class);
        text(&mut boxes, (x + width / 2, y + 15), "file", name);
        x += width + GAP;
    }
    let end = y + BOX + GAP;
    rect(out, (MARGIN, top), (WIDTH - 2 * MARGIN, end - top), "band");
    text(out, (LEFT - 12, top + GAP + 15), "number", &number.to_string());
    out.push_str(&boxes);
    end
}

fn rect(out: &mut String, (x, y): (usize, usize), (w, h): (usize, usize), class: &str) {
    let _ = writeln!(
        out,
        "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" rx=\"3\"/>"
    );
}

fn text(out: &mut String, (x, y): (usize, usize), class: &str, text: &str) {
    let _ = writeln!(out, "<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{text}</text>");
}

#[cfg(test)]
mod tests {
    use super::super::graph::tests::graph;
    use super::super::order;
    use super::*;

    fn drawn(files: &[(&str, &str)]) -> String {
        let graph = graph(files).unwrap();
        let order = order::of(&graph);
        svg(&[(graph, order)])
    }

    /// Where the box of a file is, and its class.
    fn box_of(svg: &str, file: &str) -> (String, usize, usize) {
        let lines: Vec<&str> = svg.lines().collect();
        let text = lines.iter().position(|line| line.contains(&format!(">{file}<"))).unwrap();
        let part = |name: &str| {
            let start = lines[text - 1].split_once(&format!("{name}=\"")).unwrap().1;
            start.split_once('"').unwrap().0.to_owned()
        };
        (part("class"), part(" x").parse().unwrap(), part(" y").parse().unwrap())
    }

    #[test]
    fn a_file_lies_below_what_it_imports() {
        let svg = drawn(&[
            ("lib.rs", "mod a; mod b; mod c;"),
            ("a.rs", "use crate::b::X;"),
            ("b.rs", ""),
            ("c.rs", ""),
        ]);
        let [a, b, c] = ["a.rs", "b.rs", "c.rs"].map(|file| box_of(&svg, file));
        assert!(a.2 > b.2 && b.2 == c.2 && b.1 < c.1, "{svg}");
        assert!(!svg.contains("class=\"circle\"") && svg.contains(">planted<"));
        assert!(!svg.contains("lib.rs"));
    }

    #[test]
    fn files_of_a_circle_are_marked() {
        let svg = drawn(&[
            ("lib.rs", "mod a; mod b; mod c;"),
            ("a.rs", "use crate::b::X;"),
            ("b.rs", "use crate::a::X;"),
            ("c.rs", ""),
        ]);
        assert_eq!(
            ["a.rs", "b.rs", "c.rs"].map(|f| box_of(&svg, f).0),
            ["circle", "circle", "box"]
        );
    }

    #[test]
    fn a_layer_of_many_files_takes_more_rows_and_stays_within_the_picture() {
        let names: Vec<String> = (10..40).map(|i| format!("a_rather_long_name_{i}")).collect();
        let lib: String = names.iter().flat_map(|name| ["mod ", name, ";"]).collect();
        let files: Vec<String> = names.iter().map(|name| format!("{name}.rs")).collect();
        let mut planted: Vec<(&str, &str)> = files.iter().map(|file| (&**file, "")).collect();
        planted.push(("lib.rs", &lib));
        let svg = drawn(&planted);
        let boxes: Vec<_> = files.iter().map(|file| box_of(&svg, file)).collect();
        let rows: std::collections::BTreeSet<usize> = boxes.iter().map(|found| found.2).collect();
        assert!(rows.len() > 4, "{svg}");
        let width = files[0].len() * CHARACTER + 14;
        assert!(boxes.iter().all(|found| found.1 + width <= RIGHT));
        let height: usize =
            svg.split_once("height=\"").unwrap().1.split('"').next().unwrap().parse().unwrap();
        assert!(rows.iter().all(|y| y + BOX < height));
    }
}
