//! Rows are found by their key, and what is not sent is not written.

use super::*;

/// The message about a table with a key `k` and a column `v`.
fn relation(flags: u8) -> Vec<u8> {
    let columns = [&[0, 2, flags][..], b"k\0", &[0; 8], &[0], b"v\0", &[0; 8]].concat();
    [&b"R\0\0\0\x07public\0t\0d"[..], &columns].concat()
}

/// A row of values: `n` is null, `u` is unchanged, and others are texts.
fn row(values: &str) -> Vec<u8> {
    let mut row = vec![0, u8::try_from(values.len()).unwrap()];
    for value in values.bytes() {
        match value {
            b'n' | b'u' => row.push(value),
            text => row.extend([b't', 0, 0, 0, 1, text]),
        }
    }
    row
}

fn message(kind: &str, parts: &[(&str, &str)]) -> Vec<u8> {
    let mut message = [kind.as_bytes(), b"\0\0\0\x07"].concat();
    for (tag, values) in parts {
        message.extend([tag.as_bytes(), &row(values)].concat());
    }
    message
}

/// The key and the values that an update of a table writes.
type Written = (Vec<String>, Vec<String>);

fn update(flags: u8, parts: &[(&str, &str)]) -> Result<Written, Failure> {
    let mut relations = Relations::default();
    assert!(relations.read(&relation(flags)).unwrap().is_empty());
    let change = relations.read(&message("U", parts))?.remove(0);
    let Kind::Update(key, new) = &change.kind else { panic!() };
    let text = |(name, value): Cell<'_>| format!("{name}={}", value.unwrap_or("null"));
    let key = change.relation.key(key).map(text).collect();
    Ok((key, change.relation.values(new).map(text).collect()))
}

#[test]
fn a_row_is_found_by_its_old_key_and_what_is_unchanged_is_left_alone() {
    let written = |key: &[&str], values: &[&str]| {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        (texts(key), texts(values))
    };
    let found = update(1, &[("N", "1a")]).unwrap();
    assert_eq!(found, written(&["k=1"], &["k=1", "v=a"]));
    let found = update(1, &[("N", "1n")]).unwrap();
    assert_eq!(found, written(&["k=1"], &["k=1", "v=null"]));
    let found = update(1, &[("N", "1u")]).unwrap();
    assert_eq!(found, written(&["k=1"], &["k=1"]));
    let found = update(1, &[("K", "1n"), ("N", "2a")]).unwrap();
    assert_eq!(found, written(&["k=1"], &["k=2", "v=a"]));
}

#[test]
fn a_change_of_a_row_without_its_whole_key_is_refused() {
    let refused = update(0, &[("N", "1a")]);
    assert!(matches!(&refused, Err(Failure::NoKey { table }) if table == "t"), "{refused:?}");
    let refused = update(1, &[("N", "ua")]);
    assert!(matches!(refused, Err(Failure::NoKey { .. })), "{refused:?}");
    let refused = update(1, &[("N", "1")]);
    assert!(matches!(refused, Err(Failure::OtherColumns { .. })), "{refused:?}");
}
