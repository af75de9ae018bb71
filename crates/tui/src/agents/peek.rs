//! What is seen of the chosen session: the end of its journal, folded as a screen of its own would.

use std::collections::VecDeque;

use quire_protocol::{Approval, CallId, Frame, SessionId};
use ratatui_core::text::Line;

use crate::conversation::Conversation;

/// Lines that are kept.
const LINES: usize = 200;

/// A session that is looked at.
#[derive(Debug)]
pub(crate) struct Peek {
    /// Which.
    pub(crate) session: SessionId,
    pub(crate) conversation: Conversation,
    lines: VecDeque<Line<'static>>,
    /// Why it cannot be looked at.
    pub(crate) trouble: Option<String>,
}

impl Peek {
    /// One of which nothing is known yet.
    pub(crate) fn new(session: SessionId, columns: u16) -> Self {
        let mut conversation = Conversation::default();
        conversation.columns = columns;
        Self {
            session,
            conversation,
            lines: VecDeque::new(),
            trouble: None,
        }
    }

    /// Takes in what was recorded or happens.
    pub(crate) fn take(&mut self, frame: &Frame) {
        match frame {
            Frame::Record(record) => self.conversation.record(record),
            Frame::Delta(delta) => self.conversation.delta(delta),
        }
        self.lines.extend(self.conversation.take_done());
        let old = self.lines.len().saturating_sub(LINES);
        self.lines.drain(..old);
    }

    /// The oldest open question.
    pub(crate) fn question(&self) -> Option<(CallId, &Approval)> {
        let (call, approval) = self.conversation.asked.first()?;
        Some((*call, approval))
    }

    /// The newest lines that are done, the last one last.
    pub(crate) fn lines(&self) -> impl DoubleEndedIterator<Item = &Line<'static>> {
        self.lines.iter()
    }
}
