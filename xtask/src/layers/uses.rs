//! Every path that a module writes.

use proc_macro2::{Span, TokenStream};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Item, Meta};

use super::tokens;
use crate::source::{Module, flatten};

/// A path without its generic arguments.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) path: Vec<String>,
    pub(super) line: usize,
}

/// Collects the paths of a module, without those of the modules in it.
///
/// # Errors
/// The line and the reason, for a module in a function and for `include!`.
pub(super) fn of(module: &Module) -> Result<Vec<Written>, (usize, String)> {
    let mut visitor = Visitor::default();
    for item in &module.items {
        if !matches!(item, Item::Mod(_)) {
            visitor.visit_item(item);
        }
    }
    match visitor.refused {
        Some(what) => Err(what),
        None => Ok(visitor.found),
    }
}

#[derive(Default)]
struct Visitor {
    found: Vec<Written>,
    refused: Option<(usize, String)>,
}

impl Visitor {
    fn add(&mut self, path: Vec<String>, span: Span) {
        self.found.push(Written { path, line: span.start().line });
    }

    fn refuse(&mut self, span: Span, what: &str) {
        self.refused.get_or_insert((span.start().line, what.to_owned()));
    }
}

impl<'ast> Visit<'ast> for Visitor {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        for import in flatten(item).into_iter().filter(|import| !import.is_external) {
            self.add(import.path, import.span);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.leading_colon.is_none() {
            let names = path.segments.iter().map(|segment| segment.ident.to_string());
            self.add(names.collect(), path.span());
        }
        visit::visit_path(self, path);
    }

    // `pub(in crate::a)` needs nothing of `a`.
    fn visit_vis_restricted(&mut self, _: &'ast syn::VisRestricted) {}

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        if call.path.is_ident("include") {
            self.refuse(call.path.span(), "include! is not supported");
        }
        visit::visit_macro(self, call);
    }

    // What macros and attributes are given, and what does not parse.
    fn visit_token_stream(&mut self, tokens: &'ast TokenStream) {
        tokens::scan(tokens.clone(), &mut |path, span| self.add(path, span));
    }

    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        match &attribute.meta {
            Meta::List(list) => {
                visit::visit_meta_list(self, list);
                tokens::scan_strings(list.tokens.clone(), &mut |path, span| self.add(path, span));
            }
            Meta::NameValue(pair) if !pair.path.is_ident("doc") => self.visit_expr(&pair.value),
            Meta::NameValue(_) => {}
            Meta::Path(path) => self.visit_path(path),
        }
    }

    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        self.refuse(module.ident.span(), "a module in a function is not supported");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::tests::planted;

    /// The paths of a file that begin with `crate`, `self` or `super`.
    fn paths(source: &str) -> Vec<String> {
        let library = planted(&[("lib.rs", "mod a;"), ("a.rs", source)]).unwrap();
        let found = of(&library.modules[1]).unwrap();
        let keyword = |written: &Written| {
            ["crate", "self", "super"].contains(&&*written.path[0]) && written.path.len() > 1
        };
        found.into_iter().filter(keyword).map(|written| written.path.join("::")).collect()
    }

    #[test]
    fn paths_are_found_wherever_they_may_be_written() {
        let found = paths(
            "use crate::{b1::{self, X as Y}, b2::*};
             type T = Vec<crate::b3::X>;
             impl crate::b4::Trait<crate::b5::X> for T where T: crate::b6::X {
                 fn f(&self, x: &dyn super::b7::X) -> impl crate::b8::X {
                     if let crate::b9::X { y } | crate::c1::X(y) = crate::c2::f::<crate::c3::X>() {}
                     <T as crate::c4::X>::f(crate::c5::X { y: 1 });
                     use self::c6::f;
                     [0; crate::c7::N]
                 }
             }
             #[error(\"{}\", crate::c8::f(.0))] #[serde(with = \"crate::c9\")] struct S;
             #[x = crate::d1::N] const N: u8 = 0;",
        );
        let expected = [
            "crate::b1",
            "crate::b1::X",
            "crate::b2",
            "crate::b3::X",
            "crate::b4::Trait",
            "crate::b5::X",
            "crate::b6::X",
            "super::b7::X",
            "crate::b8::X",
            "crate::b9::X",
            "crate::c1::X",
            "crate::c2::f",
            "crate::c3::X",
            "crate::c4::X::f",
            "crate::c5::X",
            "self::c6::f",
            "crate::c7::N",
            "crate::c8::f",
            "crate::c9",
            "crate::d1::N",
        ];
        let (mut found, mut expected) = (found, expected.map(str::to_owned).to_vec());
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected);
    }

    #[test]
    fn docs_comments_strings_and_visibility_hold_no_path() {
        let found = paths(
            "//! crate::a::X
             /// crate::b::X
             #[doc = \"crate::c::X\"]
             // crate::d::X
             pub(in crate::e) fn f() { \"crate::f::X\"; g!(\"crate::g::X\", pub(in crate::h) x); }",
        );
        assert_eq!(found, Vec::<String>::new());
    }

    #[test]
    fn what_cannot_be_seen_through_is_an_error() {
        let error = |source| {
            let library = planted(&[("lib.rs", "mod a;"), ("a.rs", source)]).unwrap();
            of(&library.modules[1]).unwrap_err()
        };
        assert_eq!(error("fn f() {\n mod x {} }").0, 2);
        assert_eq!(error("\ninclude!(\"x\");").0, 2);
    }
}
