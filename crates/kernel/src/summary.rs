//! Summaries: which items one replaces, what the model is asked for, what its answer is worth, and
//! what is done where a provider compacts in its own way.

use std::sync::Arc;

use quire_protocol::{
    Compaction, CompactionCause, CompactionKind, ContextPart, Item, MessageId, Purpose, Reply,
    Span, TokenStop,
};

use crate::draft::Draft;
use crate::weight;

/// A summary shorter than this says nothing.
const SHORTEST: usize = 40;
/// A summary longer than this, or than a quarter of what fits, is cut.
const LONGEST: usize = 64 * 1_024;
/// What stands at the end of one that was cut before that.
const CUT_BY_MODEL: &str = "… [cut at the model's output limit]";

impl Draft<'_> {
    /// Tokens of the newest steps that stay as they are. What the model has not seen stays where there
    /// is room for it, and where a summary of the rest can make some. Where the provider says that the
    /// context does not fit, nobody knows how much does: then the unseen stays only at the first try.
    pub(crate) fn kept(&self) -> u64 {
        let limits = self.limits_of_context();
        let (usual, unseen) = (limits.keep.min(limits.room() / 4), self.tokens_of_unseen());
        let state = &self.state.compacting;
        let (usual, most) = match (state.overflown, state.in_a_row) {
            (false, _) => (usual, limits.room() / 4 * 3),
            (true, 0) => (usual.min(self.estimate() / 4), self.estimate() / 2),
            (true, _) => (usual.min(self.estimate() / 4), 0),
        };
        if unseen <= most || self.can_summarise_seen() {
            usual.max(unseen)
        } else {
            usual
        }
    }

    /// Whether a summary of what the model has seen can be had and is worth it: then none of the rest
    /// goes before that.
    fn can_summarise_seen(&self) -> bool {
        let state = &self.state.compacting;
        if state.in_a_row > 0 || state.has_failed(CompactionKind::Summary) {
            return false;
        }
        let seen = self.seen();
        let weight = self.weight_of(seen);
        let large = self.state.scale.tokens(weight) >= self.estimate() / 5
            && weight / 2 > weight::of(&self.ledger_item());
        large && self.estimate_of_first(seen.to) <= self.limits_of_context().room()
    }

    /// Everything that the model has seen.
    pub(crate) fn seen(&self) -> Span {
        Span {
            from: 0,
            to: self.newest_from(self.tokens_of_unseen()),
        }
    }

    /// Tokens of what came since the model last spoke, rounded up; with its calls, where their results
    /// are among it.
    pub(crate) fn tokens_of_unseen(&self) -> u64 {
        let items = self.context().items();
        let (mut weight, mut has_results) = (0, false);
        for (place, item) in items.iter().enumerate().rev() {
            if is_by_model(item) && !has_results {
                break;
            }
            weight += weight::of(item);
            has_results |= matches!(item.as_ref(), Item::ToolResult { .. });
            let before = place.checked_sub(1).and_then(|place| items.get(place));
            if is_by_model(item) && starts_step(before.map(AsRef::as_ref), item) {
                break;
            }
        }
        self.state.scale.tokens(weight) + 1
    }

    /// Where the newest steps begin that have at most so many tokens: at the start of a step.
    pub(crate) fn newest_from(&self, tokens: u64) -> u32 {
        let items = self.context().items();
        let most = self.state.scale.weight(tokens);
        let (mut weight, mut from) = (0, items.len());
        for (place, item) in items.iter().enumerate().rev() {
            weight += weight::of(item);
            if weight > most {
                break;
            }
            let before = place.checked_sub(1).and_then(|place| items.get(place));
            if starts_step(before.map(AsRef::as_ref), item) {
                from = place;
            }
        }
        u32::try_from(from).unwrap_or(u32::MAX)
    }

    /// The items that a summary replaces, of which there are some; or why there are none.
    pub(crate) fn summarised(
        &self,
        part: &ContextPart,
        cause: CompactionCause,
    ) -> Result<Span, String> {
        let all = self.whole();
        let unknown =
            |message: &MessageId| format!("message {message} is not in the context any more");
        let span = match part {
            ContextPart::Older => self.older_that_fit(cause),
            ContextPart::UpTo { message } => Span {
                to: self.place_of(message).ok_or_else(|| unknown(message))?,
                ..all
            },
            ContextPart::From { message } => Span {
                from: self.place_of(message).ok_or_else(|| unknown(message))?,
                ..all
            },
        };
        if span.is_empty() {
            return Err("there is nothing that a summary could replace".to_owned());
        }
        Ok(span)
    }

    fn whole(&self) -> Span {
        Span {
            from: 0,
            to: self.items(),
        }
    }

    /// Everything but the newest steps. A person who asks while there is no more than these means them.
    pub(crate) fn older(&self, cause: CompactionCause) -> Span {
        let older = Span {
            to: self.newest_from(self.kept()),
            ..self.whole()
        };
        let left =
            |item: &&Arc<Item>| matches!(item.as_ref(), Item::Ledger { .. } | Item::Summary { .. });
        let fresh = !self.context().items().iter().all(left);
        if older.is_empty() && cause == CompactionCause::Asked && fresh {
            self.whole()
        } else {
            older
        }
    }

    /// The same, or where it does not fit itself the first steps of it that do, if these are at least
    /// half of the context: a summary of them makes room, too.
    fn older_that_fit(&self, cause: CompactionCause) -> Span {
        let older = self.older(cause);
        if self.estimate() <= self.limits_of_context().room() {
            return older;
        }
        let to = self.first_that_fit(older.to).unwrap_or(older.to);
        Span { to, ..older }
    }

    fn first_that_fit(&self, most: u32) -> Option<u32> {
        let items = self.context().items();
        let room = self.limits_of_context().room();
        let mut weight = self.weight_of(Span { from: 0, to: most });
        for place in (1..=usize::try_from(most).ok()?).rev() {
            let before = items.get(place - 1)?;
            let ends = items
                .get(place)
                .is_none_or(|item| starts_step(Some(before), item));
            let tokens = self.state.scale.request_afresh(weight);
            if tokens < self.estimate() / 2 {
                return None;
            }
            if ends && tokens <= room {
                return u32::try_from(place).ok();
            }
            weight -= weight::of(before);
        }
        None
    }

    fn place_of(&self, wanted: &MessageId) -> Option<u32> {
        let is_it = |item: &&Arc<Item>| matches!(item.as_ref(), Item::User { message, .. } if message == wanted);
        let place = self.context().items().iter().position(is_it)?;
        u32::try_from(place).ok()
    }

    /// How many items are sent for a summary of a part: all of them, or where they do not fit those that
    /// it replaces and what is before them. None where these do not fit either.
    pub(crate) fn sent_for_summary(
        &self,
        part: &ContextPart,
        cause: CompactionCause,
    ) -> Option<u32> {
        let room = self.limits_of_context().room();
        if self.estimate() <= room {
            return Some(self.items());
        }
        let span = self.summarised(part, cause).ok()?;
        (self.estimate_of_first(span.to) <= room).then_some(span.to)
    }

    /// Tokens of a request with so many items of the context, as estimated.
    pub(crate) fn estimate_of_first(&self, items: u32) -> u64 {
        if items == self.items() {
            return self.estimate();
        }
        let span = Span { from: 0, to: items };
        self.state.scale.request_afresh(self.weight_of(span))
    }

    /// A summary was asked for and came.
    pub(crate) fn summarised_by_model(&mut self, reply: &Reply) {
        let mut text = summary_text(reply);
        let part = self.state.compacting.part();
        let span = match reply.stop {
            TokenStop::Refusal => Err("the model refused".to_owned()),
            _ if text.len() < SHORTEST => Err(format!(
                "the answer has {} characters, which is no summary",
                text.len()
            )),
            _ => self.summarised(&part, self.cause()),
        };
        // The limits may have changed since it was asked for: it stands for nothing that was not sent.
        let sent = self.state.turn.items();
        let span = match span {
            Ok(span) => Span {
                to: span.to.min(sent),
                ..span
            },
            Err(reason) => return self.compaction_failed(CompactionKind::Summary, reason),
        };
        if reply.stop == TokenStop::MaxTokens {
            // It still says more than nothing, which would stand there instead.
            text.push_str(CUT_BY_MODEL);
        }
        let ledger = self.ledger_item();
        let most = usize::try_from(self.room_for_summary(span, &ledger)).unwrap_or(usize::MAX);
        let most = most.min(LONGEST);
        let head = vec![
            ledger,
            Item::Summary {
                text: cut(text, most),
                opaque: None,
            },
        ];
        self.put_in_place(CompactionKind::Summary, span, head);
    }

    /// Puts what was made in place of what it stands for, unless that would make nothing smaller.
    fn put_in_place(&mut self, kind: CompactionKind, replaced: Span, head: Vec<Item>) {
        // Nobody knows what a provider's own block weighs: of it only the words count.
        let known = |item: &Item| match item {
            Item::Summary { text, .. } => weight::with_text(text),
            item => weight::of(item),
        };
        let (after, before) = (head.iter().map(known).sum(), self.weight_of(replaced));
        if before <= after {
            let scale = &self.state.scale;
            let reason = format!(
                "with the ledger (what may not be lost) it would be no smaller than what it replaces: \
                 about {} tokens for {}",
                scale.tokens(after),
                scale.tokens(before)
            );
            return self.compaction_failed(kind, reason);
        }
        let cause = self.cause();
        self.done(kind, cause, replaced, head, Vec::new());
        self.after_compaction();
    }

    /// What a summary may weigh: at most a quarter of what fits, and less where what stays needs it.
    fn room_for_summary(&self, replaced: Span, ledger: &Item) -> u64 {
        let (room, scale) = (self.limits_of_context().room(), &self.state.scale);
        let stays = self.weight() - self.weight_of(replaced) + weight::of(ledger);
        let left = room.saturating_sub(scale.prefix() + scale.tokens(stays));
        scale.weight((left / 10 * 9).clamp(room / 16, room / 4))
    }

    /// The provider was asked to compact and answered.
    pub(crate) fn compacted_by_provider(&mut self, reply: &Reply) {
        let is_summary = |item: &&Item| matches!(item, Item::Summary { .. });
        let mut head: Vec<Item> = reply.items.iter().filter(is_summary).cloned().collect();
        let speaks = head.iter().any(|item| match item {
            Item::Summary { text, opaque } => !text.trim().is_empty() || opaque.is_some(),
            _ => false,
        });
        if !speaks {
            let reason = "the provider's answer holds no compaction".to_owned();
            return self.compaction_failed(CompactionKind::Provider, reason);
        }
        head.push(self.ledger_item());
        self.put_in_place(CompactionKind::Provider, self.whole(), head);
    }

    /// A provider that compacts by itself drops all that stands before its block. The ledger moves
    /// behind it.
    pub(crate) fn move_ledger_behind_a_provider_compaction(&mut self) {
        if !self.state.compacting.has_block() {
            return;
        }
        let items = self.context().items();
        let Some(place) = items.iter().rposition(|item| is_block(item)) else {
            return;
        };
        // One of an earlier compaction by us stands first, with the ledger right behind it.
        let behind = items.get(place + 1).map(AsRef::as_ref);
        let known = matches!(behind, Some(Item::Ledger { .. } | Item::Summary { .. }));
        let of_its_reply = items.iter().take(place).rev();
        let mut of_its_reply = of_its_reply.take_while(|item| is_by_model(item));
        let parts_calls = of_its_reply.any(|item| matches!(item.as_ref(), Item::ToolCall(_)));
        if place == 0 || known || parts_calls {
            return;
        }
        let span = Span {
            from: 0,
            to: u32::try_from(place).unwrap_or(u32::MAX),
        };
        let tail = vec![self.ledger_item()];
        self.compact(Compaction {
            kind: CompactionKind::Provider,
            cause: CompactionCause::Threshold,
            replaced: span,
            head: Vec::new(),
            cleared: Vec::new(),
            tail,
            tokens_before: 0,
            tokens_after: 0,
        });
    }
}

