//! Who keeps a window open.

use std::ops::Deref;
use std::sync::Arc;

use super::core::Core;

/// The window itself and each of its claims share one; with the last of them the window closes. The
/// count of the core does not say so: an advance from outside, or a checkpoint, holds that as well
/// for as long as it looks.
pub(super) struct Open(Arc<Core>);

impl Open {
    pub(super) fn new(core: Arc<Core>) -> Arc<Self> {
        Arc::new(Open(core))
    }
}

impl Deref for Open {
    type Target = Core;

    #[inline]
    fn deref(&self) -> &Core {
        &self.0
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.close();
    }
}
