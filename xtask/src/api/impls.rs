//! Assigns `impl` blocks to public items.

use std::collections::BTreeMap;

use quote::ToTokens;
use syn::visit::{self, Visit};
use syn::{Item, ItemImpl, Type};

use super::derives;
use super::strip;
use super::surface::{Surface, What, cfg};
use crate::source::{Follow, Target};

/// An `impl` block, and the module that it is written in.
pub(super) struct Block {
    pub(super) module: usize,
    pub(super) block: ItemImpl,
}

/// The blocks of each public item, by its path.
pub(super) type Blocks = BTreeMap<Vec<String>, Vec<Block>>;

/// Finds the blocks of public types, and of public traits for types of other crates.
pub(super) fn of(surface: &Surface<'_>) -> Result<Blocks, String> {
    let library = surface.library;
    let mut blocks = Blocks::new();
    for entry in &surface.entries {
        let What::Item { module, item } = entry.what else { continue };
        let derived = derives::of(library, module, item)
            .map_err(|error| format!("{}: {error}", library.at(module, 0)))?;
        let derived = derived.into_iter().map(|block| Block { module, block });
        blocks.entry(entry.path.clone()).or_default().extend(derived);
    }
    for (module, this) in library.modules.iter().enumerate() {
        let mut found = Found(Vec::new());
        this.items.iter().for_each(|item| found.visit_item(item));
        for block in found.0 {
            let line = block.impl_token.span.start().line;
            let owner = owner(surface, module, block)
                .map_err(|error| format!("{}: {error}", library.at(module, line)))?;
            let Some(path) = owner else { continue };
            let mut block = strip::block(block);
            block.attrs.splice(0..0, surface.module_conditions(module));
            blocks.entry(path).or_default().push(Block { module, block });
        }
    }
    for entry in &surface.entries {
        for block in blocks.get_mut(&entry.path).into_iter().flatten() {
            // The item's own conditions are printed with it.
            let known = known_conditions(surface, entry);
            let mut seen = Vec::new();
            block.block.attrs.retain(|attribute| {
                let text = attribute.to_token_stream().to_string();
                let is_new = !known.contains(&text) && !seen.contains(&text);
                seen.push(text);
                is_new
            });
        }
    }
    Ok(blocks)
}

fn known_conditions(surface: &Surface<'_>, entry: &super::surface::Entry<'_>) -> Vec<String> {
    let mut known = entry.conditions.clone();
    if let What::Item { module, item } = entry.what {
        known.extend(super::surface::cfg_of(item));
        known.extend(surface.module_conditions(module));
    }
    cfg(&known).iter().map(|condition| condition.to_token_stream().to_string()).collect()
}

/// Collects every block, also in functions.
struct Found<'a>(Vec<&'a ItemImpl>);

impl<'a> Visit<'a> for Found<'a> {
    fn visit_item_impl(&mut self, block: &'a ItemImpl) {
        self.0.push(block);
        visit::visit_item_impl(self, block);
    }
}

/// Returns the public item that a block is listed with; `None` if the block is private.
fn owner(
    surface: &Surface<'_>,
    module: usize,
    block: &ItemImpl,
) -> Result<Option<Vec<String>>, String> {
    let of_trait = match &block.trait_ {
        Some((path, _)) => Some(found(surface, module, path)?),
        None => None,
    };
    if matches!(of_trait, Some(Seen::Private)) || has_private_argument(surface, module, block)? {
        return Ok(None);
    }
    let of_type = match head(&block.self_ty) {
        Some(path) if is_alias(surface, module, path)? => {
            let path = path.to_token_stream();
            return Err(format!("an impl of the alias {path}: name the type itself"));
        }
        Some(path) => found(surface, module, path)?,
        None => Seen::Foreign,
    };
    Ok(match (of_type, of_trait) {
        (Seen::Private, _) => None,
        (Seen::Public(path), _) | (Seen::Foreign, Some(Seen::Public(path))) => Some(path),
        // As in `impl From<Ours> for u64`.
        (Seen::Foreign, _) => {
            let mut names = Names(Vec::new());
            names.visit_item_impl(&syn::ItemImpl { items: Vec::new(), ..block.clone() });
            for path in &names.0 {
                if let Seen::Public(path) = found(surface, module, path)? {
                    return Ok(Some(path));
                }
            }
            None
        }
    })
}

