//! The context: between compactions it only grows, a compaction changes what its event says and
//! nothing else, and a model API would take it at every request.

use std::collections::VecDeque;
use std::sync::Arc;

use quire_protocol::{
    CallId, Compaction, CompactionKind, CompactionStep, Content, Event, Item, Transcript,
};

use super::{Checked, ensure};

/// How many compactions can be taken back.
const UNDOABLE: usize = 16;

/// The items so far, and the calls that still need a result.
#[derive(Debug, Default)]
pub(super) struct Seen {
    items: Vec<Arc<Item>>,
    /// What was before each compaction, and how many items there were after it.
    before: Vec<(Vec<Arc<Item>>, usize)>,
    /// In order.
    unanswered: VecDeque<CallId>,
    /// Whether a result has followed the calls.
    answering: bool,
}

impl Seen {
    /// Whether every call has its result.
    pub(super) fn is_whole(&self) -> bool {
        self.unanswered.is_empty()
    }

    pub(super) fn saw(&mut self, event: &Event, transcript: &Transcript) -> Checked {
        match event {
            Event::Compaction(CompactionStep::Done { compaction }) => self.compacted(compaction)?,
            Event::Compaction(CompactionStep::Undone) => self.undone()?,
            _ => return self.grew(event, transcript),
        }
        ensure!(
            self.items == transcript.items(),
            "a compaction changes the context in another way than it says"
        );
        sound(&self.items)
    }

    fn grew(&mut self, event: &Event, transcript: &Transcript) -> Checked {
        let (old, new) = transcript
            .items()
            .split_at_checked(self.items.len())
            .ok_or("the context shrinks")?;
        if matches!(event, Event::ModelCalled { .. }) {
            ensure!(old == self.items, "the context changes");
        }
        for item in new {
            self.add(item, event)?;
        }
        Ok(())
    }

    fn compacted(&mut self, compaction: &Compaction) -> Checked {
        ensure!(self.is_whole(), "a compaction in the middle of a step");
        let place = |place: u32| usize::try_from(place).unwrap_or(usize::MAX);
        let (from, to) = (
            place(compaction.replaced.from),
            place(compaction.replaced.to),
        );
        ensure!(
            from <= to && to <= self.items.len(),
            "a compaction of what is not there"
        );
        let mut before = self.items.clone();
        let own = compaction.kind == CompactionKind::Provider && compaction.head.is_empty();
        if own {
            let block = before.remove(to);
            let is_block = matches!(
                block.as_ref(),
                Item::Summary {
                    opaque: Some(_),
                    ..
                }
            );
            ensure!(is_block, "the provider compacts nothing by itself");
        }
        let head = compaction.head.iter().cloned().map(Arc::new);
        self.items.splice(from..to, head);
        for item in &mut self.items {
            if let Some(line) = cleared(item, &compaction.cleared)? {
                *item = Arc::new(line);
            }
        }
        let tail = compaction.tail.iter().cloned().map(Arc::new);
        self.items.extend(tail);
        self.before.push((before, self.items.len()));
        if self.before.len() > UNDOABLE {
            self.before.remove(0);
        }
        Ok(())
    }

    fn undone(&mut self) -> Checked {
        let (mut items, since) = self.before.pop().ok_or("nothing to take back")?;
        items.extend_from_slice(&self.items[since..]);
        self.items = items;
        Ok(())
    }

    fn add(&mut self, item: &Arc<Item>, event: &Event) -> Checked {
        let replied = matches!(event, Event::ModelReplied { .. });
        match item.as_ref() {
            Item::ToolCall(call) => {
                ensure!(replied && !self.answering, "a call out of place");
                self.unanswered.push_back(call.call);
            }
            Item::ToolResult { call, .. } => {
                ensure!(
                    self.unanswered.pop_front() == Some(*call),
                    "the result of call {call} is out of place"
                );
                self.answering = !self.unanswered.is_empty();
            }
            Item::Assistant { .. }
            | Item::Thinking { .. }
            | Item::Foreign { .. }
            | Item::Summary {
                opaque: Some(_), ..
            } => {
                ensure!(replied && !self.answering, "the model's words out of place");
            }
            Item::User { message, .. } => {
                let due = matches!(event, Event::MessageDelivered { message: m } if m == message);
                ensure!(due && self.is_whole(), "a message out of place");
            }
            Item::Ledger { .. } | Item::Summary { opaque: None, .. } => {
                return Err("a ledger or a summary out of place".to_owned());
            }
            Item::Notice { .. } => {
                let due = matches!(event, Event::Noticed { .. });
                ensure!(due && self.is_whole(), "a notice out of place");
            }
        }
        self.items.push(Arc::clone(item));
        Ok(())
    }
}

/// The line that stands for a result that is cleared.
fn cleared(item: &Item, calls: &[CallId]) -> Result<Option<Item>, String> {
    let Item::ToolResult {
        call,
        status,
        content,
    } = item
    else {
        return Ok(None);
    };
    if !calls.contains(call) {
        return Ok(None);
    }
    let text = content.iter().filter_map(Content::as_text);
    let bytes: usize = text.map(str::len).sum();
    ensure!(bytes > 500, "a small result is cleared");
    let text =
        format!("[{bytes} bytes were cleared to save room: recall call:{call} shows them again]");
    Ok(Some(Item::ToolResult {
        call: *call,
        status: *status,
        content: vec![Content::text(text)],
    }))
}

/// Whether each call has its result, adjacent and in order.
fn sound(items: &[Arc<Item>]) -> Checked {
    let mut unanswered = VecDeque::new();
    let mut answering = false;
    for item in items {
        match item.as_ref() {
            Item::ToolCall(call) => {
                ensure!(!answering, "a compaction parts calls from results");
                unanswered.push_back(call.call);
            }
            Item::ToolResult { call, .. } => {
                ensure!(
                    unanswered.pop_front() == Some(*call),
                    "a compaction takes call {call} from its result"
                );
                answering = !unanswered.is_empty();
            }
            Item::Assistant { .. }
            | Item::Thinking { .. }
            | Item::Foreign { .. }
            | Item::Summary { .. } => {
                ensure!(!answering, "a compaction puts words between results");
            }
            Item::User { .. } | Item::Notice { .. } | Item::Ledger { .. } => {
                ensure!(
                    unanswered.is_empty(),
                    "a compaction takes results from their calls"
                );
            }
        }
    }
    ensure!(unanswered.is_empty(), "a compaction takes results away");
    Ok(())
}
