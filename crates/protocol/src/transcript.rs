//! The shared append-only vector of items.

use std::sync::Arc;

use crate::Item;

/// The items of a context. A clone is a snapshot and costs one pointer; a push is cheap while no
/// snapshot is held, so holders drop theirs as soon as they have read it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transcript {
    items: Arc<Vec<Arc<Item>>>,
}

impl Transcript {
    /// Appends an item.
    pub fn push(&mut self, item: Item) {
        Arc::make_mut(&mut self.items).push(Arc::new(item));
    }

    /// The items in order. Equal pointers mean equal items.
    #[must_use]
    pub fn items(&self) -> &[Arc<Item>] {
        &self.items
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

impl FromIterator<Item> for Transcript {
    fn from_iter<I: IntoIterator<Item = Item>>(items: I) -> Self {
        Self {
            items: Arc::new(items.into_iter().map(Arc::new).collect()),
        }
    }
}

impl FromIterator<Arc<Item>> for Transcript {
    fn from_iter<I: IntoIterator<Item = Arc<Item>>>(items: I) -> Self {
        Self {
            items: Arc::new(items.into_iter().collect()),
        }
    }
}
