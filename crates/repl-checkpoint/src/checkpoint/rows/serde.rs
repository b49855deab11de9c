//! Rows as serde writes them: as a `Checkpoint` that has them.

use serde::ser::{Serialize, SerializeSeq, SerializeStruct, Serializer};

use super::Rows;

impl Serialize for Rows<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut checkpoint = serializer.serialize_struct("Checkpoint", 2)?;
        checkpoint.serialize_field("next_incarnation", &self.next_incarnation)?;
        checkpoint.serialize_field("shards", &Shards(self))?;
        checkpoint.end()
    }
}

struct Shards<'r, 'a>(&'r Rows<'a>);

impl Serialize for Shards<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut rows = self.0.clone();
        let mut shards = serializer.serialize_seq(Some(rows.len()))?;
        while let Some(row) = rows.next() {
            shards.serialize_element(row)?;
        }
        shards.end()
    }
}
