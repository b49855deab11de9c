//! Every message of the protocol is decoded; any other bytes are an error.

use proptest::prelude::*;

use super::*;

/// A message of its parts.
fn message(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

const ID: &[u8] = &[0, 0, 0, 7];

/// One value, `x`.
const X: &[u8] = &[0, 1, b't', 0, 0, 0, 1, b'x'];

fn x() -> Tuple {
    vec![Value::Text("x".to_owned())]
}

/// Every message, and its bytes.
fn messages() -> Vec<(Message, Vec<u8>)> {
    let column =
        |name: &str, is_key| Column { name: name.to_owned(), is_key, type_id: 25, modifier: -1 };
    let columns = vec![column("id", true), column("v", false)];
    let relation = Relation { id: 7, table: "t".to_owned(), identity: b'd', columns };
    let types = [0, 0, 0, 25, 255, 255, 255, 255];
    let named = b"public\0t\0d\0\x02\x01id\0";
    let mixed = vec![Value::Null, Value::Unchanged, Value::Text(String::new())];
    vec![
        (Message::Relation(relation), message(&[b"R", ID, named, &types, b"\0v\0", &types])),
        (Message::Insert { relation: 7, new: x() }, message(&[b"I", ID, b"N", X])),
        (
            Message::Insert { relation: 7, new: mixed },
            message(&[b"I", ID, b"N", &[0, 3, b'n', b'u', b't', 0, 0, 0, 0]]),
        ),
        (Message::Update { relation: 7, old: None, new: x() }, message(&[b"U", ID, b"N", X])),
        (
            Message::Update { relation: 7, old: Some(x()), new: x() },
            message(&[b"U", ID, b"K", X, b"N", X]),
        ),
        (
            Message::Update { relation: 7, old: Some(x()), new: x() },
            message(&[b"U", ID, b"O", X, b"N", X]),
        ),
        (Message::Delete { relation: 7, old: x() }, message(&[b"D", ID, b"K", X])),
        (
            Message::Truncate { relations: vec![7, 8] },
            message(&[b"T", &[0, 0, 0, 2, 1], ID, &[0, 0, 0, 8]]),
        ),
    ]
}

#[test]
fn each_message_is_decoded_and_one_that_is_cut_off_or_goes_on_is_refused() {
    for (expected, bytes) in messages() {
        assert_eq!(Message::decode(&bytes), Ok(expected));
        for end in 0..bytes.len() {
            assert_eq!(Message::decode(&bytes[..end]), Err(DecodeError::TooShort), "{end}");
        }
        let longer = [&bytes[..], b"\0"].concat();
        assert_eq!(Message::decode(&longer), Err(DecodeError::TooLong(1)));
    }
}

#[test]
fn origins_and_types_are_passed_over_and_unknown_messages_are_refused() {
    assert_eq!(Message::decode(b"Oanything"), Ok(Message::Other));
    assert_eq!(Message::decode(b"Y"), Ok(Message::Other));
    assert_eq!(Message::decode(b"Z"), Err(DecodeError::UnknownType(b'Z')));
    let binary = message(&[b"I", ID, b"N", &[0, 1, b'b', 0, 0, 0, 0]]);
    assert_eq!(Message::decode(&binary), Err(DecodeError::UnknownValue(b'b')));
    let old = message(&[b"I", ID, b"K", X]);
    assert_eq!(Message::decode(&old), Err(DecodeError::UnknownRow(b'K')));
    let latin = message(&[b"I", ID, b"N", &[0, 1, b't', 0, 0, 0, 1, 0xff]]);
    assert_eq!(Message::decode(&latin), Err(DecodeError::NotUtf8));
}

proptest! {
    #[test]
    fn any_bytes_give_a_message_or_an_error(bytes: Vec<u8>) {
        let _ = Message::decode(&bytes);
    }

    #[test]
    fn a_message_with_changed_bytes_gives_a_message_or_an_error(
        which in 0..8_usize, at: prop::sample::Index, byte: u8,
    ) {
        let (_, mut bytes) = messages().swap_remove(which);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = Message::decode(&bytes);
    }
}
