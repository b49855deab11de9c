//! The difference of two texts, line by line.

use std::fmt::Write as _;

/// Unchanged lines that are shown before and after each change.
const CONTEXT: usize = 3;

#[derive(Clone, Copy, PartialEq)]
enum Line<'a> {
    Both(&'a str),
    Old(&'a str),
    New(&'a str),
}

/// Returns the lines that differ, marked `-` and `+`, with those around them; empty if none does.
pub(super) fn diff(old: &str, new: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let lines = merged(&old, &new);
    let is_change = |line: &Line<'_>| !matches!(line, Line::Both(_));
    let is_shown = |at: usize| {
        let start = at.saturating_sub(CONTEXT);
        lines[start..lines.len().min(at + CONTEXT + 1)].iter().any(is_change)
    };
    let mut out = String::new();
    let (mut number, mut last) = (0, None);
    for (at, line) in lines.iter().enumerate() {
        number += usize::from(!matches!(line, Line::New(_)));
        if !is_shown(at) {
            continue;
        }
        if last.is_none_or(|last| last + 1 != at) {
            let _ = writeln!(out, "@@ line {} @@", number.max(1));
        }
        last = Some(at);
        let _ = match line {
            Line::Both(text) => writeln!(out, "  {text}"),
            Line::Old(text) => writeln!(out, "- {text}"),
            Line::New(text) => writeln!(out, "+ {text}"),
        };
    }
    out
}

/// Merges the lines of both, with as many common ones as possible.
fn merged<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<Line<'a>> {
    // The number of common lines of the rests from each pair of lines on.
    let mut common = vec![vec![0_u32; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            common[i][j] = if old[i] == new[j] {
                common[i + 1][j + 1] + 1
            } else {
                common[i + 1][j].max(common[i][j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut lines = Vec::new();
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            lines.push(Line::Both(old[i]));
            (i, j) = (i + 1, j + 1);
        } else if i < old.len() && (j == new.len() || common[i + 1][j] >= common[i][j + 1]) {
            lines.push(Line::Old(old[i]));
            i += 1;
        } else {
            lines.push(Line::New(new[j]));
            j += 1;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_lines_are_shown_with_what_is_around_them() {
        let old: Vec<String> = (1..=20).map(|i| i.to_string()).collect();
        let mut new = old.clone();
        new[1] = "two".to_owned();
        new.remove(14);
        new.push("21".to_owned());
        let expected = "@@ line 1 @@\n  1\n- 2\n+ two\n  3\n  4\n  5\n\
                        @@ line 12 @@\n  12\n  13\n  14\n- 15\n  16\n  17\n  18\n  19\n  20\n\
                        + 21\n";
        assert_eq!(diff(&old.join("\n"), &new.join("\n")), expected);
    }

    #[test]
    fn equal_texts_have_no_difference_and_an_empty_one_lacks_all() {
        assert_eq!(diff("a\nb\n", "a\nb\n"), "");
        assert_eq!(diff("", "a\nb"), "@@ line 1 @@\n+ a\n+ b\n");
    }
}