/// Whether an item opens a step: nothing of a step is ever parted from the rest of it.
fn starts_step(before: Option<&Item>, item: &Item) -> bool {
    match item {
        Item::ToolResult { .. } => false,
        item if is_by_model(item) => !before.is_some_and(is_by_model),
        _ => true,
    }
}

fn is_by_model(item: &Item) -> bool {
    let speaks = matches!(
        item,
        Item::Assistant { .. } | Item::Thinking { .. } | Item::ToolCall(_) | Item::Foreign { .. }
    );
    speaks || is_block(item)
}

/// Whether an item is a provider's own compaction.
pub(crate) fn is_block(item: &Item) -> bool {
    matches!(
        item,
        Item::Summary {
            opaque: Some(_),
            ..
        }
    )
}

fn summary_text(reply: &Reply) -> String {
    let words = reply.items.iter().filter_map(|item| match item {
        Item::Assistant { text, .. } => Some(text.trim()),
        _ => None,
    });
    words.collect::<Vec<_>>().join("\n\n").trim().to_owned()
}

fn cut(mut text: String, most: usize) -> String {
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most));
        text.push_str("… [cut]");
    }
    text
}

/// What the model is asked for a summary with; it is the last item of that request alone.
pub(crate) fn request_for_summary(focus: &str, part: &ContextPart) -> String {
    let which = match part {
        ContextPart::Older => String::new(),
        ContextPart::UpTo { message } => {
            format!(" Summarise only what stands before the person's message {message}.")
        }
        ContextPart::From { message } => {
            format!(" Summarise only what stands from the person's message {message} on.")
        }
    };
    let focus = match focus.trim() {
        "" => String::new(),
        focus => format!("\nDwell on this: {focus}"),
    };
    format!("{ASKED}{which}{focus}")
}

const ASKED: &str = "\
The context is about to be compacted: older messages will be replaced by the summary that you write \
now. What people said, noted rules, decisions and failures, the plan, the files changed and the last \
commands are kept word for word beside it, so do not repeat them. Write, in plain text and without \
calling any tool, what else whoever goes on must know: what was found out (with file names, lines, \
identifiers, numbers, exact error texts), how things hang together, what state the work is in right \
now, what was about to be done next and why, and what was promised. Do not claim anything as done \
that no result shows. At most 1,500 words.";

/// What became of a request for a compaction that failed.
pub(crate) fn failed_way(purpose: &Purpose) -> Option<CompactionKind> {
    match purpose {
        Purpose::Summary => Some(CompactionKind::Summary),
        Purpose::Compact { .. } => Some(CompactionKind::Provider),
        Purpose::Work | Purpose::Judge => None,
    }
}
