//! The names in a listing.
//!
//! A public item has its public path. A type of another crate has its last name, and a `use` at the
//! head of the listing, so that another type of the same name is a difference.

use std::collections::{BTreeMap, BTreeSet};

use quote::ToTokens;
use syn::visit::{self, Visit};
use syn::visit_mut::{self, VisitMut};
use syn::{GenericParam, Ident, Path, PathSegment, TypeParamBound};

use super::surface::Surface;
use crate::source::{Follow, Target};

/// Names that need no `use`, and that a listing gives to nothing else.
const PRELUDE: &str = "Some None Ok Err Option Result Vec String Box ToString ToOwned Iterator \
    IntoIterator ExactSizeIterator DoubleEndedIterator Extend FromIterator From Into TryFrom \
    TryInto AsRef AsMut Default Clone Copy Send Sync Sized Unpin Drop Fn FnMut FnOnce AsyncFn \
    AsyncFnMut AsyncFnOnce PartialEq Eq PartialOrd Ord Future IntoFuture Self bool char str u8 \
    u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize f32 f64";

/// The modules of `std` that hold them.
const OF_PRELUDE: &str =
    "option result vec string boxed borrow iter convert default clone marker ops cmp future";

/// Names that many modules use: always written with the module.
const COMMON: &str = "Error Result";

fn is_prelude(name: &str) -> bool {
    is_word(PRELUDE, name)
}

fn is_common(name: &str) -> bool {
    is_prelude(name) || is_word(COMMON, name)
}

fn is_word(words: &str, wanted: &str) -> bool {
    words.split_whitespace().any(|word| word == wanted)
}

/// Makes every path a public one from `crate`, or a full one from `::`.
pub(super) struct Qualify<'a> {
    pub(super) surface: &'a Surface<'a>,
    /// The module that the code is written in.
    pub(super) module: usize,
    /// The generic parameters: see [`generics`].
    pub(super) generics: BTreeSet<String>,
    /// Paths that were not understood.
    pub(super) errors: Vec<String>,
}

/// Collects the generic parameters of an item and of all in it.
pub(super) fn generics(visit: impl FnOnce(&mut Parameters)) -> BTreeSet<String> {
    let mut parameters = Parameters(BTreeSet::new());
    visit(&mut parameters);
    parameters.0
}

pub(super) struct Parameters(BTreeSet<String>);

impl<'a> Visit<'a> for Parameters {
    fn visit_generic_param(&mut self, parameter: &'a GenericParam) {
        match parameter {
            GenericParam::Type(parameter) => self.0.insert(parameter.ident.to_string()),
            GenericParam::Const(parameter) => self.0.insert(parameter.ident.to_string()),
            GenericParam::Lifetime(_) => false,
        };
        visit::visit_generic_param(self, parameter);
    }
}

impl Qualify<'_> {
    /// Returns the full path, and how it begins; `None` to leave the path as it is.
    fn full(&mut self, path: &Path) -> Option<(Start, Vec<String>)> {
        let names = names(path);
        if path.leading_colon.is_some() {
            return Some(foreign(names));
        }
        if names[0] == "Self" || self.generics.contains(&names[0]) {
            return None;
        }
        match self.surface.library.resolve(self.module, &names, Follow::All) {
            Ok(Target::Own { rest, .. }) if rest.is_empty() => None,
            Ok(Target::Own { module, rest }) => {
                let public = self.surface.paths.get(&(module, rest[0].clone()));
                let private = || [&self.surface.library.modules[module].path[..], &rest[..1]];
                let path = public.cloned().unwrap_or_else(|| private().concat());
                Some((Start::Name, [&["crate".to_owned()], &path[..], &rest[1..]].concat()))
            }
            Ok(Target::Foreign(full)) if full == names && is_prelude(&names[0]) => None,
            Ok(Target::Foreign(full)) => Some(foreign(full)),
            Ok(Target::Unknown) if is_prelude(&names[0]) => None,
            Ok(Target::Unknown) => {
                self.errors.push(format!("{}: unknown name", names[0]));
                None
            }
            Err(error) => {
                self.errors.push(error);
                None
            }
        }
    }
}

impl VisitMut for Qualify<'_> {
    fn visit_path_mut(&mut self, path: &mut Path) {
        visit_mut::visit_path_mut(self, path);
        if let Some((start, full)) = self.full(path) {
            rewrite(path, start, &full);
        }
    }

    fn visit_type_path_mut(&mut self, ty: &mut syn::TypePath) {
        visit_type_path(self, ty);
    }

    // A derive may add a bound that the type has.
    fn visit_type_param_mut(&mut self, parameter: &mut syn::TypeParam) {
        visit_mut::visit_type_param_mut(self, parameter);
        let mut bounds: Vec<TypeParamBound> = Vec::new();
        for bound in std::mem::take(&mut parameter.bounds) {
            let is_same = |other: &TypeParamBound| {
                other.to_token_stream().to_string() == bound.to_token_stream().to_string()
            };
            if !bounds.iter().any(is_same) {
                bounds.push(bound);
            }
        }
        parameter.bounds = bounds.into_iter().collect();
    }

    // Conditions hold no paths of this crate.
    fn visit_attribute_mut(&mut self, _: &mut syn::Attribute) {}
}

