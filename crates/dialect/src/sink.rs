//! Live fragments of one push, runs of the same kind joined into one.

use quire_protocol::Delta;

/// Collects the deltas of one push behind those that were there before.
pub(crate) struct Sink<'a> {
    deltas: &'a mut Vec<Delta>,
    /// Where this push began.
    start: usize,
    /// The call that the last delta is about, if it is about one.
    writing: Option<u64>,
}

impl<'a> Sink<'a> {
    /// Appends to `deltas`.
    pub(crate) fn new(deltas: &'a mut Vec<Delta>) -> Self {
        Self {
            start: deltas.len(),
            deltas,
            writing: None,
        }
    }

    fn last(&mut self) -> Option<&mut Delta> {
        self.deltas[self.start..].last_mut()
    }

    /// More text.
    pub(crate) fn text(&mut self, more: &str) {
        if more.is_empty() {
            return;
        }
        if let Some(Delta::Text { text }) = self.last() {
            text.push_str(more);
        } else {
            self.deltas.push(Delta::Text { text: more.into() });
        }
    }

    /// More thinking.
    pub(crate) fn thinking(&mut self, more: &str) {
        if more.is_empty() {
            return;
        }
        if let Some(Delta::Thinking { text }) = self.last() {
            text.push_str(more);
        } else {
            self.deltas.push(Delta::Thinking { text: more.into() });
        }
    }

    /// The call numbered `call` in this answer has so many bytes of arguments now.
    pub(crate) fn writing(&mut self, call: u64, name: &str, length: usize) {
        let length = u64::try_from(length).unwrap_or(u64::MAX);
        let same = self.writing == Some(call);
        match self.last() {
            Some(Delta::CallWriting { bytes, .. }) if same => *bytes = length,
            _ => self.deltas.push(Delta::CallWriting {
                name: name.into(),
                bytes: length,
            }),
        }
        self.writing = Some(call);
    }
}
