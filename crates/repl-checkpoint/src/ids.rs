//! Identifiers of stores and of saves.

use std::fmt;

/// The number of a save in one store, from 1; 0 stands for no save.
pub type Generation = u64;

/// Identifies a store, so that the checkpoint of another store is refused.
///
/// The engine chooses the id and keeps it. A file that was copied or restored into the wrong
/// directory is then an error and not another shard's marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(transparent))]
pub struct StoreId(pub u128);

impl StoreId {
    /// The id of a store without a name, for engines that have only one.
    pub const UNNAMED: StoreId = StoreId(0);
}

impl From<u128> for StoreId {
    fn from(id: u128) -> Self {
        StoreId(id)
    }
}

impl fmt::Display for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}
