//! The base copy: the tables of the publication, and their rows as lines of a COPY.

use std::collections::HashMap;
use std::pin::pin;
use std::string::FromUtf8Error;

use futures_util::TryStreamExt;
use tokio_postgres::{Client, Transaction};

use crate::failure::Failure;
use crate::pgoutput::Column;
use crate::source::PUBLICATION;

/// A table of the publication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) name: String,
    pub(crate) columns: Vec<Column>,
    /// The types of the columns, as SQL writes them.
    pub(crate) sql_types: Vec<String>,
}

/// The columns of each table of the copy, as [`describe`] writes them.
pub(crate) type Copied = HashMap<String, String>;

/// The table of the copy that holds [`Copied`].
pub(crate) const COPIED: &str = "follower_tables";

/// A table of the copy itself begins with one of these.
const RESERVED: [&str; 2] = ["follower_", "repl_"];

/// Returns all that must stay as it is.
pub(crate) fn describe(columns: &[Column]) -> String {
    let line = |column: &Column| {
        let Column { name, is_key, type_id, modifier } = column;
        format!("{type_id} {modifier} {is_key} {name:?}")
    };
    columns.iter().map(line).collect::<Vec<_>>().join("\n")
}

const TABLES: &str = "
    select c.relname::text, a.attname::text, format_type(a.atttypid, a.atttypmod),
        coalesce(a.attnum = any (i.indkey), false), a.atttypid, a.atttypmod, c.relreplident = 'd'
    from pg_publication_tables p
    join pg_namespace n on n.nspname = p.schemaname
    join pg_class c on c.relnamespace = n.oid and c.relname = p.tablename
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0
    left join pg_index i on i.indrelid = c.oid and i.indisprimary
    where p.pubname = $1 and not a.attisdropped and a.attgenerated = ''
    order by c.relname, a.attnum";

impl Table {
    /// Returns the tables of the publication.
    pub(crate) async fn published(tx: &Transaction<'_>) -> Result<Vec<Table>, Failure> {
        let mut tables: Vec<Table> = Vec::new();
        for row in tx.query(TABLES, &[&PUBLICATION]).await? {
            let (table, name): (String, _) = (row.try_get(0)?, row.try_get(1)?);
            let (type_id, modifier, is_key) = (row.try_get(4)?, row.try_get(5)?, row.try_get(3)?);
            if RESERVED.iter().any(|reserved| table.starts_with(reserved)) {
                return Err(Failure::ReservedName { table });
            }
            if !row.try_get::<_, bool>(6)? {
                return Err(Failure::ReplicaIdentity { table });
            }
            if tables.last().is_none_or(|last| last.name != table) {
                tables.push(Table { name: table, columns: Vec::new(), sql_types: Vec::new() });
            }
            if let Some(last) = tables.last_mut() {
                last.columns.push(Column { name, is_key, type_id, modifier });
                last.sql_types.push(row.try_get(2)?);
            }
        }
        let has_key = |table: &Table| table.columns.iter().any(|column| column.is_key);
        match tables.iter().find(|table| !has_key(table)) {
            Some(table) => Err(Failure::NoKey { table: table.name.clone() }),
            None => Ok(tables),
        }
    }

    /// Returns the names of the columns in a list.
    pub(crate) fn column_list(&self) -> String {
        let names: Vec<_> = self.columns.iter().map(|column| quoted(&column.name)).collect();
        names.join(", ")
    }

    /// Returns the names of the columns of the key in a list.
    pub(crate) fn key_list(&self) -> String {
        let keys = self.columns.iter().filter(|column| column.is_key);
        keys.map(|column| quoted(&column.name)).collect::<Vec<_>>().join(", ")
    }

    /// Returns the statement that writes all rows out.
    pub(crate) fn copy_out(&self) -> String {
        format!("copy {} ({}) to stdout", quoted(&self.name), self.column_list())
    }

    /// Passes each row to `each`, as a line without its end.
    pub(crate) async fn read<E: From<tokio_postgres::Error>>(
        &self,
        client: &Client,
        each: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        lines(client.copy_out(&self.copy_out()).await?, each).await
    }
}

/// Passes each line of a COPY to `each`.
pub(crate) async fn lines<E: From<tokio_postgres::Error>>(
    stream: tokio_postgres::CopyOutStream,
    mut each: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let (mut stream, mut rest) = (pin!(stream), Vec::new());
    while let Some(chunk) = stream.try_next().await? {
        rest.extend_from_slice(&chunk);
        let mut from = 0;
        while let Some(length) = rest[from..].iter().position(|byte| *byte == b'\n') {
            each(&rest[from..from + length])?;
            from += length + 1;
        }
        rest.drain(..from);
    }
    Ok(())
}

/// Returns a name as SQL of SQLite and of PostgreSQL takes it, whatever it contains.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Escapes of a COPY: the byte, and what follows a backslash for it.
const ESCAPES: [(u8, u8); 7] = [
    (b'\\', b'\\'),
    (b'\t', b't'),
    (b'\n', b'n'),
    (b'\r', b'r'),
    (0x08, b'b'),
    (0x0b, b'v'),
    (0x0c, b'f'),
];

/// Returns the values of a line. The server converts all of them to UTF-8.
pub(crate) fn values_of(line: &[u8]) -> Result<Vec<Option<String>>, FromUtf8Error> {
    let value = |field: &[u8]| (field != b"\\N").then(|| unescaped(field)).transpose();
    line.split(|byte| *byte == b'\t').map(value).collect()
}

fn unescaped(field: &[u8]) -> Result<String, FromUtf8Error> {
    let (mut bytes, mut rest) = (Vec::with_capacity(field.len()), field.iter());
    while let Some(&byte) = rest.next() {
        let escaped = if byte == b'\\' { rest.next() } else { None };
        bytes.push(escaped.map_or(byte, |escaped| {
            ESCAPES.iter().find(|(_, name)| name == escaped).map_or(*escaped, |(byte, _)| *byte)
        }));
    }
    String::from_utf8(bytes)
}

/// Returns the line of the values.
pub(crate) fn line_of<'a>(values: impl IntoIterator<Item = Option<&'a str>>) -> Vec<u8> {
    let mut line = Vec::new();
    for (n, value) in values.into_iter().enumerate() {
        if n > 0 {
            line.push(b'\t');
        }
        let Some(text) = value else {
            line.extend_from_slice(b"\\N");
            continue;
        };
        for byte in text.bytes() {
            match ESCAPES.iter().find(|(escaped, _)| *escaped == byte) {
                Some((_, name)) => line.extend([b'\\', *name]),
                None => line.push(byte),
            }
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_line_is_written_as_the_server_writes_it() {
        let values = [Some("a\tb"), None, Some(""), Some("\\N"), Some("x\n\r")];
        assert_eq!(line_of(values), b"a\\tb\t\\N\t\t\\\\N\tx\\n\\r");
    }

    proptest! {
        #[test]
        fn a_line_gives_the_values_that_it_was_made_of(
            values in prop::collection::vec(any::<Option<String>>(), 1..5),
        ) {
            prop_assert_eq!(values_of(&line_of(values.iter().map(Option::as_deref))), Ok(values));
        }

        #[test]
        fn any_line_has_values_unless_one_is_not_utf_8(line: Vec<u8>) {
            let fields = line.split(|byte| *byte == b'\t').count();
            match values_of(&line) {
                Ok(values) => prop_assert_eq!(values.len(), fields),
                Err(_) => prop_assert!(!line.is_ascii()),
            }
        }
    }
}
