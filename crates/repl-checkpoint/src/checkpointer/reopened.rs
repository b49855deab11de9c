//! Closing the store, and going on with one that was opened again.

use super::held::Held;
use super::{Checkpointer, Written};
use crate::codec::Codec;
use crate::ids::{Generation, StoreId};
use crate::store::CheckpointStore;
use crate::unshared::Unshared;

impl Checkpointer {
    /// Closes the store, so that its lock is free. No attempt is saved until
    /// [`go_on`](Checkpointer::go_on).
    pub(crate) fn close_store(&mut self) {
        self.shared.closing();
        self.store = None;
    }

    /// The codec, and the id of the store.
    pub(crate) fn format(&self) -> (&dyn Codec, StoreId) {
        (&*self.codec, self.store_id)
    }

    /// The saves that the store may hold as its newest: the save in doubt, the one that this
    /// process went on from, and the last acknowledged one.
    pub(crate) fn expected(&self) -> impl Iterator<Item = &Written> {
        self.doubtful.iter().chain([&self.base, &self.acknowledged])
    }

    /// The acknowledged generation, and the one in doubt.
    pub(crate) fn generations(&self) -> (Generation, Option<Generation>) {
        let doubtful = self.doubtful.as_ref().map(|written| written.header.generation);
        (self.acknowledged.header.generation, doubtful)
    }

    /// Goes on with a store that was opened again and holds `newest` as its newest checkpoint.
    pub(crate) fn go_on(
        &mut self,
        store: Box<dyn CheckpointStore>,
        newest: Written,
        attempted: Generation,
    ) {
        let in_doubt = self.doubtful.as_ref().map(|written| written.header);
        if in_doubt == Some(newest.header) {
            // A save that is there found these orphans tracked.
            self.orphaned = self.orphans_beside(&newest.content.marks);
        }
        self.store = Some(Unshared::new(store));
        self.confirmed = newest.header.confirmed;
        self.base = newest;
        self.doubtful = None;
        self.held = Held::default();
        self.attempted = self.attempted.max(attempted);
        self.shared.reopened();
    }
}
