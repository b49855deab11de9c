//! Removes what is not part of a signature: docs, bodies, private fields.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::visit_mut::{self, VisitMut};
use syn::{
    Attribute, Block, Expr, Field, Fields, FnArg, ImplItem, Item, Meta, Pat, Token, Visibility,
};

/// A field that stands for private ones: printed as `..`.
pub(super) const PRIVATE: &str = "private__";

/// The attributes that are listed.
const KEPT: [&str; 6] = ["cfg", "deprecated", "macro_export", "must_use", "non_exhaustive", "repr"];

/// Returns the declaration of an item, under its public name.
pub(super) fn declaration(item: &Item, name: &str) -> Item {
    let mut item = item.clone();
    match &mut item {
        Item::Const(item) => *item.expr = Expr::Verbatim(TokenStream::new()),
        Item::Static(item) => *item.expr = Expr::Verbatim(TokenStream::new()),
        Item::Fn(item) => *item.block = no_body(),
        Item::Struct(item) => hide_private(&mut item.fields),
        Item::Union(item) => {
            let mut fields = Fields::Named(item.fields.clone());
            hide_private(&mut fields);
            if let Fields::Named(fields) = fields {
                item.fields = fields;
            }
        }
        _ => {}
    }
    rename(&mut item, name);
    Strip.visit_item_mut(&mut item);
    item
}

/// Returns an `impl` block with the types in it, if it is that of a trait, or with what is `pub`.
pub(super) fn block(block: &syn::ItemImpl) -> syn::ItemImpl {
    let mut block = block.clone();
    let is_trait = block.trait_.is_some();
    block.items.retain(|item| match item {
        ImplItem::Type(_) | ImplItem::Macro(_) => true,
        ImplItem::Fn(item) => !is_trait && matches!(item.vis, Visibility::Public(_)),
        ImplItem::Const(item) => !is_trait && matches!(item.vis, Visibility::Public(_)),
        _ => false,
    });
    for item in &mut block.items {
        match item {
            ImplItem::Fn(item) => item.block = no_body(),
            ImplItem::Const(item) => item.expr = Expr::Verbatim(TokenStream::new()),
            _ => {}
        }
    }
    Strip.visit_item_impl_mut(&mut block);
    block
}

fn no_body() -> Block {
    Block { brace_token: syn::token::Brace::default(), stmts: Vec::new() }
}

fn rename(item: &mut Item, name: &str) {
    let ident = match item {
        Item::Const(item) => &mut item.ident,
        Item::Enum(item) => &mut item.ident,
        Item::Fn(item) => &mut item.sig.ident,
        Item::Static(item) => &mut item.ident,
        Item::Struct(item) => &mut item.ident,
        Item::Trait(item) => &mut item.ident,
        Item::Type(item) => &mut item.ident,
        Item::Union(item) => &mut item.ident,
        _ => return,
    };
    if ident != name {
        *ident = syn::Ident::new(name, ident.span());
    }
}

/// Hides the number and the types of private fields.
fn hide_private(fields: &mut Fields) {
    let is_public = |field: &Field| matches!(field.vis, Visibility::Public(_));
    if fields.iter().all(is_public) {
        return;
    }
    match fields {
        Fields::Unnamed(all) if all.unnamed.iter().any(is_public) => {
            for field in all.unnamed.iter_mut().filter(|field| !is_public(field)) {
                field.vis = Visibility::Inherited;
                field.ty = syn::parse_quote!(_);
            }
        }
        Fields::Unnamed(_) => *fields = Fields::Named(only_private()),
        Fields::Named(all) => {
            let public = all.named.iter().filter(|field| is_public(field)).cloned();
            let mut named: syn::punctuated::Punctuated<Field, Token![,]> = public.collect();
            named.extend(only_private().named);
            all.named = named;
        }
        Fields::Unit => {}
    }
}

fn only_private() -> syn::FieldsNamed {
    let name = syn::Ident::new(PRIVATE, proc_macro2::Span::call_site());
    syn::parse_quote!({ #name: () })
}

/// Removes other attributes, default bodies, and patterns of parameters.
struct Strip;

impl VisitMut for Strip {
    fn visit_attributes_mut(&mut self, attributes: &mut Vec<Attribute>) {
        attributes.retain(is_kept);
        for attribute in attributes {
            // Its message is documentation.
            if attribute.path().is_ident("must_use") {
                attribute.meta = Meta::Path(attribute.path().clone());
            }
        }
    }

    fn visit_block_mut(&mut self, block: &mut Block) {
        block.stmts.clear();
    }

    fn visit_fn_arg_mut(&mut self, argument: &mut FnArg) {
        match argument {
            FnArg::Receiver(receiver) => receiver.mutability = None,
            FnArg::Typed(argument) => match &mut *argument.pat {
                Pat::Ident(pattern) => {
                    (pattern.mutability, pattern.by_ref, pattern.subpat) = (None, None, None);
                }
                pattern => *pattern = syn::parse_quote!(_),
            },
        }
        visit_mut::visit_fn_arg_mut(self, argument);
    }
}

fn is_kept(attribute: &Attribute) -> bool {
    let path = attribute.path();
    let is_hidden = || {
        path.is_ident("doc")
            && attribute.parse_args::<syn::Path>().is_ok_and(|path| path.is_ident("hidden"))
    };
    KEPT.iter().any(|kept| path.is_ident(kept)) || is_hidden()
}

/// Puts conditions before an item's own attributes, unless it has them.
pub(super) fn add_conditions(item: &mut Item, conditions: &[Attribute]) {
    let attributes = match item {
        Item::Const(item) => &mut item.attrs,
        Item::Enum(item) => &mut item.attrs,
        Item::Fn(item) => &mut item.attrs,
        Item::Static(item) => &mut item.attrs,
        Item::Struct(item) => &mut item.attrs,
        Item::Trait(item) => &mut item.attrs,
        Item::Type(item) => &mut item.attrs,
        Item::Union(item) => &mut item.attrs,
        _ => return,
    };
    let mut all = conditions.to_vec();
    all.append(attributes);
    let mut seen = Vec::new();
    all.retain(|attribute| {
        let text = attribute.to_token_stream().to_string();
        let is_new = !seen.contains(&text);
        seen.push(text);
        is_new
    });
    *attributes = all;
}
