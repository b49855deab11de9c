//! `use` declarations, one for each name.

use proc_macro2::Span;
use syn::{Item, ItemUse, UseTree, Visibility};

/// One name of a `use` declaration, and its path.
#[derive(Clone)]
pub(crate) struct Import {
    /// `None` for a glob.
    pub(crate) name: Option<String>,
    /// As written, from the declaration's start.
    pub(crate) path: Vec<String>,
    /// Whether it begins with `::`, so with another crate.
    pub(crate) is_external: bool,
    pub(crate) is_public: bool,
    pub(crate) attributes: Vec<syn::Attribute>,
    pub(crate) span: Span,
}

/// Collects the imports of a module.
pub(super) fn of(items: &[Item]) -> Vec<Import> {
    let declarations = items.iter().filter_map(|item| match item {
        Item::Use(item) => Some(item),
        _ => None,
    });
    declarations.flat_map(flatten).collect()
}

/// Splits a declaration into one import for each name and glob.
pub(crate) fn flatten(item: &ItemUse) -> Vec<Import> {
    let mut found = Vec::new();
    flatten_tree(&item.tree, &[], &mut |name, path, span| {
        found.push(Import {
            name,
            path,
            is_external: item.leading_colon.is_some(),
            is_public: matches!(item.vis, Visibility::Public(_)),
            attributes: item.attrs.clone(),
            span,
        });
    });
    found
}

fn flatten_tree(
    tree: &UseTree,
    prefix: &[String],
    found: &mut impl FnMut(Option<String>, Vec<String>, Span),
) {
    let with = |ident: &syn::Ident| {
        let mut path = prefix.to_vec();
        // `a::{self}` is `a`.
        if ident != "self" || path.is_empty() {
            path.push(ident.to_string());
        }
        path
    };
    match tree {
        UseTree::Path(tree) => flatten_tree(&tree.tree, &with(&tree.ident), found),
        UseTree::Name(tree) => {
            let path = with(&tree.ident);
            found(path.last().cloned(), path, tree.ident.span());
        }
        UseTree::Rename(tree) => {
            found(Some(tree.rename.to_string()), with(&tree.ident), tree.ident.span());
        }
        UseTree::Glob(tree) => found(None, prefix.to_vec(), tree.star_token.spans[0]),
        UseTree::Group(tree) => {
            for tree in &tree.items {
                flatten_tree(tree, prefix, found);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_renames_globs_and_self_are_flattened() {
        let item = syn::parse_str("pub use crate::{a::{self, B as C}, d::*, self as e};").unwrap();
        let found: Vec<_> = flatten(&item)
            .into_iter()
            .map(|import| (import.name.unwrap_or("*".to_owned()), import.path.join("::")))
            .collect();
        let expected = [("a", "crate::a"), ("C", "crate::a::B"), ("*", "crate::d"), ("e", "crate")];
        assert_eq!(found, expected.map(|(name, path)| (name.to_owned(), path.to_owned())));
    }
}
