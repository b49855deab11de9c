//! Finds paths in tokens that are not parsed: arguments of macros and of attributes.

use proc_macro2::{Span, TokenStream, TokenTree};

use crate::source::is_keyword;

/// Calls `found` for everything that may be a path: names joined by `::`, also a name alone, and in
/// groups, as in `crate::{a, b}`.
pub(super) fn scan(tokens: TokenStream, found: &mut dyn FnMut(Vec<String>, Span)) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at] {
            // A cast, or another name for what is imported.
            TokenTree::Ident(word) if word == "as" => at += usize::from(!stays(&tokens, at + 1)),
            TokenTree::Ident(first) if starts_path(&tokens, at) => {
                let (path, end) = path(&tokens, at);
                let group = group_after(&tokens, end);
                at = end + if group.is_some() { 3 } else { 0 };
                match group {
                    Some(group) => scan(group, &mut |inner, span| {
                        let inner = inner.into_iter().filter(|name| name != "self");
                        found(path.iter().cloned().chain(inner).collect(), span);
                    }),
                    None => found(path, first.span()),
                }
                continue;
            }
            TokenTree::Group(group) if !is_visibility(&tokens, at) => scan(group.stream(), found),
            _ => {}
        }
        at += 1;
    }
}

/// Calls `found` for each string that is a path from `crate`, `self` or `super`.
pub(super) fn scan_strings(tokens: TokenStream, found: &mut dyn FnMut(Vec<String>, Span)) {
    for token in tokens {
        match token {
            TokenTree::Group(group) => scan_strings(group.stream(), found),
            TokenTree::Literal(literal) => string(&literal, found),
            _ => {}
        }
    }
}

/// Whether a path from `crate`, `self` or `super` begins here.
fn stays(tokens: &[TokenTree], at: usize) -> bool {
    tokens.get(at).is_some_and(|token| is_keyword(&token.to_string()))
}

/// Whether a path may begin here: not a member after a dot, nor the rest of a path.
fn starts_path(tokens: &[TokenTree], at: usize) -> bool {
    let before =
        |back: usize, wanted| at.checked_sub(back).is_some_and(|i| is_punct(&tokens[i], wanted));
    let is_member = before(1, '.') && !before(2, '.');
    let is_rest = before(1, ':') && before(2, ':');
    !(is_member || is_rest)
}

fn is_punct(token: &TokenTree, wanted: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == wanted)
}

fn has_colons(tokens: &[TokenTree], at: usize) -> bool {
    tokens.get(at..at + 2).is_some_and(|two| two.iter().all(|token| is_punct(token, ':')))
}

/// Reads the names of a path from `at` on, and where they end.
fn path(tokens: &[TokenTree], mut at: usize) -> (Vec<String>, usize) {
    let mut path = Vec::new();
    while let Some(TokenTree::Ident(name)) = tokens.get(at) {
        path.push(name.to_string());
        at += 1;
        if !has_colons(tokens, at) || !matches!(tokens.get(at + 2), Some(TokenTree::Ident(_))) {
            break;
        }
        at += 2;
    }
    (path, at)
}

/// The braces after a path of a `use`.
fn group_after(tokens: &[TokenTree], end: usize) -> Option<TokenStream> {
    match tokens.get(end + 2) {
        Some(TokenTree::Group(group)) if has_colons(tokens, end) => Some(group.stream()),
        _ => None,
    }
}

/// `(crate)` or `(in crate::a)` after `pub`.
fn is_visibility(tokens: &[TokenTree], at: usize) -> bool {
    let follows_pub = at.checked_sub(1).is_some_and(|i| tokens[i].to_string() == "pub");
    let TokenTree::Group(group) = &tokens[at] else { return false };
    let first = group.stream().into_iter().next().map(|token| token.to_string());
    follows_pub && first.is_some_and(|first| first == "in" || is_keyword(&first))
}

fn string(literal: &proc_macro2::Literal, found: &mut dyn FnMut(Vec<String>, Span)) {
    let Ok(string) = syn::parse2::<syn::LitStr>(TokenTree::from(literal.clone()).into()) else {
        return;
    };
    let Ok(path) = syn::parse_str::<syn::Path>(&string.value()) else { return };
    let path: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
    if path.len() > 1 && is_keyword(&path[0]) {
        found(path, literal.span());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(source: &str) -> Vec<String> {
        let mut all = Vec::new();
        scan(source.parse().unwrap(), &mut |path, _| all.push(path.join("::")));
        all
    }

    #[test]
    fn paths_are_told_from_members_and_visibility() {
        assert_eq!(found("x.a.b(crate::a::f(0..c))"), ["x", "crate::a::f", "c"]);
        assert_eq!(found("pub(in crate::a) fn"), ["pub", "fn"]);
        assert_eq!(found("pub(crate) fn(crate::a)"), ["pub", "fn", "crate::a"]);
        assert_eq!(found("$crate::a::$b; ::std::x"), ["crate::a", "b"]);
        assert_eq!(found("for x in (in_a::b)"), ["for", "x", "in", "in_a::b"]);
    }

    #[test]
    fn groups_of_a_use_and_generic_arguments_are_followed() {
        let expected = ["use", "crate::a", "crate::a::B", "crate::c::d", "x"];
        assert_eq!(found("use crate::{a::{self, B}, c::d as e}; x as u8"), expected);
        assert_eq!(found("crate::a::*"), ["crate::a"]);
        assert_eq!(found("crate::a::<crate::b::X>::f"), ["crate::a", "crate::b::X"]);
        assert_eq!(found("x as crate::a::X"), ["x", "crate::a::X"]);
    }

    #[test]
    fn strings_that_are_paths_within_the_crate_are_found() {
        let mut all = Vec::new();
        let tokens =
            "with = \"crate::a\", (x = \"super::b::c\", \"std::x\", \"crate\", \"not a path\")";
        scan_strings(tokens.parse().unwrap(), &mut |path, _| all.push(path.join("::")));
        assert_eq!(all, ["crate::a", "super::b::c"]);
    }
}