/// Visits the trait of `<T as a::Trait>::X` as a path of its own.
fn visit_type_path(visitor: &mut impl VisitMut, ty: &mut syn::TypePath) {
    let Some(qself) = &mut ty.qself else { return visitor.visit_path_mut(&mut ty.path) };
    visitor.visit_type_mut(&mut qself.ty);
    if qself.position > 0 {
        let mut of_trait = ty.path.clone();
        let member: Vec<PathSegment> =
            of_trait.segments.iter().skip(qself.position).cloned().collect();
        of_trait.segments = of_trait.segments.into_iter().take(qself.position).collect();
        visitor.visit_path_mut(&mut of_trait);
        qself.position = of_trait.segments.len();
        of_trait.segments.extend(member);
        ty.path = of_trait;
    }
}

fn names(path: &Path) -> Vec<String> {
    path.segments.iter().map(|segment| segment.ident.to_string()).collect()
}

/// Returns the one form of a path of another crate: `std` for `core` and `alloc`, and the name
/// alone for what is in the prelude.
fn foreign(mut path: Vec<String>) -> (Start, Vec<String>) {
    if ["core", "alloc"].contains(&path[0].as_str()) {
        "std".clone_into(&mut path[0]);
    }
    match path.as_slice() {
        [std, module, name] if std == "std" && is_prelude(name) && is_word(OF_PRELUDE, module) => {
            (Start::Name, vec![name.clone()])
        }
        _ => (Start::Colons, path),
    }
}

/// How a path begins.
#[derive(Clone, Copy)]
enum Start {
    Name,
    /// `::`
    Colons,
}

/// Replaces the names of a path. Generic arguments stay with the last ones.
fn rewrite(path: &mut Path, start: Start, names: &[String]) {
    let mut old: Vec<PathSegment> = path.segments.iter().cloned().collect();
    let mut new: Vec<PathSegment> = Vec::new();
    for name in names.iter().rev() {
        let before = old.pop();
        let span = before.as_ref().map_or_else(proc_macro2::Span::call_site, |s| s.ident.span());
        let ident = if name == "crate" { Ident::new("crate", span) } else { ident(name, span) };
        let arguments = before.map_or(syn::PathArguments::None, |segment| segment.arguments);
        new.push(PathSegment { ident, arguments });
    }
    path.leading_colon = match start {
        Start::Name => None,
        Start::Colons => Some(syn::token::PathSep::default()),
    };
    path.segments = new.into_iter().rev().collect();
}

fn ident(name: &str, span: proc_macro2::Span) -> Ident {
    name.strip_prefix("r#").map_or_else(|| Ident::new(name, span), |raw| Ident::new_raw(raw, span))
}

/// The full paths of the types of other crates in a listing.
#[derive(Default)]
pub(super) struct Foreign(BTreeSet<Vec<String>>);

impl<'a> Visit<'a> for Foreign {
    fn visit_path(&mut self, path: &'a Path) {
        if path.leading_colon.is_some() {
            let names = names(path);
            self.0.insert(names[..=of_type(&names)].to_vec());
        }
        visit::visit_path(self, path);
    }
}

/// Returns where the type is in a path; its members follow.
fn of_type(names: &[String]) -> usize {
    let is_type = |name: &String| name.starts_with(|first: char| first.is_ascii_uppercase());
    names.iter().position(is_type).unwrap_or(names.len() - 1)
}

/// How many of the last names of each foreign type are written.
pub(super) struct Short(BTreeMap<Vec<String>, usize>);

impl Short {
    /// Chooses names that neither public items nor the prelude nor other types have.
    pub(super) fn of(foreign: &Foreign, surface: &Surface<'_>) -> Self {
        let own: BTreeSet<_> = surface.entries.iter().filter_map(|e| e.path.last()).collect();
        let is_free = |full: &Vec<String>, name: &String| {
            let is_other = |other: &&Vec<String>| *other != full && other.last() == Some(name);
            !own.contains(name) && !is_common(name) && !foreign.0.iter().any(|o| is_other(&o))
        };
        let length = |full: &Vec<String>| match full.last() {
            Some(name) if full.len() > 1 && is_free(full, name) => 1,
            _ => 2.min(full.len()),
        };
        Short(foreign.0.iter().map(|full| (full.clone(), length(full))).collect())
    }

    /// Returns the `use` declarations for the head of the listing.
    pub(super) fn uses(&self) -> BTreeSet<String> {
        let used = self.0.iter().map(|(full, length)| match length {
            1 => full.as_slice(),
            _ => &full[..full.len() - 1],
        });
        let needed = used.filter(|path| path.len() > 1);
        needed.map(|path| format!("use {};", path.join("::"))).collect()
    }
}

/// Makes qualified paths short: see [`Short`] for foreign ones.
pub(super) struct Shorten<'a> {
    pub(super) short: &'a Short,
    /// The public module in which they are listed.
    pub(super) module: &'a [String],
}

impl VisitMut for Shorten<'_> {
    fn visit_path_mut(&mut self, path: &mut Path) {
        visit_mut::visit_path_mut(self, path);
        let names = names(path);
        if path.leading_colon.is_some() {
            let end = of_type(&names) + 1;
            let length = self.short.0.get(&names[..end]).copied().unwrap_or(end);
            rewrite(path, Start::Name, &names[end - length..]);
        } else if names[0] == "crate"
            && let Some(rest) = names[1..].strip_prefix(self.module)
        {
            let rest = rest.to_vec();
            rewrite(path, Start::Name, &rest);
        }
    }

    fn visit_type_path_mut(&mut self, ty: &mut syn::TypePath) {
        visit_type_path(self, ty);
    }

    fn visit_attribute_mut(&mut self, _: &mut syn::Attribute) {}
}
