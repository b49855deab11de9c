//! Checks that the files of each crate import each other in layers, without a circle.

mod graph;
mod order;
mod picture;
mod tokens;
mod uses;

use std::fs;

use self::graph::Graph;
use self::order::Order;
use crate::command::{Done, Fallible, root};
use crate::source;

/// Whether to write the picture.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Write docs/layers.svg instead of comparing it
    #[arg(long)]
    write: bool,
}

const PICTURE: &str = "docs/layers.svg";

/// Prints the layers of each crate, then checks them.
pub(crate) fn run(args: &Args) -> Done {
    let crates = crates()?;
    for (graph, order) in &crates {
        println!("{}", graph.library);
        for (number, layer) in order.layers.iter().enumerate() {
            let names: Vec<&str> = layer.iter().map(|file| graph.files[*file].as_str()).collect();
            println!("{:>3}  {}", number + 1, names.join(", "));
        }
    }
    if args.write {
        fs::write(root().join(PICTURE), picture::svg(&crates))
            .map_err(|err| format!("failed to write {PICTURE}: {err}"))?;
        println!("written to {PICTURE}");
    }
    verify(&crates)
}

/// Fails on files that import each other in a circle, and on a picture of other sources.
pub(crate) fn check() -> Done {
    verify(&crates()?)
}

fn crates() -> Fallible<Vec<(Graph, Order)>> {
    let mut crates = Vec::new();
    for library in source::crates()? {
        let graph = graph::of(&library)?;
        let order = order::of(&graph);
        crates.push((graph, order));
    }
    Ok(crates)
}

fn verify(crates: &[(Graph, Order)]) -> Done {
    let circles: Vec<String> =
        crates.iter().flat_map(|(graph, order)| order.described_circles(graph)).collect();
    if !circles.is_empty() {
        return Err(circles.join("\n").into());
    }
    let drawn = fs::read_to_string(root().join(PICTURE)).unwrap_or_default();
    if drawn == picture::svg(crates) {
        Ok(())
    } else {
        Err(format!("{PICTURE} differs from the sources: run `cargo xtask layers --write`").into())
    }
}
