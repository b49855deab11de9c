//! Checks the links of the docs: to files, headings and tests.

use std::fs;
use std::path::{Path, PathBuf};

use crate::command::{Done, root};

/// Checks every relative link of every page.
pub(crate) fn check() -> Done {
    let mut broken = Vec::new();
    for page in pages()? {
        for link in links(&without_code(&fs::read_to_string(&page)?)) {
            if let Some(why) = is_broken(&page, &link) {
                broken.push(format!("{}: {}: {why}", page.display(), link.target));
            }
        }
    }
    if broken.is_empty() { Ok(()) } else { Err(broken.join("; ").into()) }
}

/// Lists every page: at the top, in docs, and in the folder of each crate and each example.
fn pages() -> Result<Vec<PathBuf>, std::io::Error> {
    let mut folders = vec![root(), root().join("docs")];
    for folder in ["crates", "examples"] {
        folders.extend(entries(&root().join(folder))?.into_iter().filter(|entry| entry.is_dir()));
    }
    let mut pages = Vec::new();
    for folder in folders {
        pages.extend(entries(&folder)?.into_iter().filter(|page| has_extension(page, "md")));
    }
    Ok(pages)
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, std::io::Error> {
    fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect()
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found == extension)
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
    if !heading.is_empty() && !headings(&without_code(&contents)).any(|h| h == heading) {
        return Some("the page has no such heading".to_owned());
    }
    let text = link.text.trim_matches('`');
    let names_a_test = has_extension(&file, "rs") && !has_extension(Path::new(text), "rs");
    (names_a_test && !has_test(&contents, text)).then(|| format!("the file has no test {text}"))
}

/// Whether a function of this name is a test that is not ignored.
fn has_test(source: &str, name: &str) -> bool {
    let Some(at) = source.find(&format!("fn {name}(")) else { return false };
    let is_attribute = |line: &&str| line.trim_start().starts_with(['#', '/']);
    let line = source[..at].rfind('\n').unwrap_or(0);
    let attributes = source[..line].lines().rev().take_while(is_attribute);
    let attributes: Vec<&str> = attributes.map(str::trim).collect();
    let is_test = |line: &&str| *line == "#[test]" || line.starts_with("#[tokio::test");
    attributes.iter().any(is_test) && !attributes.iter().any(|a| a.starts_with("#[ignore"))
}

/// Leaves out the lines of code blocks: what is in them is neither a link nor a heading.
fn without_code(page: &str) -> String {
    let mut in_code = false;
    let is_text = |line: &&str| {
        let is_fence = line.trim_start().starts_with("```");
        in_code ^= is_fence;
        !in_code && !is_fence
    };
    page.lines().filter(is_text).flat_map(|line| [line, "\n"]).collect()
}

/// Lists the headings of a page, as links name them: in lower case, without punctuation.
fn headings(page: &str) -> impl Iterator<Item = String> + '_ {
    let anchor = |c: char| match c {
        ' ' => Some('-'),
        _ => (c.is_alphanumeric() || matches!(c, '-' | '_')).then_some(c),
    };
    page.lines().filter(|line| line.starts_with('#')).map(move |line| {
        line.trim_start_matches('#').trim().to_lowercase().chars().filter_map(anchor).collect()
    })
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
        assert!(!broken("`xtask/src/links.rs`", "xtask/src/links.rs"));
    }

    #[test]
    fn a_test_is_one_that_runs() {
        let source = "#[test]\nfn a() {}\n#[tokio::test(flavor = \"multi_thread\")]\n\
                      async fn b() {}\n#[test]\n#[ignore]\nfn c() {}\n#[inline]\nfn d() {}\n";
        let found = ["a", "b", "c", "d"].map(|name| has_test(source, name));
        assert_eq!(found, [true, true, false, false]);
    }

    #[test]
    fn a_page_is_searched_for_its_links() {
        let found = links("see [a](b.md), [`c`](d.rs) and [the web](https://example.org)");
        let found: Vec<_> = found.iter().map(|l| (l.text.as_str(), l.target.as_str())).collect();
        assert_eq!(found, [("a", "b.md"), ("`c`", "d.rs")]);
    }

    #[test]
    fn the_pages_of_the_top_the_docs_each_crate_and_each_example_are_checked() {
        let pages = pages().unwrap();
        for page in [
            "README.md",
            "CONTRIBUTING.md",
            "docs/guarantees.md",
            "crates/repl-core/README.md",
            "examples/sqlite-follower/README.md",
        ] {
            assert!(pages.contains(&root().join(page)), "{page}");
        }
    }

    #[test]
    fn a_code_block_holds_neither_links_nor_headings() {
        let page = without_code("# A\n```rust\n# hidden\nlet a = b[0](c);\n```\n[d](e.md)\n");
        assert_eq!(headings(&page).collect::<Vec<_>>(), ["a"]);
        assert_eq!(links(&page).iter().map(|l| l.target.as_str()).collect::<Vec<_>>(), ["e.md"]);
    }

    #[test]
    fn a_heading_is_named_without_its_punctuation() {
        let page = "## Does `recover` refuse, and why?\n### one-two 3\n";
        assert_eq!(
            headings(page).collect::<Vec<_>>(),
            ["does-recover-refuse-and-why", "one-two-3"]
        );
    }
}
