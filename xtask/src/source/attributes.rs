//! Names, attributes and visibility of items, and which items are only for tests.

use syn::punctuated::Punctuated;
use syn::visit_mut::{self, VisitMut};
use syn::{Attribute, ImplItem, Item, Meta, Stmt, Token, TraitItem, Visibility};

/// The attributes of an item.
pub(crate) fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::ExternCrate(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::ForeignMod(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::TraitAlias(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// The name and visibility of an item that a path can name.
fn named(item: &Item) -> Option<(String, Option<&Visibility>)> {
    let (ident, vis) = match item {
        Item::Const(item) => (&item.ident, &item.vis),
        Item::Enum(item) => (&item.ident, &item.vis),
        Item::Fn(item) => (&item.sig.ident, &item.vis),
        Item::Mod(item) => (&item.ident, &item.vis),
        Item::Static(item) => (&item.ident, &item.vis),
        Item::Struct(item) => (&item.ident, &item.vis),
        Item::Trait(item) => (&item.ident, &item.vis),
        Item::TraitAlias(item) => (&item.ident, &item.vis),
        Item::Type(item) => (&item.ident, &item.vis),
        Item::Union(item) => (&item.ident, &item.vis),
        Item::Macro(item) => return item.ident.as_ref().map(|ident| (ident.to_string(), None)),
        _ => return None,
    };
    Some((ident.to_string(), Some(vis)))
}

/// The name of an item that a path can name.
pub(crate) fn name(item: &Item) -> Option<String> {
    named(item).map(|(name, _)| name)
}

/// Whether an item is `pub`.
pub(crate) fn is_public(item: &Item) -> bool {
    matches!(named(item), Some((_, Some(Visibility::Public(_)))))
}

/// Removes what is only compiled for tests.
pub(super) fn without_tests(file: &mut syn::File) {
    WithoutTests.visit_file_mut(file);
}

struct WithoutTests;

impl VisitMut for WithoutTests {
    fn visit_file_mut(&mut self, file: &mut syn::File) {
        file.items.retain(|item| !for_tests(attributes(item)));
        visit_mut::visit_file_mut(self, file);
    }

    fn visit_item_mod_mut(&mut self, module: &mut syn::ItemMod) {
        if let Some((_, items)) = &mut module.content {
            items.retain(|item| !for_tests(attributes(item)));
        }
        visit_mut::visit_item_mod_mut(self, module);
    }

    fn visit_item_impl_mut(&mut self, block: &mut syn::ItemImpl) {
        block.items.retain(|item| match item {
            ImplItem::Const(item) => !for_tests(&item.attrs),
            ImplItem::Fn(item) => !for_tests(&item.attrs),
            ImplItem::Type(item) => !for_tests(&item.attrs),
            ImplItem::Macro(item) => !for_tests(&item.attrs),
            _ => true,
        });
        visit_mut::visit_item_impl_mut(self, block);
    }

    fn visit_item_trait_mut(&mut self, item: &mut syn::ItemTrait) {
        item.items.retain(|item| match item {
            TraitItem::Const(item) => !for_tests(&item.attrs),
            TraitItem::Fn(item) => !for_tests(&item.attrs),
            TraitItem::Type(item) => !for_tests(&item.attrs),
            TraitItem::Macro(item) => !for_tests(&item.attrs),
            _ => true,
        });
        visit_mut::visit_item_trait_mut(self, item);
    }

    fn visit_block_mut(&mut self, block: &mut syn::Block) {
        block.stmts.retain(|statement| match statement {
            Stmt::Local(local) => !for_tests(&local.attrs),
            Stmt::Item(item) => !for_tests(attributes(item)),
            Stmt::Macro(item) => !for_tests(&item.attrs),
            Stmt::Expr(..) => true,
        });
        visit_mut::visit_block_mut(self, block);
    }
}

/// Whether an item with these attributes is only compiled for tests.
fn for_tests(attributes: &[Attribute]) -> bool {
    let conditions = attributes.iter().filter(|attribute| attribute.path().is_ident("cfg"));
    conditions
        .filter_map(|attribute| attribute.parse_args::<Meta>().ok())
        .any(|condition| without_test(&condition) == Some(false))
}

/// Evaluates a condition outside of tests; `None` if that depends on other options.
fn without_test(condition: &Meta) -> Option<bool> {
    match condition {
        Meta::Path(path) => (path.is_ident("test") || path.is_ident("doctest")).then_some(false),
        Meta::NameValue(_) => None,
        Meta::List(list) => {
            let parser = Punctuated::<Meta, Token![,]>::parse_terminated;
            let parts = list.parse_args_with(parser).ok()?;
            let parts: Vec<Option<bool>> = parts.iter().map(without_test).collect();
            let one_is = |value| parts.contains(&Some(value));
            let all_are = |value| parts.iter().all(|part| *part == Some(value));
            if list.path.is_ident("not") {
                parts.first().copied().flatten().map(|value| !value)
            } else if list.path.is_ident("all") {
                if one_is(false) { Some(false) } else { all_are(true).then_some(true) }
            } else {
                if one_is(true) { Some(true) } else { all_are(false).then_some(false) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_is_for_tests_if_it_cannot_hold_without() {
        let is = |condition: &str| {
            let item: syn::ItemStruct =
                syn::parse_str(&format!("#[cfg({condition})] struct A;")).unwrap();
            for_tests(&item.attrs)
        };
        assert!(is("test") && is("all(test, unix)") && is("not(not(test))") && is("doctest"));
        assert!(is("any(test, all(test, unix))") && is("not(any(unix, not(test)))"));
        assert!(
            !is("unix") && !is("not(test)") && !is("any(test, unix)") && !is("feature = \"a\"")
        );
        assert!(!is("not(all(test, unix))"));
    }

    #[test]
    fn items_methods_and_statements_for_tests_are_removed() {
        let mut file = syn::parse_file(
            "#[cfg(test)] fn a() {}
             impl A { #[cfg(test)] fn b() {} fn c() { #[cfg(test)] let d = 1; } }",
        )
        .unwrap();
        without_tests(&mut file);
        let expected = syn::parse_file("impl A { fn c() {} }").unwrap();
        let text = |file: &syn::File| prettyplease::unparse(file);
        assert_eq!(text(&file), text(&expected));
    }
}
