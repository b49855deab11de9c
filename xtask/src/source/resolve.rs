//! Resolves paths to modules and items.

use super::{Library, Module, name};

/// What a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// A module of this crate and, unless `rest` is empty, something in it.
    Own { module: usize, rest: Vec<String> },
    /// Something of another crate, by its path there.
    Foreign(Vec<String>),
    /// Neither a module, nor imported, nor an item here: generic, local, or of the prelude.
    Unknown,
}

/// Whether names that a module imports are followed to where they are defined.
#[derive(Clone, Copy)]
pub(crate) enum Follow {
    /// Always.
    All,
    /// Only by modules around the path. A path through another module names that module, even where
    /// that only imports the name.
    Around,
}

/// Imports of imports beyond this are taken for a circle, as in `use a::{self}`.
const DEEPEST: u32 = 32;

impl Library {
    /// Resolves a path that is written in module `from`.
    ///
    /// # Errors
    /// A path from `crate`, `self` or `super` to something that `lib.rs` does not have. Whether
    /// another module has what is named is left to the compiler.
    pub(crate) fn resolve(
        &self,
        from: usize,
        path: &[String],
        follow: Follow,
    ) -> Result<Target, String> {
        let resolver = Resolver { library: self, from, follow };
        let found = resolver.path(from, path, 0)?;
        if let Target::Own { module: 0, rest } = &found
            && let Some(first) = rest.first()
            && is_keyword(&path[0])
            && !self.modules[0].defines(first)
        {
            return Err(format!("{}: lib.rs has no {first}", path.join("::")));
        }
        Ok(found)
    }
}

/// Whether a path that begins with this stays in its crate.
pub(crate) fn is_keyword(first: &str) -> bool {
    ["crate", "self", "super"].contains(&first)
}

impl Module {
    /// Whether an item or child module of that name is written here.
    fn defines(&self, wanted: &str) -> bool {
        self.items.iter().any(|item| name(item).is_some_and(|name| name == wanted))
    }

    fn imports(&self, wanted: &str) -> bool {
        self.imports.iter().any(|import| import.name.as_deref() == Some(wanted))
    }
}

struct Resolver<'a> {
    library: &'a Library,
    /// Where the path is written.
    from: usize,
    follow: Follow,
}

type Found = Result<Target, String>;

