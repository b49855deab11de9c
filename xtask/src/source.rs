//! The parsed sources of a crate, found by following `mod` from `lib.rs` or `main.rs`.

mod attributes;
mod imports;
mod resolve;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use syn::Item;

use self::attributes::without_tests;
use crate::command::{Fallible, root};

pub(crate) use self::attributes::{attributes, is_public, name};
pub(crate) use self::imports::{Import, flatten};
pub(crate) use self::resolve::{Follow, Target, is_keyword};

/// The root of a library.
const LIBRARY: &str = "lib.rs";
/// The root of a program.
const PROGRAM: &str = "main.rs";

/// A library or a program, without its tests.
pub(crate) struct Library {
    pub(crate) name: String,
    /// Where its sources are, below the folder of the workspace.
    pub(crate) src: String,
    /// `lib.rs` or `main.rs` comes first, a parent before its children.
    pub(crate) modules: Vec<Module>,
}

/// A module: a file of its own, or inline in that of its parent.
pub(crate) struct Module {
    /// From the crate's root, for which it is empty.
    pub(crate) path: Vec<String>,
    /// The file that holds it, below `src`.
    pub(crate) file: String,
    pub(crate) parent: Option<usize>,
    pub(crate) children: BTreeMap<String, usize>,
    /// Without the contents of inline modules.
    pub(crate) items: Vec<Item>,
    /// Its `use` declarations, one for each name.
    pub(crate) imports: Vec<Import>,
    /// How its parent declares it; `None` for the crate's root.
    pub(crate) declaration: Option<syn::ItemMod>,
}

/// Loads every library crate of the workspace, its dependencies before it.
pub(crate) fn libraries() -> Fallible<Vec<Library>> {
    let mut libraries = crates()?;
    libraries.retain(|library| library.modules.iter().any(|module| module.file == LIBRARY));
    Ok(libraries)
}

/// Loads every library crate and every program in `crates`, its dependencies before it.
pub(crate) fn crates() -> Fallible<Vec<Library>> {
    let mut manifests = Vec::new();
    for entry in fs::read_dir(root().join("crates"))? {
        let entry = entry?;
        let name = entry.file_name().into_string().map_err(|_| "a crate's name is not UTF-8")?;
        manifests.push((name, fs::read_to_string(entry.path().join("Cargo.toml"))?));
    }
    by_dependency(manifests).iter().map(|name| Library::load(&root(), name)).collect()
}

/// Puts crates after those that their manifests name, and otherwise by name.
fn by_dependency(mut manifests: Vec<(String, String)>) -> Vec<String> {
    manifests.sort_unstable();
    let mut ordered = Vec::new();
    while !manifests.is_empty() {
        let needs = |manifest: &str, name: &str| {
            let rest = manifest.lines().filter_map(|line| line.strip_prefix(name));
            rest.into_iter().any(|rest| rest.starts_with(['.', ' ', '=']))
        };
        let is_free = |(_, manifest): &(String, String)| {
            !manifests.iter().any(|(name, _)| needs(manifest, name))
        };
        let next = manifests.iter().position(is_free).unwrap_or(0);
        ordered.push(manifests.remove(next).0);
    }
    ordered
}

impl Library {
    /// Parses `crates/NAME/src` below `workspace`.
    ///
    /// # Errors
    /// A file that is missing or does not parse, `#[path]`, or two modules of one name.
    pub(crate) fn load(workspace: &Path, name: &str) -> Fallible<Self> {
        let src = format!("crates/{name}/src");
        let mut library = Library { name: name.to_owned(), src, modules: Vec::new() };
        let is_there = |root: &&str| workspace.join(&library.src).join(root).exists();
        let root = [LIBRARY, PROGRAM].into_iter().find(is_there).unwrap_or(LIBRARY);
        let items = library.parse(workspace, root)?;
        library.add(workspace, None, root, items)?;
        Ok(library)
    }

    /// Parses a file, and removes what is only for tests.
    fn parse(&self, workspace: &Path, file: &str) -> Fallible<Vec<Item>> {
        let shown = format!("{}/{file}", self.src);
        let source = fs::read_to_string(workspace.join(&shown))
            .map_err(|err| format!("failed to read {shown}: {err}"))?;
        let mut parsed = syn::parse_file(&source)
            .map_err(|err| format!("{shown}:{}: {err}", err.span().start().line))?;
        without_tests(&mut parsed);
        Ok(parsed.items)
    }

