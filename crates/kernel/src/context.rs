//! Where items enter the context: for good in a session, merely counted in a draft.

use quire_protocol::{Item, Transcript};

/// Takes the items that events add. Invariant: items are only ever appended, so that every
/// request starts with all of the one before.
pub(crate) trait Context {
    /// How many items there are.
    fn count(&self) -> u32;

    /// Appends an item, which is made only where it is kept.
    fn push(&mut self, item: impl FnOnce() -> Item);
}

impl Context for Transcript {
    fn count(&self) -> u32 {
        u32::try_from(self.len()).unwrap_or(u32::MAX)
    }

    fn push(&mut self, item: impl FnOnce() -> Item) {
        Self::push(self, item());
    }
}

/// A context of which only the length matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counted(pub(crate) u32);

impl Context for Counted {
    fn count(&self) -> u32 {
        self.0
    }

    fn push(&mut self, _: impl FnOnce() -> Item) {
        self.0 = self.0.saturating_add(1);
    }
}
