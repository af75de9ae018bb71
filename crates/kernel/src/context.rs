//! The context: the items that every request carries, for good in a session, and as they will be
//! in a draft.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use quire_protocol::{CallId, Compaction, CompactionKind, Content, Item, Transcript};

use crate::summary::is_block;
use crate::weight;

/// How many compactions can be taken back, one after the other.
const UNDOABLE: usize = 16;

/// Takes what events do to the context. Invariant: items are only ever appended, so that every
/// request starts with all of the one before, until a compaction says otherwise.
pub(crate) trait Context {
    /// How many items there are.
    fn count(&self) -> u32;

    /// What they weigh.
    fn weight(&self) -> u64;

    /// Appends an item of this weight.
    fn push(&mut self, weight: u64, item: impl FnOnce() -> Item);

    /// Replaces what a compaction replaces.
    fn compact(&mut self, compaction: &Compaction);

    /// Takes the last compaction back.
    fn restore(&mut self);
}

/// The context itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Window {
    transcript: Transcript,
    weight: u64,
    /// What was before each compaction that can be taken back, the newest last.
    before: Vec<Before>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Before {
    transcript: Transcript,
    /// How many items the context had right after the compaction; what follows came since.
    since: usize,
}

impl Window {
    pub(crate) fn transcript(&self) -> &Transcript {
        &self.transcript
    }

    pub(crate) fn items(&self) -> &[Arc<Item>] {
        self.transcript.items()
    }

    /// Whether there is a compaction to take back.
    pub(crate) fn is_restorable(&self) -> bool {
        !self.before.is_empty()
    }

    /// The items as they are after a compaction.
    fn compacted(&self, compaction: &Compaction) -> Transcript {
        let items = self.items();
        let replaced = replaced(compaction, items.len());
        let cleared: BTreeSet<CallId> = compaction.cleared.iter().copied().collect();
        let kept = |items: &[Arc<Item>]| -> Vec<Arc<Item>> {
            items.iter().map(|item| shortened(item, &cleared)).collect()
        };
        let mut after = kept(&items[..replaced.start]);
        after.extend(compaction.head.iter().cloned().map(Arc::new));
        after.extend(kept(&items[replaced.end..]));
        after.extend(compaction.tail.iter().cloned().map(Arc::new));
        after.into_iter().collect()
    }

    /// The items as they are when the last compaction is taken back.
    fn restored(&self) -> Option<Transcript> {
        let before = self.before.last()?;
        let since = self.items().get(before.since..).unwrap_or_default();
        let items = before.transcript.items().iter().chain(since);
        Some(items.cloned().collect())
    }
}

impl Context for Window {
    fn count(&self) -> u32 {
        u32::try_from(self.transcript.len()).unwrap_or(u32::MAX)
    }

    fn weight(&self) -> u64 {
        self.weight
    }

    fn push(&mut self, weight: u64, item: impl FnOnce() -> Item) {
        self.weight += weight;
        self.transcript.push(item());
    }

    fn compact(&mut self, compaction: &Compaction) {
        let after = self.compacted(compaction);
        self.weight = weight::of_all(after.items());
        if self.before.len() == UNDOABLE {
            self.before.remove(0);
        }
        let mut before = std::mem::replace(&mut self.transcript, after);
        if let Some(block) = own_block(compaction, &before) {
            let items = before.items().iter().enumerate();
            let items = items.filter(|(place, _)| *place != block);
            before = items.map(|(_, item)| Arc::clone(item)).collect();
        }
        self.before.push(Before {
            since: self.transcript.len(),
            transcript: before,
        });
    }

    fn restore(&mut self) {
        let Some(transcript) = self.restored() else {
            return;
        };
        self.weight = weight::of_all(transcript.items());
        self.transcript = transcript;
        self.before.pop();
    }
}

/// A context in the making: what a decision adds stands behind the items that are there already,
/// which are never copied unless a compaction changes them.
#[derive(Clone, Debug)]
pub(crate) struct Growing<'a> {
    window: Cow<'a, Window>,
    fresh: Vec<Arc<Item>>,
    weight: u64,
}

impl<'a> Growing<'a> {
    pub(crate) fn new(window: &'a Window) -> Self {
        Self {
            window: Cow::Borrowed(window),
            fresh: Vec::new(),
            weight: window.weight,
        }
    }

    /// All items, in order.
    pub(crate) fn items(&self) -> Vec<&Arc<Item>> {
        self.window.items().iter().chain(&self.fresh).collect()
    }

    /// Whether there is a compaction to take back.
    pub(crate) fn is_restorable(&self) -> bool {
        self.window.is_restorable()
    }

    /// Changes the whole of it.
    fn change(&mut self, change: impl FnOnce(&mut Window)) {
        let window = self.window.to_mut();
        if !self.fresh.is_empty() {
            let items = window.items().iter().chain(&self.fresh);
            window.transcript = items.cloned().collect();
            window.weight = self.weight;
            self.fresh.clear();
        }
        change(window);
        self.weight = window.weight;
    }
}

