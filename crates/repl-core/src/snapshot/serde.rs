//! A snapshot as serde writes and reads it: the next incarnation, and its entries in order.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Snapshot, SnapshotEntry};
use crate::ids::Incarnation;

#[derive(Serialize, Deserialize)]
#[serde(rename = "Snapshot", deny_unknown_fields)]
struct Fields {
    next_incarnation: Incarnation,
    shards: Vec<SnapshotEntry>,
}

impl Serialize for Snapshot {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let next_incarnation = self.next_incarnation;
        Fields { next_incarnation, shards: self.entries().collect() }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Snapshot {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Fields { next_incarnation: next, shards } = Fields::deserialize(deserializer)?;
        if !shards.is_sorted_by(|a, b| a.shard < b.shard) {
            return Err(D::Error::custom("the shards of the snapshot do not ascend"));
        }
        let snapshot = shards.into_iter().collect::<Snapshot>().with_next_incarnation(next);
        if snapshot.next_incarnation == next {
            Ok(snapshot)
        } else {
            Err(D::Error::custom(format!("a shard has incarnation {next} or a later one")))
        }
    }
}
