//! The headers of the `impl` blocks that `derive` makes.

use quote::quote;
use syn::punctuated::Punctuated;
use syn::{Attribute, Fields, GenericParam, Generics, Ident, Item, ItemImpl, Meta, Path, Token};

use crate::source::{Follow, Library, Target};

/// Returns the headers of an item's derived blocks, as its module would write them.
pub(super) fn of(library: &Library, module: usize, item: &Item) -> Result<Vec<ItemImpl>, String> {
    let (attributes, ident, generics) = match item {
        Item::Struct(item) => (&item.attrs, &item.ident, &item.generics),
        Item::Enum(item) => (&item.attrs, &item.ident, &item.generics),
        Item::Union(item) => (&item.attrs, &item.ident, &item.generics),
        _ => return Ok(Vec::new()),
    };
    let mut blocks = Vec::new();
    for (derived, conditions) in derives(attributes) {
        let names: Vec<String> = derived.segments.iter().map(|s| s.ident.to_string()).collect();
        let path = match library.resolve(module, &names, Follow::All)? {
            Target::Foreign(path) => path.join("::"),
            _ => names.join("::"),
        };
        for header in headers(&path, item, ident, generics) {
            let tokens = quote!(#(#conditions)* #header);
            blocks.push(syn::parse2(tokens).map_err(|err| format!("derive({path}): {err}"))?);
        }
    }
    Ok(blocks)
}

/// Returns what is derived, and the conditions for it.
fn derives(attributes: &[Attribute]) -> Vec<(Path, Vec<proc_macro2::TokenStream>)> {
    let mut found = Vec::new();
    for attribute in attributes {
        add(&attribute.meta, &[], &mut found);
    }
    found
}

fn add(
    meta: &Meta,
    conditions: &[proc_macro2::TokenStream],
    found: &mut Vec<(Path, Vec<proc_macro2::TokenStream>)>,
) {
    let Meta::List(list) = meta else { return };
    if list.path.is_ident("derive") {
        let paths = list.parse_args_with(Punctuated::<Path, Token![,]>::parse_terminated);
        found.extend(paths.into_iter().flatten().map(|path| (path, conditions.to_vec())));
    } else if list.path.is_ident("cfg_attr") {
        let parts = list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated);
        let mut parts = parts.into_iter().flatten();
        let condition = parts.next().map(|condition| quote!(#[cfg(#condition)]));
        let conditions: Vec<_> = conditions.iter().cloned().chain(condition).collect();
        parts.for_each(|part| add(&part, &conditions, found));
    }
}

/// Returns the headers that one derive makes.
fn headers(
    path: &str,
    item: &Item,
    ident: &Ident,
    generics: &Generics,
) -> Vec<proc_macro2::TokenStream> {
    let (_, own, clause) = generics.split_for_impl();
    let header = |path: proc_macro2::TokenStream, bound: bool, lifetime: bool| {
        let path = if lifetime { quote!(#path<'de>) } else { path };
        let mut generics = generics.clone();
        for parameter in &mut generics.params {
            if let (GenericParam::Type(parameter), true) = (parameter, bound) {
                parameter.bounds.push(syn::parse_quote!(#path));
            }
        }
        let de = syn::parse_quote!('de);
        if lifetime {
            generics.params.insert(0, GenericParam::Lifetime(syn::LifetimeParam::new(de)));
        }
        let (all, _, _) = generics.split_for_impl();
        quote!(impl #all #path for #ident #own #clause {})
    };
    match path {
        "Debug" => vec![header(quote!(::std::fmt::Debug), true, false)],
        "Hash" => vec![header(quote!(::std::hash::Hash), true, false)],
        "serde::Deserialize" => vec![header(quote!(::serde::Deserialize), true, true)],
        "thiserror::Error" => {
            let mut made = vec![header(quote!(::std::error::Error), false, false)];
            if has_message(item) {
                made.push(header(quote!(::std::fmt::Display), false, false));
            }
            made.extend(sources(item).map(|ty| header(quote!(From<#ty>), false, false)));
            made
        }
        path => match syn::parse_str::<Path>(path) {
            Ok(path) if path.segments.len() > 1 => vec![header(quote!(::#path), true, false)],
            Ok(path) => vec![header(quote!(#path), true, false)],
            Err(_) => Vec::new(),
        },
    }
}

/// Whether `thiserror` derives `Display` too.
fn has_message(item: &Item) -> bool {
    let is_message = |attribute: &Attribute| attribute.path().is_ident("error");
    match item {
        Item::Struct(item) => item.attrs.iter().any(is_message),
        Item::Enum(item) => {
            item.attrs.iter().any(is_message)
                || item.variants.iter().any(|variant| variant.attrs.iter().any(is_message))
        }
        _ => false,
    }
}

/// Returns the types that `#[from]` marks.
fn sources(item: &Item) -> impl Iterator<Item = &syn::Type> {
    let fields: Vec<&Fields> = match item {
        Item::Struct(item) => vec![&item.fields],
        Item::Enum(item) => item.variants.iter().map(|variant| &variant.fields).collect(),
        _ => Vec::new(),
    };
    let is_source = |field: &&syn::Field| field.attrs.iter().any(|a| a.path().is_ident("from"));
    fields.into_iter().flat_map(Fields::iter).filter(is_source).map(|field| &field.ty)
}

#[cfg(test)]
mod tests {
    use super::super::listing;
    use crate::source::tests::planted;

    #[test]
    fn derived_errors_display_and_convert() {
        let lib = "use thiserror::Error; #[derive(Error)] pub struct Own;
                   #[derive(Error)] pub enum E { #[error(\"a\")] A(#[from] std::io::Error) }
                   #[derive(serde::Deserialize)] pub struct D<T>(pub T);";
        let found = listing::of(&planted(&[("lib.rs", lib)]).unwrap()).unwrap();
        let has = |line: &str| found.lines().any(|found| found == line);
        assert!(has("impl Display for E;") && has("impl error::Error for E;"), "{found}");
        assert!(has("impl From<io::Error> for E;"), "{found}");
        assert!(has("impl error::Error for Own;") && !has("impl Display for Own;"), "{found}");
        assert!(has("impl<'de, T: Deserialize<'de>> Deserialize<'de> for D<T>;"), "{found}");
    }
}
