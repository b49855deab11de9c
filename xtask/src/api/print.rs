//! Prints declarations and `impl` blocks, without bodies.

use quote::{ToTokens, quote};
use syn::{ImplItem, Item, ItemImpl};

use super::strip::PRIVATE;

/// Prints a declaration.
pub(super) fn item(item: Item) -> String {
    let item = match item {
        Item::Fn(item) => {
            let (attributes, vis, sig) = (item.attrs, item.vis, item.sig);
            Item::Verbatim(quote!(#(#attributes)* #vis #sig;))
        }
        Item::Const(item) => {
            let (attributes, vis, name, ty) = (item.attrs, item.vis, item.ident, item.ty);
            Item::Verbatim(quote!(#(#attributes)* #vis const #name: #ty;))
        }
        Item::Static(item) => {
            let (attributes, vis, name, ty) = (item.attrs, item.vis, item.ident, item.ty);
            let mutability = item.mutability;
            Item::Verbatim(quote!(#(#attributes)* #vis static #mutability #name: #ty;))
        }
        item => item,
    };
    let is_trait = matches!(item, Item::Trait(_));
    let text = unparse(item).replace(&format!("    {PRIVATE}: (),"), "    ..");
    let text = text.replace("{\n    ..\n}", "{ .. }");
    if is_trait { with_bodies(&text) } else { text }
}

/// Marks the methods of a trait that have a body.
fn with_bodies(text: &str) -> String {
    let line = |line: &str| match line.strip_suffix("{}") {
        Some(start) if line.starts_with(' ') => format!("{start}{{ .. }}\n"),
        _ => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

/// Prints the header of a trait's `impl`, and the types in it.
pub(super) fn trait_impl(block: ItemImpl) -> String {
    let is_empty = block.items.is_empty();
    let text = unparse(Item::Impl(block));
    let header = text.trim_end().strip_suffix("{}").filter(|_| is_empty);
    header.map_or_else(
        || text.clone(),
        |header| format!("{};\n", header.trim_end().trim_end_matches(',')),
    )
}

/// Splits an `impl` without a trait into its header, by which blocks are joined, and its members by
/// name.
pub(super) fn inherent(mut block: ItemImpl) -> (String, Vec<(String, ImplItem)>) {
    let members = std::mem::take(&mut block.items);
    let header = unparse(Item::Impl(block));
    (header, members.into_iter().map(member).collect())
}

fn member(item: ImplItem) -> (String, ImplItem) {
    match item {
        ImplItem::Fn(item) => {
            let (attributes, vis, sig) = (item.attrs, item.vis, item.sig);
            (sig.ident.to_string(), ImplItem::Verbatim(quote!(#(#attributes)* #vis #sig;)))
        }
        ImplItem::Const(item) => {
            let (attributes, vis, name, ty) = (item.attrs, item.vis, item.ident, item.ty);
            let text = name.to_string();
            (text, ImplItem::Verbatim(quote!(#(#attributes)* #vis const #name: #ty;)))
        }
        item => (item.to_token_stream().to_string(), item),
    }
}

/// Prints an `impl` with the members of all blocks of one header.
pub(super) fn joined(mut block: ItemImpl, members: Vec<ImplItem>) -> String {
    block.items = members;
    unparse(Item::Impl(block))
}

/// Returns a macro, or a call of one, as written but without comments.
pub(super) fn macro_source(item: &syn::ItemMacro) -> String {
    let span = syn::spanned::Spanned::span(item);
    let source = span.source_text().unwrap_or_else(|| item.to_token_stream().to_string());
    let is_comment = |line: &&str| line.trim_start().starts_with("//");
    source.lines().filter(|line| !is_comment(line)).flat_map(|line| [line, "\n"]).collect()
}

fn unparse(item: Item) -> String {
    prettyplease::unparse(&syn::File { items: vec![item], ..empty() })
}

fn empty() -> syn::File {
    syn::parse_quote!()
}
