//! The names that a crate makes public: items of its public modules, and re-exports.

use std::collections::BTreeMap;

use syn::{Attribute, Item};

use crate::source::{Follow, Import, Library, Target, attributes, is_public, name};

/// A public name.
pub(super) struct Entry<'a> {
    /// From the crate's root, the name included.
    pub(super) path: Vec<String>,
    pub(super) what: What<'a>,
    /// The `cfg` of the re-export and of the modules around the item.
    pub(super) conditions: Vec<Attribute>,
}

/// What a public name stands for.
pub(super) enum What<'a> {
    Item {
        module: usize,
        item: &'a Item,
    },
    /// An item that a macro in this module makes.
    Made {
        module: usize,
    },
    /// Something listed elsewhere, or of another crate, by its path.
    Same(Vec<String>),
}

/// The public names of a crate, and where each was defined.
pub(super) struct Surface<'a> {
    pub(super) library: &'a Library,
    pub(super) entries: Vec<Entry<'a>>,
    /// The public path of an item, by module and name there.
    pub(super) paths: BTreeMap<(usize, String), Vec<String>>,
}

/// Finds all public names.
///
/// # Errors
/// A re-export that leads nowhere, a glob, or an item that cannot be listed.
pub(super) fn of(library: &Library) -> Result<Surface<'_>, String> {
    let mut surface = Surface { library, entries: Vec::new(), paths: BTreeMap::new() };
    for (module, item) in all_items(library) {
        if let Item::Verbatim(_) | Item::ForeignMod(_) | Item::ExternCrate(_) = item {
            let line = syn::spanned::Spanned::span(item).start().line;
            return Err(format!(
                "{}: an item of this kind is not supported",
                library.at(module, line)
            ));
        }
    }
    surface.add_module(0, &[], &[])?;
    surface.add_exported_macros();
    Ok(surface)
}

impl Surface<'_> {
    fn add_module(
        &mut self,
        module: usize,
        path: &[String],
        conditions: &[Attribute],
    ) -> Result<(), String> {
        let library = self.library;
        for item in library.modules[module].items.iter().filter(|item| is_public(item)) {
            let Some(name) = name(item) else { continue };
            if let Item::Mod(declaration) = item {
                let conditions = [conditions, &cfg(&declaration.attrs)].concat();
                let child = library.modules[module].children[&name];
                self.add_module(child, &join(path, &name), &conditions)?;
            } else {
                self.add(module, &name, join(path, &name), conditions.to_vec());
            }
        }
        for import in library.modules[module].imports.iter().filter(|import| import.is_public) {
            let at = || library.at(module, import.span.start().line);
            self.add_import(module, path, conditions, import)
                .map_err(|error| format!("{}: {error}", at()))?;
        }
        Ok(())
    }

    fn add_import(
        &mut self,
        module: usize,
        path: &[String],
        conditions: &[Attribute],
        import: &Import,
    ) -> Result<(), String> {
        let Some(name) = &import.name else {
            return Err("a glob does not say what is public: name it".to_owned());
        };
        let path = join(path, name);
        let mut conditions = [conditions, &cfg(&import.attributes)].concat();
        let target = if import.is_external {
            Target::Foreign(import.path.clone())
        } else {
            self.library.resolve(module, &import.path, Follow::All)?
        };
        match target {
            Target::Foreign(from) => {
                self.entries.push(Entry { path, what: What::Same(from), conditions });
            }
            Target::Own { module, rest } => {
                conditions.extend(self.module_conditions(module));
                match rest.as_slice() {
                    [] => self.add_module(module, &path, &conditions)?,
                    [item] => self.add(module, item, path, conditions),
                    variant => {
                        let module = self.library.modules[module].path.as_slice();
                        let from = [&["crate".to_owned()], module, variant].concat();
                        self.entries.push(Entry { path, what: What::Same(from), conditions });
                    }
                }
            }
            Target::Unknown => return Err(format!("{}: there is no such item", path.join("::"))),
        }
        Ok(())
    }

    fn add(&mut self, module: usize, item: &str, path: Vec<String>, conditions: Vec<Attribute>) {
        let key = (module, item.to_owned());
        if let Some(first) = self.paths.get(&key) {
            let what = What::Same([&["crate".to_owned()], first.as_slice()].concat());
            self.entries.push(Entry { path, what, conditions });
            return;
        }
        self.paths.insert(key, path.clone());
        let is_it = |found: &&Item| {
            !matches!(found, Item::Mod(_)) && name(found).is_some_and(|name| name == item)
        };
        let found: Vec<_> = self.library.modules[module].items.iter().filter(is_it).collect();
        if found.is_empty() {
            self.entries.push(Entry { path, what: What::Made { module }, conditions });
            return;
        }
        for item in found {
            let (path, conditions) = (path.clone(), conditions.clone());
            self.entries.push(Entry { path, what: What::Item { module, item }, conditions });
        }
    }

    fn add_exported_macros(&mut self) {
        let library = self.library;
        for (module, item) in all_items(library) {
            let is_exported = |a: &Attribute| a.path().is_ident("macro_export");
            if let (Item::Macro(definition), Some(name)) = (item, name(item))
                && definition.attrs.iter().any(is_exported)
            {
                let (what, conditions) = (What::Item { module, item }, Vec::new());
                self.entries.push(Entry { path: vec![name], what, conditions });
            }
        }
    }

    /// Collects the `cfg` of a module and of those around it.
    pub(super) fn module_conditions(&self, mut module: usize) -> Vec<Attribute> {
        let mut conditions = Vec::new();
        while let Some(parent) = self.library.modules[module].parent {
            let declaration = self.library.modules[module].declaration.iter();
            conditions.extend(declaration.flat_map(|declaration| cfg(&declaration.attrs)));
            module = parent;
        }
        conditions
    }
}

/// Iterates over every item of every module.
pub(super) fn all_items(library: &Library) -> impl Iterator<Item = (usize, &Item)> {
    let modules = library.modules.iter().enumerate();
    modules.flat_map(|(index, module)| module.items.iter().map(move |item| (index, item)))
}

/// Returns the `cfg` among attributes.
pub(super) fn cfg(attributes: &[Attribute]) -> Vec<Attribute> {
    attributes.iter().filter(|attribute| attribute.path().is_ident("cfg")).cloned().collect()
}

/// Returns the `cfg` of an item.
pub(super) fn cfg_of(item: &Item) -> Vec<Attribute> {
    cfg(attributes(item))
}

fn join(path: &[String], name: &str) -> Vec<String> {
    [path, &[name.to_owned()]].concat()
}
