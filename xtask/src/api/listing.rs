//! Lists the public surface of a crate.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use quote::ToTokens;
use syn::visit::Visit;
use syn::visit_mut::VisitMut;
use syn::{ImplItem, Item, ItemImpl};

use super::impls::{self, Block};
use super::names::{Foreign, Qualify, Short, Shorten, generics};
use super::print;
use super::strip;
use super::surface::{self, Entry, Surface, What, all_items};
use crate::source::Library;

/// An entry with full paths, before short names are chosen.
struct Qualified {
    /// From the crate's root, the name included.
    path: Vec<String>,
    declared: Declared,
    blocks: Vec<ItemImpl>,
}

enum Declared {
    Item(Box<Item>),
    /// The text to print.
    Text(String),
}

/// Returns the listing of a crate.
///
/// # Errors
/// The place of what is not understood, and the reason.
pub(super) fn of(library: &Library) -> Result<String, String> {
    let surface = surface::of(library)?;
    let qualified = qualified(&surface)?;
    let mut foreign = Foreign::default();
    for entry in &qualified {
        if let Declared::Item(item) = &entry.declared {
            foreign.visit_item(item);
        }
        entry.blocks.iter().for_each(|block| foreign.visit_item_impl(block));
    }
    let short = Short::of(&foreign, &surface);
    let mut out = format!(
        "// The public surface of {}, without docs, bodies and auto traits.\n\
         // Written by `cargo xtask api --write`.\n",
        library.name
    );
    let uses = short.uses();
    if !uses.is_empty() {
        out.push('\n');
        out.extend(uses.into_iter().map(|line| line + "\n"));
    }
    module(&mut out, &[], qualified, &short);
    out.push_str(&macros(library));
    Ok(out)
}

fn qualified(surface: &Surface<'_>) -> Result<Vec<Qualified>, String> {
    let mut blocks = impls::of(surface)?;
    let mut all = Vec::new();
    for entry in &surface.entries {
        let blocks = blocks.remove(&entry.path).unwrap_or_default();
        let blocks = blocks.into_iter().map(|block| qualified_block(surface, block));
        all.push(Qualified {
            path: entry.path.clone(),
            declared: declared(surface, entry)?,
            blocks: blocks.collect::<Result<_, _>>()?,
        });
    }
    Ok(all)
}

fn qualified_block(
    surface: &Surface<'_>,
    Block { module, mut block }: Block,
) -> Result<ItemImpl, String> {
    let generics = generics(|parameters| parameters.visit_item_impl(&block));
    let mut qualify = Qualify { surface, module, generics, errors: Vec::new() };
    qualify.visit_item_impl_mut(&mut block);
    let line = block.impl_token.span.start().line;
    understood(qualify, line).map(|()| block)
}

fn declared(surface: &Surface<'_>, entry: &Entry<'_>) -> Result<Declared, String> {
    let name = entry.path.last().map_or("", String::as_str);
    match &entry.what {
        What::Same(path) => {
            let path = path.join("::");
            let other_name = path.rsplit("::").next() != Some(name);
            let rename = if other_name { format!(" as {name}") } else { String::new() };
            Ok(Declared::Text(format!("pub use {path}{rename};\n")))
        }
        What::Made { module } => {
            let has_macro = surface.library.modules[*module]
                .items
                .iter()
                .any(|item| matches!(item, Item::Macro(call) if call.ident.is_none()));
            let file = &surface.library.modules[*module].file;
            if !has_macro {
                return Err(format!(
                    "{}/{file} has no {name}, which is public",
                    surface.library.src
                ));
            }
            Ok(Declared::Text(format!("// {name}: made by a macro, see below.\n")))
        }
        What::Item { item: Item::Macro(definition), .. } => {
            Ok(Declared::Text(print::macro_source(definition)))
        }
        What::Item { module, item } => {
            let mut item = strip::declaration(item, name);
            strip::add_conditions(&mut item, &entry.conditions);
            let generics = generics(|parameters| parameters.visit_item(&item));
            let mut qualify = Qualify { surface, module: *module, generics, errors: Vec::new() };
            qualify.visit_item_mut(&mut item);
            let line = syn::spanned::Spanned::span(&item).start().line;
            understood(qualify, line).map(|()| Declared::Item(Box::new(item)))
        }
    }
}

fn understood(qualify: Qualify<'_>, line: usize) -> Result<(), String> {
    let at = qualify.surface.library.at(qualify.module, line);
    let errors = qualify.errors;
    if errors.is_empty() { Ok(()) } else { Err(format!("{at}: {}", errors.join("; "))) }
}

