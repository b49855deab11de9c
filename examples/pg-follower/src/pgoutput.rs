//! Messages of the output plugin `pgoutput`, protocol version 1.
//!
//! Begin and commit are not among them: `pgwire-replication` makes events of its own of these.

use std::str;

use thiserror::Error;

/// A message about rows or tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Message {
    /// What the table of the next changes is: sent before the first of them, and when it changes.
    Relation(Relation),
    Insert {
        relation: u32,
        new: Tuple,
    },
    /// `old` is there if the key has changed, or if the server sends whole old rows.
    Update {
        relation: u32,
        old: Option<Tuple>,
        new: Tuple,
    },
    Delete {
        relation: u32,
        old: Tuple,
    },
    Truncate {
        relations: Vec<u32>,
    },
    /// An origin or a type: of no use here.
    Other,
}

/// A table, as the log describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Relation {
    pub(crate) id: u32,
    pub(crate) table: String,
    /// What names an old row: `d` is the primary key.
    pub(crate) identity: u8,
    pub(crate) columns: Vec<Column>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) is_key: bool,
    /// The OID of the type.
    pub(crate) type_id: u32,
    /// Its length or precision.
    pub(crate) modifier: i32,
}

/// The values of a row, in the order of the columns.
pub(crate) type Tuple = Vec<Value>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Null,
    /// A large value that an update did not change: it is not sent.
    Unchanged,
    /// As the output function of the type writes it.
    Text(String),
}

/// Bytes are not a message of protocol version 1.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum DecodeError {
    #[error("it ends too early")]
    TooShort,
    #[error("{0} bytes follow its end")]
    TooLong(usize),
    #[error("it has the unknown type {0:#04x}")]
    UnknownType(u8),
    #[error("a row begins with {0:#04x}")]
    UnknownRow(u8),
    #[error("a value is of the kind {0:#04x}")]
    UnknownValue(u8),
    #[error("a name or a value is not UTF-8")]
    NotUtf8,
}

impl Message {
    /// Decodes a message. Any bytes give a message or an error.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Message, DecodeError> {
        let mut rest = Bytes(bytes);
        let message = match rest.byte()? {
            b'R' => Message::Relation(rest.relation()?),
            b'I' => Message::Insert { relation: rest.number()?, new: rest.new_row()? },
            b'U' => {
                let relation = rest.number()?;
                let old = if rest.0.first() == Some(&b'N') { None } else { Some(rest.old_row()?) };
                Message::Update { relation, old, new: rest.new_row()? }
            }
            b'D' => Message::Delete { relation: rest.number()?, old: rest.old_row()? },
            b'T' => {
                let count = rest.number()?;
                rest.byte()?; // cascade and restart of identities: each table is named anyway
                let relations = (0..count).map(|_| rest.number()).collect::<Result<_, _>>()?;
                Message::Truncate { relations }
            }
            b'O' | b'Y' => return Ok(Message::Other),
            other => return Err(DecodeError::UnknownType(other)),
        };
        match rest.0.len() {
            0 => Ok(message),
            more => Err(DecodeError::TooLong(more)),
        }
    }
}

/// What is not read yet.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(DecodeError::TooShort)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        self.take(N)?.try_into().map_err(|_| DecodeError::TooShort)
    }

    fn byte(&mut self) -> Result<u8, DecodeError> {
        self.array().map(u8::from_be_bytes)
    }

    fn count(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_be_bytes)
    }

    fn number(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_be_bytes)
    }

    fn text(&mut self, length: usize) -> Result<String, DecodeError> {
        let text = str::from_utf8(self.take(length)?).map_err(|_| DecodeError::NotUtf8)?;
        Ok(text.to_owned())
    }

    /// A name, which ends with a zero byte.
    fn name(&mut self) -> Result<String, DecodeError> {
        let length = self.0.iter().position(|byte| *byte == 0).ok_or(DecodeError::TooShort)?;
        let name = self.text(length)?;
        self.byte()?;
        Ok(name)
    }

    fn relation(&mut self) -> Result<Relation, DecodeError> {
        let id = self.number()?;
        self.name()?; // the schema: the publication has one
        let table = self.name()?;
        let identity = self.byte()?;
        let count = self.count()?;
        let column = |_| {
            let is_key = self.byte()? & 1 == 1;
            let name = self.name()?;
            let (type_id, modifier) = (self.number()?, self.array().map(i32::from_be_bytes)?);
            Ok(Column { name, is_key, type_id, modifier })
        };
        let columns = (0..count).map(column).collect::<Result<_, _>>()?;
        Ok(Relation { id, table, identity, columns })
    }

    fn new_row(&mut self) -> Result<Tuple, DecodeError> {
        match self.byte()? {
            b'N' => self.tuple(),
            other => Err(DecodeError::UnknownRow(other)),
        }
    }

    /// The old key, or the old row.
    fn old_row(&mut self) -> Result<Tuple, DecodeError> {
        match self.byte()? {
            b'K' | b'O' => self.tuple(),
            other => Err(DecodeError::UnknownRow(other)),
        }
    }

    fn tuple(&mut self) -> Result<Tuple, DecodeError> {
        let count = self.count()?;
        let value = |_| match self.byte()? {
            b'n' => Ok(Value::Null),
            b'u' => Ok(Value::Unchanged),
            b't' => {
                let length = self.number()? as usize;
                self.text(length).map(Value::Text)
            }
            other => Err(DecodeError::UnknownValue(other)),
        };
        (0..count).map(value).collect()
    }
}

#[cfg(test)]
#[path = "pgoutput_tests.rs"]
mod tests;
