//! What happened between two requests and the model has not heard of.

use std::collections::VecDeque;
use std::sync::Arc;

use quire_protocol::Event;

use crate::draft::Draft;

/// News, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct News {
    untold: VecDeque<Arc<str>>,
}

impl News {
    /// Adds what the model is to be told, if it is to be told something.
    pub(crate) fn extend(&mut self, text: Option<String>) {
        self.untold.extend(text.map(Arc::from));
    }

    /// The model was told something, perhaps the oldest news.
    pub(crate) fn told(&mut self, text: &str) {
        if self.untold.front().is_some_and(|news| **news == *text) {
            self.untold.pop_front();
        }
    }
}

impl Draft<'_> {
    /// Tells the model what happened since it was last told.
    pub(crate) fn tell_news(&mut self) {
        for text in self.state.news.untold.clone() {
            let text = text.to_string();
            self.record(Event::Noticed { text });
        }
    }
}