impl Context for Growing<'_> {
    fn count(&self) -> u32 {
        let fresh = u32::try_from(self.fresh.len()).unwrap_or(u32::MAX);
        Context::count(self.window.as_ref()).saturating_add(fresh)
    }

    fn weight(&self) -> u64 {
        self.weight
    }

    fn push(&mut self, weight: u64, item: impl FnOnce() -> Item) {
        self.weight += weight;
        self.fresh.push(Arc::new(item()));
    }

    fn compact(&mut self, compaction: &Compaction) {
        self.change(|window| window.compact(compaction));
    }

    fn restore(&mut self) {
        self.change(Window::restore);
    }
}

fn replaced(compaction: &Compaction, count: usize) -> Range<usize> {
    let place = |place: u32| usize::try_from(place).unwrap_or(usize::MAX).min(count);
    let from = place(compaction.replaced.from);
    from..place(compaction.replaced.to).max(from)
}

/// Where a provider's own compaction stands, which dropped all before it. It drops that again for as long
/// as it is sent, so that it is gone where the compaction is taken back.
fn own_block(compaction: &Compaction, before: &Transcript) -> Option<usize> {
    let own = compaction.kind == CompactionKind::Provider && compaction.head.is_empty();
    let place = usize::try_from(compaction.replaced.to)
        .ok()
        .filter(|_| own)?;
    let item = before.items().get(place)?;
    is_block(item).then_some(place)
}

/// The item, or the line that stands for it once its call is cleared.
fn shortened(item: &Arc<Item>, cleared: &BTreeSet<CallId>) -> Arc<Item> {
    match item.as_ref() {
        Item::ToolResult {
            call,
            status,
            content,
        } if cleared.contains(call) => Arc::new(Item::ToolResult {
            call: *call,
            status: *status,
            content: vec![Content::text(cleared_line(*call, content))],
        }),
        _ => Arc::clone(item),
    }
}

/// What stands for a result that was cleared.
fn cleared_line(call: CallId, content: &[Content]) -> String {
    let bytes: usize = content
        .iter()
        .map(|part| part.as_text().map_or(0, str::len))
        .sum();
    let images = content
        .iter()
        .filter(|part| part.as_text().is_none())
        .count();
    let images = match images {
        0 => String::new(),
        count => format!(" and {count} image(s)"),
    };
    format!(
        "[{bytes} bytes{images} were cleared to save room: recall call:{call} shows them again]"
    )
}

#[cfg(test)]
mod tests {
    use quire_protocol::{CompactionCause, MessageId, Span, ToolCall, ToolStatus};

    use super::*;

    fn user(text: &str) -> Item {
        Item::User {
            message: MessageId::new(text),
            content: vec![Content::text(text)],
        }
    }

    fn call(number: u32) -> Item {
        Item::ToolCall(ToolCall {
            call: CallId(number),
            provider_id: String::new(),
            name: "read".to_owned(),
            arguments: "{}".to_owned(),
        })
    }

    fn result(number: u32, text: &str) -> Item {
        Item::ToolResult {
            call: CallId(number),
            status: ToolStatus::Done,
            content: vec![Content::text(text)],
        }
    }

    fn window(items: Vec<Item>) -> Window {
        let mut window = Window::default();
        for item in items {
            Context::push(&mut window, weight::of(&item), || item);
        }
        window
    }

    fn compaction(replaced: Span, head: Vec<Item>, cleared: Vec<CallId>) -> Compaction {
        Compaction {
            kind: CompactionKind::Clear,
            cause: CompactionCause::Threshold,
            replaced,
            head,
            cleared,
            tail: Vec::new(),
            tokens_before: 0,
            tokens_after: 0,
        }
    }

    #[test]
    fn a_compaction_and_its_undo_keep_what_came_since() {
        let old = vec![user("a"), call(1), result(1, &"x".repeat(900)), user("b")];
        let mut window = window(old.clone());
        let whole = window.weight();
        let done = compaction(Span { from: 0, to: 1 }, vec![user("s")], vec![CallId(1)]);
        let mut growing = Growing::new(&window);
        let later = user("later");
        growing.push(weight::of(&later), || later.clone());
        growing.compact(&done);
        let second = compaction(Span { from: 4, to: 5 }, vec![user("t")], Vec::new());
        growing.compact(&second);
        let (count, weight) = (growing.count(), growing.weight());
        assert_eq!(growing.items().last().unwrap().as_ref(), &user("t"));
        assert_eq!((count, weight), (5, weight::of_all(growing.items())));
        window.compact(&done);
        assert!(window.weight() < whole);
        let line = format!("{:?}", window.items()[2]);
        assert!(
            line.contains("900 bytes") && line.contains("call:1"),
            "{line}"
        );
        let new = user("c");
        Context::push(&mut window, weight::of(&new), || new.clone());
        window.restore();
        let now: Vec<Item> = window
            .items()
            .iter()
            .map(|item| item.as_ref().clone())
            .collect();
        assert_eq!(now, [old, vec![new]].concat());
        assert!(!window.is_restorable());
    }

    #[test]
    fn spans_beyond_the_end_are_cut() {
        let mut window = window(vec![user("a"), user("b")]);
        window.compact(&compaction(Span { from: 1, to: 9 }, Vec::new(), Vec::new()));
        assert_eq!(window.count(), 1);
        window.compact(&compaction(Span { from: 7, to: 2 }, Vec::new(), Vec::new()));
        assert_eq!(window.count(), 1);
    }
}