/// Prints the entries of a public module, by name.
fn module(out: &mut String, path: &[String], entries: Vec<Qualified>, short: &Short) {
    let mut texts: Vec<(String, String)> = Vec::new();
    let mut inner: BTreeMap<String, Vec<Qualified>> = BTreeMap::new();
    for entry in entries {
        let name = entry.path[path.len()].clone();
        if entry.path.len() > path.len() + 1 {
            inner.entry(name).or_default().push(entry);
        } else {
            texts.push((name, text(path, entry, short)));
        }
    }
    for (name, entries) in inner {
        let mut contents = String::new();
        module(&mut contents, &[path, std::slice::from_ref(&name)].concat(), entries, short);
        let mut text = format!("pub mod {name} {{\n");
        for line in contents.trim_start().lines() {
            let indent = if line.is_empty() { "" } else { "    " };
            let _ = writeln!(text, "{indent}{line}");
        }
        texts.push((name, text + "}\n"));
    }
    texts.sort_unstable();
    for (_, text) in texts {
        out.push('\n');
        out.push_str(&text);
    }
}

/// Prints a declaration and its blocks.
fn text(module: &[String], entry: Qualified, short: &Short) -> String {
    let mut shorten = Shorten { short, module };
    let mut out = match entry.declared {
        Declared::Text(text) => text,
        Declared::Item(mut item) => {
            shorten.visit_item_mut(&mut item);
            print::item(*item)
        }
    };
    let mut of_traits = Vec::new();
    let mut own: BTreeMap<String, (ItemImpl, Vec<(String, ImplItem)>)> = BTreeMap::new();
    for mut block in entry.blocks {
        shorten.visit_item_impl_mut(&mut block);
        if block.trait_.is_some() {
            let of_trait = block.trait_.as_ref().and_then(|(path, _)| path.segments.last());
            let of_trait = of_trait.map(|last| last.to_token_stream().to_string());
            of_traits.push((of_trait, print::trait_impl(block)));
        } else {
            let (header, members) = print::inherent(block.clone());
            own.entry(header).or_insert((block, Vec::new())).1.extend(members);
        }
    }
    of_traits.sort_unstable();
    out.extend(of_traits.into_iter().map(|(_, text)| text));
    for (block, mut members) in own.into_values() {
        members.sort_by(|(a, _), (b, _)| a.cmp(b));
        if !members.is_empty() {
            out += &print::joined(block, members.into_iter().map(|(_, member)| member).collect());
        }
    }
    out
}

/// Macros that make nothing public.
const PRIVATE: [&str; 1] = ["thread_local"];

/// Prints the macros that modules call, and their definitions: what these make is not listed.
fn macros(library: &Library) -> String {
    let mut called = Vec::new();
    let mut out = String::new();
    let is_seen = |name: &String| !PRIVATE.contains(&name.as_str());
    let calls = |item: &Item| match item {
        Item::Macro(call) if call.ident.is_none() => {
            call.mac.path.segments.last().map(|last| last.ident.to_string()).filter(is_seen)
        }
        _ => None,
    };
    let mut section = |module: usize, item: &syn::ItemMacro| {
        let (file, source) = (&library.modules[module].file, print::macro_source(item));
        let _ = write!(
            out,
            "\n// A macro, as written in {file}: what it makes is not listed.\n{source}"
        );
    };
    for (module, item) in all_items(library) {
        if let (Item::Macro(call), Some(name)) = (item, calls(item)) {
            section(module, call);
            called.push(name);
        }
    }
    for (module, item) in all_items(library) {
        if let Item::Macro(definition) = item
            && definition.ident.as_ref().is_some_and(|name| called.contains(&name.to_string()))
        {
            section(module, definition);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::tests::planted;

    #[test]
    fn what_macros_make_is_listed_as_written() {
        let lib = "mod a; pub use a::{Made, made};";
        let a = "macro_rules! items {\n    // Why.\n    ($n:ident) => { pub struct $n; };\n}\n\
                 items!(Made);\n\
                 #[macro_export]\nmacro_rules! exported { () => {}; }\npub fn made() {}\n\
                 thread_local! { static X: u8 = 0; }";
        let found = of(&planted(&[("lib.rs", lib), ("a.rs", a)]).unwrap()).unwrap();
        let expected = "
// Made: made by a macro, see below.

#[macro_export]
macro_rules! exported { () => {}; }

pub fn made();

// A macro, as written in a.rs: what it makes is not listed.
items!(Made);

// A macro, as written in a.rs: what it makes is not listed.
macro_rules! items {
    ($n:ident) => { pub struct $n; };
}
";
        assert!(found.ends_with(expected), "{found}");
    }

    #[test]
    fn what_is_not_understood_is_an_error_with_its_place() {
        let error = |lib: &str, a: &str| {
            of(&planted(&[("lib.rs", lib), ("a.rs", a)]).unwrap()).unwrap_err()
        };
        let at = "crates/planted/src";
        assert!(error("mod a; pub use a::*;", "").starts_with(&format!("{at}/lib.rs:1: a glob")));
        assert_eq!(
            error("mod a; pub use a::X;", ""),
            format!("{at}/a.rs has no X, which is public")
        );
        let unknown = error("mod a; pub use a::f;", "\npub fn f(x: Unknown) {}");
        assert_eq!(unknown, format!("{at}/a.rs:2: Unknown: unknown name"));
        let alias = "type A = u8;\npub struct X;\nimpl A { pub fn f() {} }";
        assert!(
            error("mod a; pub use a::X;", alias).starts_with(&format!("{at}/a.rs:3: an impl of"))
        );
    }
}
