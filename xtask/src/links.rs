//! Checks the links of the docs: to files, headings and tests.

use std::fs;
use std::path::{Path, PathBuf};

use crate::command::{Done, root};

/// Checks every relative link of every page.
pub(crate) fn check() -> Done {
    let mut broken = Vec::new();
    for page in pages()? {
        for link in links(&fs::read_to_string(&page)?) {
            if let Some(why) = is_broken(&page, &link) {
                broken.push(format!("{}: {}: {why}", page.display(), link.target));
            }
        }
    }
    if broken.is_empty() { Ok(()) } else { Err(broken.join("; ").into()) }
}

fn pages() -> Result<Vec<PathBuf>, std::io::Error> {
    let mut pages = vec![root().join("README.md"), root().join("CHANGELOG.md")];
    for folder in ["docs", "examples/sqlite-follower"] {
        for entry in fs::read_dir(root().join(folder))? {
            pages.push(entry?.path());
        }
    }
    pages.retain(|page| page.extension().is_some_and(|e| e == "md"));
    Ok(pages)
}

struct Link {
    text: String,
    target: String,
}

/// Finds every `[text](target)` that does not lead to the web.
fn links(page: &str) -> Vec<Link> {
    let before_target = page.match_indices("](");
    let link = |(end, _): (usize, &str)| {
        let start = page[..end].rfind('[')? + 1;
        let target = page[end + 2..].split(')').next()?;
        let (text, target) = (page[start..end].to_owned(), target.to_owned());
        (!target.contains("://")).then_some(Link { text, target })
    };
    before_target.filter_map(link).collect()
}

fn is_broken(page: &Path, link: &Link) -> Option<String> {
    let (file, heading) = link.target.split_once('#').unwrap_or((&link.target, ""));
    let file = if file.is_empty() { page.to_owned() } else { page.with_file_name(file) };
    if !file.exists() {
        return Some("there is no such file".to_owned());
    }
    if file.is_dir() {
        return None;
    }
    let contents = fs::read_to_string(&file).unwrap_or_default();
    if !heading.is_empty() && !headings(&contents).any(|h| h == heading) {
        return Some("the page has no such heading".to_owned());
    }
    let test = link.text.trim_matches('`');
    let names_a_test = file.extension().is_some_and(|e| e == "rs");
    (names_a_test && !has_test(&contents, test)).then(|| format!("the file has no test {test}"))
}

/// Whether a function of this name is a test that is not ignored.
fn has_test(source: &str, name: &str) -> bool {
    let Some(at) = source.find(&format!("fn {name}(")) else { return false };
    let is_attribute = |line: &&str| line.trim_start().starts_with(['#', '/']);
    let line = source[..at].rfind('\n').unwrap_or(0);
    let attributes = source[..line].lines().rev().take_while(is_attribute);
    let attributes: Vec<&str> = attributes.map(str::trim).collect();
    attributes.contains(&"#[test]") && !attributes.iter().any(|a| a.starts_with("#[ignore"))
}

/// Lists the headings of a page, as links name them.
fn headings(page: &str) -> impl Iterator<Item = String> + '_ {
    let heading = |line: &str| line.trim_start_matches('#').trim().to_lowercase();
    page.lines().filter(|line| line.starts_with('#')).map(heading).map(|h| h.replace(' ', "-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_to_missing_files_headings_and_tests_are_broken() {
        let page = root().join("README.md");
        let broken = |text: &str, target: &str| {
            is_broken(&page, &Link { text: text.to_owned(), target: target.to_owned() }).is_some()
        };
        assert!(!broken("here", "docs/design.md#limits"));
        assert!(broken("here", "docs/design.md#no-such-heading"));
        assert!(broken("here", "docs/no-such-page.md"));
        assert!(!broken("`a_page_is_searched_for_its_links`", "xtask/src/links.rs"));
        assert!(broken("`check`", "xtask/src/links.rs"));
        assert!(broken("`no_such_test`", "xtask/src/links.rs"));
    }

    #[test]
    fn a_page_is_searched_for_its_links() {
        let found = links("see [a](b.md), [`c`](d.rs) and [the web](https://example.org)");
        let found: Vec<_> = found.iter().map(|l| (l.text.as_str(), l.target.as_str())).collect();
        assert_eq!(found, [("a", "b.md"), ("`c`", "d.rs")]);
    }
}