    /// Adds a module and those below it.
    fn add(
        &mut self,
        workspace: &Path,
        declared: Option<(usize, syn::ItemMod)>,
        file: &str,
        mut items: Vec<Item>,
    ) -> Fallible<usize> {
        let mut inner = Vec::new();
        for item in &mut items {
            if let Item::Mod(module) = item {
                let content = module.content.take().map(|(_, items)| items);
                inner.push((module.clone(), content));
            }
        }
        let (parent, declaration) = declared.unzip();
        let mut path = parent.map_or(Vec::new(), |parent| self.modules[parent].path.clone());
        path.extend(declaration.as_ref().map(|module| module.ident.to_string()));
        let imports = imports::of(&items);
        let index = self.modules.len();
        let (held_by, children) = (file.to_owned(), BTreeMap::new());
        self.modules.push(Module {
            path,
            file: held_by,
            parent,
            children,
            items,
            imports,
            declaration,
        });
        for (module, content) in inner {
            let name = module.ident.to_string();
            let at = format!("{}/{file}:{}", self.src, module.ident.span().start().line);
            if module.attrs.iter().any(|attribute| attribute.path().is_ident("path")) {
                return Err(format!("{at}: mod {name}: #[path] is not supported").into());
            }
            let (file, content) = match content {
                Some(content) => (file.to_owned(), content),
                None => {
                    self.file_of(workspace, index, &name).map_err(|err| format!("{at}: {err}"))?
                }
            };
            let child = self.add(workspace, Some((index, module)), &file, content)?;
            if self.modules[index].children.insert(name.clone(), child).is_some() {
                return Err(format!("{at}: mod {name} is declared twice").into());
            }
        }
        Ok(index)
    }

    /// Finds and parses the file of a module that is not inline.
    fn file_of(
        &self,
        workspace: &Path,
        parent: usize,
        name: &str,
    ) -> Fallible<(String, Vec<Item>)> {
        let mut path = self.modules[parent].path.clone();
        path.push(name.to_owned());
        let path = path.join("/");
        let files = [format!("{path}.rs"), format!("{path}/mod.rs")];
        let is_there =
            |file: &&String| PathBuf::from(workspace).join(&self.src).join(file).exists();
        let Some(file) = files.iter().find(is_there) else {
            return Err(
                format!("mod {name}: there is neither {} nor {}", files[0], files[1]).into()
            );
        };
        Ok((file.clone(), self.parse(workspace, file)?))
    }

    /// `FILE:LINE` below the folder of the workspace.
    pub(crate) fn at(&self, module: usize, line: usize) -> String {
        format!("{}/{}:{line}", self.src, self.modules[module].file)
    }

    /// Whether `inner` is `outer` or lies in it.
    pub(crate) fn is_within(&self, inner: usize, outer: usize) -> bool {
        self.modules[inner].path.starts_with(&self.modules[outer].path)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A crate `planted` with these files below its `src`.
    pub(crate) fn planted(files: &[(&str, &str)]) -> Result<Library, String> {
        let dir = tempfile::tempdir().unwrap();
        for (file, source) in files {
            let path = dir.path().join("crates/planted/src").join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, source).unwrap();
        }
        Library::load(dir.path(), "planted").map_err(|err| err.to_string())
    }

    fn files(library: &Library) -> Vec<&str> {
        library.modules.iter().map(|module| module.file.as_str()).collect()
    }

    #[test]
    fn crates_come_after_those_that_they_depend_on() {
        let manifest = |name: &str, text: &str| (name.to_owned(), text.to_owned());
        let manifests = vec![
            manifest("a", "name = \"a\"\n[dependencies]\nb-c = { workspace = true }"),
            manifest("b", "b-core = \"1\""),
            manifest("b-c", "b.workspace = true"),
        ];
        assert_eq!(by_dependency(manifests), ["b", "b-c", "a"]);
    }

    #[test]
    fn modules_are_found_in_files_folders_and_inline() {
        let library = planted(&[
            ("lib.rs", "mod a;\nmod b { mod inner; }\nmod c;"),
            ("a.rs", "mod below;"),
            ("a/below.rs", ""),
            ("b/inner.rs", ""),
            ("c/mod.rs", ""),
        ])
        .unwrap();
        let expected = ["lib.rs", "a.rs", "a/below.rs", "lib.rs", "b/inner.rs", "c/mod.rs"];
        assert_eq!(files(&library), expected);
        assert_eq!(library.modules[4].path, ["b", "inner"]);
        assert!(library.is_within(4, 3) && !library.is_within(3, 4) && library.is_within(4, 0));
    }

    #[test]
    fn modules_for_tests_are_left_out() {
        let library = planted(&[
            (
                "lib.rs",
                "#[cfg(test)] mod tests;\n#[cfg(all(unix, test))] mod more {}\n\
                 #[cfg(not(test))] mod a;\n#[cfg(any(test, unix))] mod b {}",
            ),
            ("a.rs", "#[cfg(test)] mod tests { mod missing; }"),
        ])
        .unwrap();
        assert_eq!(files(&library), ["lib.rs", "a.rs", "lib.rs"]);
    }

    #[test]
    fn what_cannot_be_followed_is_an_error_with_its_line() {
        let error = |source| planted(&[("lib.rs", source)]).err().unwrap();
        let start = "crates/planted/src/lib.rs";
        assert_eq!(
            error("\nmod a;"),
            format!("{start}:2: mod a: there is neither a.rs nor a/mod.rs")
        );
        assert!(error("#[path = \"x.rs\"] mod a;").starts_with(&format!("{start}:1: mod a: ")));
        assert!(error("mod a {}\nmod a {}").starts_with(&format!("{start}:2: mod a is declared")));
        assert!(error("\n\nfn (").starts_with(&format!("{start}:3: ")));
    }
}
