//! Rows are found by their key, and what is not sent is not written.

use super::*;

/// The message about a table with a key `k` and a column `v`.
pub(crate) fn relation(flags: u8) -> Vec<u8> {
    let columns = [&[0, 2, flags][..], b"k\0", &[0; 8], &[0], b"v\0", &[0; 8]].concat();
    [&b"R\0\0\0\x07public\0t\0d"[..], &columns].concat()
}

/// A copy of that table.
pub(crate) fn described() -> Copied {
    copied(1)
}

fn copied(flags: u8) -> Copied {
    let Ok(Message::Relation(relation)) = Message::decode(&relation(flags)) else { panic!() };
    Copied::from([(relation.table, describe(&relation.columns))])
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

pub(crate) fn message(kind: &str, parts: &[(&str, &str)]) -> Vec<u8> {
    let mut message = [kind.as_bytes(), b"\0\0\0\x07"].concat();
    for (tag, values) in parts {
        message.extend([tag.as_bytes(), &row(values)].concat());
    }
    message
}

/// The key and the values that an update of a table writes.
type Written = (Vec<String>, Vec<String>);

fn update(flags: u8, parts: &[(&str, &str)]) -> Result<Written, Failure> {
    let mut relations = Relations::new(copied(flags));
    assert!(relations.read(&relation(flags)).unwrap().is_empty());
    let mut changes = relations.read(&message("U", parts))?;
    if changes.is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    let change = changes.remove(0);
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
    let found = update(1, &[("K", "1n"), ("N", "uu")]).unwrap();
    assert_eq!(found, written(&[], &[]));
}

#[test]
fn a_table_that_is_not_as_it_was_copied_is_refused() {
    let refused = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut altered = relation(1);
        change(&mut altered);
        Relations::new(described()).read(&altered).map(|changes| changes.len())
    };
    assert!(matches!(refused(&|_| ()), Ok(0)));
    let end = relation(1).len();
    // The last bytes are those of the last column: its name, its type and its modifier.
    for at in [end - 10, end - 5, end - 1] {
        let refused = refused(&|message| message[at] += 1);
        assert!(matches!(&refused, Err(Failure::Altered { table }) if table == "t"), "{refused:?}");
    }
    let mut unknown = Relations::new(Copied::new());
    let refused = unknown.read(&relation(1));
    assert!(matches!(refused, Err(Failure::Altered { .. })), "{refused:?}");
}

#[test]
fn rows_that_are_not_named_by_the_primary_key_alone_are_refused() {
    let at = b"R\0\0\0\x07public\0t\0".len();
    for identity in *b"fni" {
        let mut message = relation(1);
        message[at] = identity;
        let refused = Relations::new(described()).read(&message);
        assert!(matches!(refused, Err(Failure::ReplicaIdentity { .. })), "{refused:?}");
    }
}

#[test]
fn a_new_row_without_all_of_its_values_is_refused() {
    let mut relations = Relations::new(described());
    relations.read(&relation(1)).unwrap();
    let refused = relations.read(&message("I", &[("N", "1u")]));
    assert!(matches!(refused, Err(Failure::PartOfRow { .. })), "{refused:?}");
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
