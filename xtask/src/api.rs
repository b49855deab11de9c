//! Compares the public surface of each library crate to a committed listing.

mod derives;
mod diff;
mod impls;
mod listing;
mod names;
mod print;
mod strip;
mod surface;

use std::collections::BTreeMap;
use std::fs;

use crate::command::{Done, Fallible, root};
use crate::source::{Library, libraries};

/// Whether to write the listings.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Write docs/api instead of comparing it
    #[arg(long)]
    write: bool,
}

pub(crate) const FOLDER: &str = "docs/api";

/// Compares the listings, or writes them.
pub(crate) fn run(args: &Args) -> Done {
    if !args.write {
        return check();
    }
    let folder = root().join(FOLDER);
    let listings = listings()?;
    fs::create_dir_all(&folder)?;
    for name in committed()?.keys().filter(|name| !listings.contains_key(*name)) {
        fs::remove_file(folder.join(name))?;
    }
    for (name, listing) in listings {
        fs::write(folder.join(&name), listing)
            .map_err(|err| format!("failed to write {FOLDER}/{name}: {err}"))?;
        println!("written to {FOLDER}/{name}");
    }
    Ok(())
}

/// Fails where a listing differs from the sources.
pub(crate) fn check() -> Done {
    let (committed, listings) = (committed()?, listings()?);
    let mut differences = Vec::new();
    for name in committed.keys().chain(listings.keys().filter(|n| !committed.contains_key(*n))) {
        let text = |of: &BTreeMap<String, String>| of.get(name).cloned().unwrap_or_default();
        let difference = diff::diff(&text(&committed), &text(&listings));
        if !difference.is_empty() {
            differences.push(format!("{FOLDER}/{name} differs from the sources:\n{difference}"));
        }
    }
    if differences.is_empty() {
        return Ok(());
    }
    differences.push("run `cargo xtask api --write` if the change is intended".to_owned());
    Err(differences.join("").into())
}

/// Lists each crate, by the name of its file.
fn listings() -> Fallible<BTreeMap<String, String>> {
    let libraries = libraries()?;
    let listed = |library: &Library| Ok((format!("{}.txt", library.name), listing::of(library)?));
    libraries.iter().map(listed).collect()
}

/// Reads the committed listings.
pub(crate) fn committed() -> Fallible<BTreeMap<String, String>> {
    let folder = root().join(FOLDER);
    let mut files = BTreeMap::new();
    if folder.exists() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            files.insert(name, fs::read_to_string(entry.path())?);
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests;