impl Resolver<'_> {
    fn path(&self, from: usize, path: &[String], depth: u32) -> Found {
        if depth > DEEPEST {
            return Ok(Target::Foreign(path.to_vec()));
        }
        let (mut module, mut rest) = match path.first().map(String::as_str) {
            Some("crate") => (0, &path[1..]),
            Some("self") => (from, &path[1..]),
            Some("super") | None => (from, path),
            Some(_) => return self.bare(from, path, depth),
        };
        while rest.first().is_some_and(|segment| segment == "super") {
            let parent = self.library.modules[module].parent;
            module = parent.ok_or_else(|| format!("{}: lib.rs has no parent", path.join("::")))?;
            rest = &rest[1..];
        }
        self.within(module, rest, depth)
    }

    /// Resolves a path whose first name is a crate unless `from` knows it.
    fn bare(&self, from: usize, path: &[String], depth: u32) -> Found {
        let module = &self.library.modules[from];
        if module.defines(&path[0]) || module.imports(&path[0]) {
            return self.within(from, path, depth + 1);
        }
        if let Some(found) = self.through_globs(from, path, depth)? {
            return Ok(found);
        }
        // A name alone is a crate's only in a `use`.
        let is_crate = path.len() > 1 || depth > 0;
        Ok(if is_crate { Target::Foreign(path.to_vec()) } else { Target::Unknown })
    }

    /// Resolves a path from a module on.
    fn within(&self, mut module: usize, mut rest: &[String], depth: u32) -> Found {
        let modules = &self.library.modules;
        while let Some(child) = rest.first().and_then(|name| modules[module].children.get(name)) {
            module = *child;
            rest = &rest[1..];
        }
        let here = Target::Own { module, rest: rest.to_vec() };
        let Some(first) = rest.first() else { return Ok(here) };
        if !self.follows(module) || modules[module].defines(first) {
            return Ok(here);
        }
        let mut imports = modules[module].imports.iter();
        if let Some(import) = imports.find(|import| import.name.as_ref() == Some(first)) {
            let path = [&import.path, &rest[1..]].concat();
            let external = import.is_external.then(|| Target::Foreign(path.clone()));
            return external.map_or_else(|| self.path(module, &path, depth + 1), Ok);
        }
        Ok(self.through_globs(module, rest, depth)?.unwrap_or(here))
    }

    /// Resolves a path whose first name may come from a glob of the module.
    fn through_globs(
        &self,
        module: usize,
        rest: &[String],
        depth: u32,
    ) -> Result<Option<Target>, String> {
        let modules = &self.library.modules;
        let is_glob = |import: &&super::Import| import.name.is_none() && !import.is_external;
        for glob in modules[module].imports.iter().filter(is_glob) {
            let found = self.path(module, &glob.path, depth + 1)?;
            let Target::Own { module: seen, rest: of_item } = found else { continue };
            let has = modules[seen].defines(&rest[0]) || modules[seen].imports(&rest[0]);
            if of_item.is_empty() && seen != module && has {
                return self.within(seen, rest, depth + 1).map(Some);
            }
        }
        Ok(None)
    }

    fn follows(&self, module: usize) -> bool {
        match self.follow {
            Follow::All => true,
            Follow::Around => self.library.is_within(self.from, module),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::planted;
    use super::*;

    /// What a path in `a.rs` names, in words.
    fn found(path: &str) -> String {
        let library = planted(&[
            ("lib.rs", "mod a; mod b; mod d; pub use b::c::Deep; pub struct Here;"),
            (
                "a.rs",
                "use std::fmt::{self, Debug as D}; use ::x::Y; use serde::{self}; use super::b::*;
                 use crate::b::c as other; struct Local; use std::sync::Arc;",
            ),
            ("b.rs", "pub(crate) mod c; pub(crate) use self::c::Deep as Renamed; struct InB;"),
            ("b/c.rs", "pub struct Deep;"),
            ("d.rs", "pub(crate) use crate::b::*;"),
        ])
        .unwrap();
        let path: Vec<String> = path.split("::").map(str::to_owned).collect();
        match library.resolve(1, &path, Follow::All) {
            Ok(Target::Own { module, rest }) => {
                format!("{}: {}", library.modules[module].file, rest.join("::"))
            }
            Ok(Target::Foreign(path)) => format!("foreign: {}", path.join("::")),
            Ok(Target::Unknown) => "unknown".to_owned(),
            Err(error) => error,
        }
    }

    #[test]
    fn names_are_followed_to_where_they_are_defined() {
        assert_eq!(found("Local::f"), "a.rs: Local::f");
        assert_eq!(found("crate::Deep"), "b/c.rs: Deep");
        assert_eq!(found("super::b::Renamed"), "b/c.rs: Deep");
        assert_eq!(found("other::Deep"), "b/c.rs: Deep");
        assert_eq!(found("other"), "b/c.rs: ");
        // Through globs.
        assert_eq!(found("Renamed::X"), "b/c.rs: Deep::X");
        assert_eq!(found("InB"), "b.rs: InB");
        assert_eq!(found("crate::d::Renamed"), "b/c.rs: Deep");
        assert_eq!(found("crate::Here"), "lib.rs: Here");
    }

    #[test]
    fn names_of_other_crates_have_their_path_there() {
        assert_eq!(found("fmt::Debug"), "foreign: std::fmt::Debug");
        assert_eq!(found("D"), "foreign: std::fmt::Debug");
        assert_eq!(found("Y"), "foreign: x::Y");
        assert_eq!(found("serde::Serialize"), "foreign: serde::Serialize");
        assert_eq!(found("std::io::Error"), "foreign: std::io::Error");
    }

    #[test]
    fn other_names_are_unknown_or_an_error() {
        assert_eq!(found("T"), "unknown");
        assert_eq!(found("crate::Nothing"), "crate::Nothing: lib.rs has no Nothing");
        assert_eq!(found("super::super::X"), "super::super::X: lib.rs has no parent");
    }
}