/// Whether a trait has an argument that users cannot name, as in `impl From<Private> for Public`.
fn has_private_argument(
    surface: &Surface<'_>,
    module: usize,
    block: &ItemImpl,
) -> Result<bool, String> {
    let mut names = Names(Vec::new());
    if let Some((path, _)) = &block.trait_ {
        path.segments.iter().for_each(|segment| names.visit_path_arguments(&segment.arguments));
    }
    for path in &names.0 {
        if matches!(found(surface, module, path)?, Seen::Private) {
            return Ok(true);
        }
    }
    Ok(false)
}

enum Seen {
    Public(Vec<String>),
    Private,
    Foreign,
}

fn is_alias(surface: &Surface<'_>, module: usize, path: &syn::Path) -> Result<bool, String> {
    let names: Vec<String> = path.segments.iter().map(|s| s.ident.to_string()).collect();
    let found = surface.library.resolve(module, &names, Follow::All)?;
    let Target::Own { module, rest } = found else { return Ok(false) };
    let is_it =
        |item: &Item| matches!(item, Item::Type(alias) if rest == [alias.ident.to_string()]);
    Ok(surface.library.modules[module].items.iter().any(is_it))
}

fn found(surface: &Surface<'_>, module: usize, path: &syn::Path) -> Result<Seen, String> {
    if path.leading_colon.is_some() {
        return Ok(Seen::Foreign);
    }
    let names: Vec<String> = path.segments.iter().map(|s| s.ident.to_string()).collect();
    let Target::Own { module, rest } = surface.library.resolve(module, &names, Follow::All)? else {
        return Ok(Seen::Foreign);
    };
    let Some(first) = rest.first() else { return Ok(Seen::Private) };
    let public = surface.paths.get(&(module, first.clone()));
    Ok(public.map_or(Seen::Private, |path| Seen::Public(path.clone())))
}

/// The path of a type, without references around it.
fn head(ty: &Type) -> Option<&syn::Path> {
    match ty {
        Type::Path(ty) => Some(&ty.path),
        Type::Reference(ty) => head(&ty.elem),
        Type::Paren(ty) => head(&ty.elem),
        Type::Group(ty) => head(&ty.elem),
        Type::TraitObject(ty) => ty.bounds.iter().find_map(|bound| match bound {
            syn::TypeParamBound::Trait(bound) => Some(&bound.path),
            _ => None,
        }),
        _ => None,
    }
}

struct Names(Vec<syn::Path>);

impl<'a> Visit<'a> for Names {
    fn visit_path(&mut self, path: &'a syn::Path) {
        self.0.push(path.clone());
        visit::visit_path(self, path);
    }
}

#[cfg(test)]
mod tests {
    use super::super::listing;
    use crate::source::tests::planted;

    #[test]
    fn conditions_of_modules_and_re_exports_are_kept_once() {
        let lib = "#[cfg(feature = \"x\")] mod a; #[cfg(feature = \"x\")] pub use a::{A, B as C};
                   mod b; pub use b::D;";
        let a = "#[cfg(unix)] pub struct A; pub fn B() {}
                 impl A { #[cfg(loom)] pub fn f() {} }
                 #[cfg(unix)] impl A {}";
        let b = "#[cfg(loom)] mod c { pub struct D; impl D { pub fn f() {} } } use self::c::D;
                 #[cfg(unix)] mod e { impl super::D { pub fn g() {} } }";
        let files = [("lib.rs", lib), ("a.rs", a), ("b.rs", b)];
        let found = listing::of(&planted(&files).unwrap()).unwrap();
        let expected = "
#[cfg(feature = \"x\")]
#[cfg(unix)]
pub struct A;
impl A {
    #[cfg(loom)]
    pub fn f();
}

#[cfg(feature = \"x\")]
pub fn C();

#[cfg(loom)]
pub struct D;
#[cfg(unix)]
impl D {
    pub fn g();
}
impl D {
    pub fn f();
}
";
        assert!(found.ends_with(expected), "{found}");
    }
}
