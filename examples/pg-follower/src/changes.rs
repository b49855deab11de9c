//! Makes changes of rows out of the messages of the log, and transactions out of the changes.

use std::collections::HashMap;
use std::sync::Arc;

use repl_core::SeqNo;

use crate::copy::{Copied, describe};
use crate::failure::Failure;
use crate::pgoutput::{Message, Relation, Tuple, Value};

/// A transaction of the server.
#[derive(Debug, Default)]
pub(crate) struct Transaction {
    pub(crate) changes: Vec<Change>,
    /// The LSN of the end of its commit record: its seqno.
    pub(crate) end: SeqNo,
}

/// A change of one table.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) relation: Arc<Relation>,
    pub(crate) kind: Kind,
}

#[derive(Debug)]
pub(crate) enum Kind {
    Insert(Tuple),
    /// The row with the key in the first tuple gets the values of the second.
    Update(Tuple, Tuple),
    Delete(Tuple),
    Truncate,
}

/// A column and its value; `None` is null.
pub(crate) type Cell<'a> = (&'a str, Option<&'a str>);

impl Relation {
    /// Returns the key of a row.
    pub(crate) fn key<'a>(&'a self, row: &'a Tuple) -> impl Iterator<Item = Cell<'a>> {
        let columns = self.columns.iter().zip(row).filter(|(column, _)| column.is_key);
        columns.filter_map(|(column, value)| cell(&column.name, value))
    }

    /// Returns the values of a row, without those that are not changed.
    pub(crate) fn values<'a>(&'a self, row: &'a Tuple) -> impl Iterator<Item = Cell<'a>> {
        let columns = self.columns.iter().zip(row);
        columns.filter_map(|(column, value)| cell(&column.name, value))
    }
}

fn cell<'a>(name: &'a str, value: &'a Value) -> Option<Cell<'a>> {
    match value {
        Value::Null => Some((name, None)),
        Value::Unchanged => None,
        Value::Text(text) => Some((name, Some(text))),
    }
}

/// The tables that the log has described in this session. They are as they were copied.
#[derive(Debug)]
pub(crate) struct Relations {
    copied: Copied,
    known: HashMap<u32, Arc<Relation>>,
}

impl Relations {
    pub(crate) fn new(copied: Copied) -> Self {
        Relations { copied, known: HashMap::new() }
    }

    /// Returns the changes of a message.
    pub(crate) fn read(&mut self, message: &[u8]) -> Result<Vec<Change>, Failure> {
        let one = |change| vec![change];
        Ok(match Message::decode(message)? {
            Message::Relation(relation) => {
                self.check(&relation)?;
                self.known.insert(relation.id, Arc::new(relation));
                Vec::new()
            }
            Message::Other => Vec::new(),
            Message::Insert { relation, new } => one(self.change(relation, Kind::Insert(new))?),
            Message::Update { relation, old, new } => {
                let key = old.unwrap_or_else(|| new.clone());
                let is_same = new.iter().all(|value| *value == Value::Unchanged);
                let change = self.change(relation, Kind::Update(key, new))?;
                if is_same { Vec::new() } else { one(change) }
            }
            Message::Delete { relation, old } => one(self.change(relation, Kind::Delete(old))?),
            Message::Truncate { relations } => {
                let change = |relation| self.change(relation, Kind::Truncate);
                relations.into_iter().map(change).collect::<Result<_, _>>()?
            }
        })
    }

    /// Refuses a table whose rows the copy cannot take, or cannot find again.
    fn check(&self, relation: &Relation) -> Result<(), Failure> {
        let table = relation.table.clone();
        if relation.identity != b'd' {
            return Err(Failure::ReplicaIdentity { table });
        }
        match self.copied.get(&table) {
            Some(columns) if *columns == describe(&relation.columns) => Ok(()),
            _ => Err(Failure::Altered { table }),
        }
    }

    fn change(&self, relation: u32, kind: Kind) -> Result<Change, Failure> {
        let known = self.known.get(&relation).ok_or(Failure::UnknownTable { relation })?;
        let columns = known.columns.len();
        let fits = match &kind {
            Kind::Insert(row) | Kind::Delete(row) => row.len() == columns,
            Kind::Update(key, row) => key.len() == columns && row.len() == columns,
            Kind::Truncate => true,
        };
        if !fits {
            return Err(Failure::OtherColumns { table: known.table.clone() });
        }
        if matches!(&kind, Kind::Insert(row) if row.contains(&Value::Unchanged)) {
            return Err(Failure::PartOfRow { table: known.table.clone() });
        }
        if let Kind::Update(key, _) | Kind::Delete(key) = &kind {
            // Each column of the key, or more than one row would change.
            let keys = known.columns.iter().filter(|column| column.is_key).count();
            if keys == 0 || known.key(key).count() != keys {
                return Err(Failure::NoKey { table: known.table.clone() });
            }
        }
        Ok(Change { relation: Arc::clone(known), kind })
    }
}

#[cfg(test)]
#[path = "changes_tests.rs"]
pub(crate) mod tests;
