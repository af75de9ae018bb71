//! When the context is compacted, and how: old results first, then a summary by the model or the
//! provider, and where nothing of that works, the ledger and the newest steps alone.
//!
//! Every way that fails is noted as a fact, so that no way is tried twice in a row: a compaction can
//! never loop, and never keeps a session from going on.

use std::sync::Arc;

use quire_protocol::{
    CallId, Compaction, CompactionCause, CompactionKind, CompactionMode, CompactionStep,
    ContextLimits, ContextPart, Event, Item, ModelErrorKind, Purpose, Span, StopReason,
};

use crate::context::Context;
use crate::draft::Draft;
use crate::weight;

/// A result is worth clearing from so many bytes on.
const LARGE: u64 = 1_000;

/// What is known of compactions made, wanted and failed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Compacting {
    /// A person's wish that nothing was done about yet.
    wanted: Option<Arc<Wanted>>,
    /// What the open request for a compaction fulfils.
    doing: Option<Doing>,
    /// Ways that failed since the context last was that large.
    failed: Vec<CompactionKind>,
    /// The weight of the context at the first of these failures.
    failed_at: u64,
    /// The provider said that the context does not fit, and nothing was done about it yet.
    pub(crate) overflown: bool,
    /// Compactions since the model last answered: more than a few mean that nothing helps.
    pub(crate) in_a_row: u32,
    /// What the last compaction left, as a weight: it pays only once there is much more than that.
    left: u64,
    /// A reply held the provider's own compaction, and the ledger may still stand before it.
    block: bool,
    /// A person took the last one back: none is made before the context is full.
    held: bool,
}

/// What a person wants compacted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    focus: String,
    part: ContextPart,
}

/// What a request for a compaction fulfils.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Doing {
    /// None where nobody asked for it.
    wish: Option<Arc<Wanted>>,
}

/// What is due.
pub(crate) struct Due {
    pub(crate) cause: CompactionCause,
    pub(crate) part: ContextPart,
    focus: String,
}

impl Compacting {
    /// Takes a step, before which the context has this weight.
    pub(crate) fn step(&mut self, step: &CompactionStep, weight: u64) {
        match step {
            CompactionStep::Asked { focus, part } => {
                self.wanted = Some(Arc::new(Wanted {
                    focus: focus.clone(),
                    part: part.clone(),
                }));
                self.failed.clear();
            }
            CompactionStep::Done { compaction } => {
                if self.doing.take().is_none() && compaction.cause == CompactionCause::Asked {
                    self.wanted = None;
                }
                self.overflown = false;
                self.held = false;
                self.in_a_row += 1;
                if compaction.kind != CompactionKind::Clear {
                    self.failed.clear();
                }
                self.block &= compaction.kind != CompactionKind::Provider;
            }
            CompactionStep::Failed { kind, .. } => self.way_failed(*kind, weight),
            CompactionStep::Undone => {
                self.held = true;
                self.block = true;
                self.left = 0;
                self.failed.clear();
            }
        }
    }

    /// A wish is given up with its last way, which is a summary.
    fn way_failed(&mut self, kind: CompactionKind, weight: u64) {
        if self.failed.is_empty() {
            self.failed_at = weight;
        }
        self.failed.push(kind);
        match (self.doing.take(), kind) {
            (Some(doing), CompactionKind::Provider) => {
                self.wanted = self.wanted.take().or(doing.wish);
            }
            (None, CompactionKind::Summary) => self.wanted = None,
            (Some(_) | None, _) => {}
        }
    }

    /// The context has this weight after it was compacted.
    pub(crate) fn left(&mut self, weight: u64) {
        self.left = weight;
    }

    /// A request for a compaction was sent.
    pub(crate) fn begun(&mut self) {
        let wish = self.wanted.take();
        self.doing = Some(Doing { wish });
    }

    /// The request for a compaction was lost in a crash: the wish is open again.
    pub(crate) fn lost(&mut self) {
        if let Some(doing) = self.doing.take() {
            self.wanted = self.wanted.take().or(doing.wish);
        }
    }

    /// The model answered with a context of this weight.
    pub(crate) fn answered(&mut self, weight: u64) {
        self.in_a_row = 0;
        if weight > self.failed_at / 10 * 11 {
            self.failed.clear();
        }
    }

    /// A reply holds the provider's own compaction.
    pub(crate) fn compacted_by_itself(&mut self) {
        self.block = true;
    }

    /// Whether the ledger may stand before a provider's own compaction.
    pub(crate) fn has_block(&self) -> bool {
        self.block
    }

    pub(crate) fn overflowed(&mut self) {
        self.overflown = true;
    }

    /// What did not fit may fit another model or window.
    pub(crate) fn window_changed(&mut self) {
        self.overflown = false;
    }

    /// A wish outlives the turn, unless a person stopped that.
    pub(crate) fn turn_ended(&mut self, reason: StopReason) {
        if reason == StopReason::Cancelled {
            self.wanted = None;
        }
        self.doing = None;
        self.overflown = false;
        self.in_a_row = 0;
    }

    /// Whether this way is not to be tried now.
    pub(crate) fn has_failed(&self, kind: CompactionKind) -> bool {
        self.failed.contains(&kind)
    }

    pub(crate) fn is_wanted(&self) -> bool {
        self.wanted.is_some()
    }

    /// What the open request for a compaction is to dwell on.
    pub(crate) fn focus(&self) -> &str {
        self.doing().map_or("", |wanted| &wanted.focus)
    }

    /// What the open request for a compaction is about.
    pub(crate) fn part(&self) -> ContextPart {
        self.doing()
            .map_or_else(ContextPart::default, |wanted| wanted.part.clone())
    }

    fn doing(&self) -> Option<&Wanted> {
        self.doing.as_ref()?.wish.as_deref()
    }
}

impl Draft<'_> {
    /// Takes a person's wish. With no turn open it gets one of its own, unless a limit forbids it.
    pub(crate) fn ask_to_compact(&mut self, focus: String, part: ContextPart) {
        if self.items() == 0 {
            return;
        }
        self.record(Event::Compaction(CompactionStep::Asked { focus, part }));
        if let (None, Some(reason)) = (self.state.turn.id(), self.forbids_a_turn()) {
            return self.give_wish_up(reason);
        }
        if self.state.turn.id().is_none() {
            self.open_for_compaction();
        } else if self.state.turn.is_dormant() {
            self.advance();
        }
    }

    /// Takes the last compaction back, between turns.
    pub(crate) fn undo_compaction(&mut self) {
        if self.state.turn.id().is_none() && self.context().is_restorable() {
            self.record(Event::Compaction(CompactionStep::Undone));
        }
    }

    pub(crate) fn limits_of_context(&self) -> ContextLimits {
        self.state.context_limits()
    }

    /// Tokens of the next request, as estimated.
    pub(crate) fn estimate(&self) -> u64 {
        self.state.scale.request(self.weight())
    }

    /// Whether nothing more fits.
    fn is_full(&self) -> bool {
        self.estimate() >= self.limits_of_context().room()
    }

    fn due(&self) -> Option<Due> {
        let state = &self.state.compacting;
        // What does not fit cannot be summarised either: a wish waits until it does.
        let cause = if state.overflown {
            CompactionCause::Overflow
        } else if state.is_wanted() {
            CompactionCause::Asked
        } else {
            let due = self.estimate() >= self.threshold() && !self.is_mostly_unseen();
            due.then_some(CompactionCause::Threshold)?
        };
        let wanted = state.wanted.as_ref();
        Some(Due {
            cause,
            part: wanted.map_or_else(ContextPart::default, |wanted| wanted.part.clone()),
            focus: wanted.map_or_else(String::new, |wanted| wanted.focus.clone()),
        })
    }

    /// Tokens at which the context is compacted without being asked. Where what must stay is larger than
    /// the size that is set, it is not compacted again before much has been added to it.
    fn threshold(&self) -> u64 {
        let limits = self.limits_of_context();
        let state = &self.state.compacting;
        let off = limits.compaction == CompactionMode::Off;
        if off || state.held || state.in_a_row > 0 {
            return limits.room();
        }
        let left = match state.left {
            0 => 0,
            left => self.state.scale.request_afresh(left) + limits.compact_at / 4,
        };
        limits.compact_at.max(left).min(limits.room())
    }

    /// Whether all fits, and nearly all of it is what the model has not seen: it is compacted, if need be,
    /// once the model has.
    fn is_mostly_unseen(&self) -> bool {
        let (estimate, room) = (self.estimate(), self.limits_of_context().room());
        estimate < room && self.state.scale.tokens(self.weight_of(self.seen())) < estimate / 5
    }

    /// Makes room if it is needed. Returns whether the next request may be sent now: otherwise a
    /// request for a summary was sent, or the turn ended.
    pub(crate) fn make_room(&mut self) -> bool {
        self.move_ledger_behind_a_provider_compaction();
        let Some(due) = self.due() else {
            return true;
        };
        if due.cause == CompactionCause::Asked {
            if let Some(reason) = self.unfulfillable(&due) {
                self.give_wish_up(reason);
                return self.goes_on() && self.make_room();
            }
        } else if self.clear(due.cause) {
            return !self.is_full() || self.make_room();
        }
        match self.way(&due) {
            Some(CompactionKind::Summary) => {
                let items = self.sent_for_summary(&due.part, due.cause);
                self.ask_model_with(Purpose::Summary, items.unwrap_or(self.items()));
            }
            Some(_) => self.ask_model(Purpose::Compact { focus: due.focus }),
            None => return self.do_without_summary(due.cause),
        }
        false
    }

    /// The next way to have a summary made that has not failed.
    fn way(&self, due: &Due) -> Option<CompactionKind> {
        use CompactionKind::{Provider, Summary};
        let limits = self.limits_of_context();
        // Another one right behind it helps nobody.
        let again = due.cause != CompactionCause::Asked && self.state.compacting.in_a_row > 0;
        if again || self.sent_for_summary(&due.part, due.cause).is_none() {
            return None;
        }
        // A provider needs the whole context sent once more.
        let whole = due.part == ContextPart::Older && self.estimate() <= limits.room();
        let ways: &[CompactionKind] = match limits.compaction {
            CompactionMode::Provider | CompactionMode::ProviderThreshold if whole => {
                &[Provider, Summary]
            }
            _ if self.summarised(&due.part, due.cause).is_err() => &[],
            _ => &[Summary],
        };
        let state = &self.state.compacting;
        ways.iter().copied().find(|way| !state.has_failed(*way))
    }

    /// Why a wish comes to nothing, if it does. What does not fit is compacted all the same.
    fn unfulfillable(&self, due: &Due) -> Option<String> {
        if self.is_full() {
            return None;
        }
        if let Err(reason) = self.summarised(&due.part, due.cause) {
            return Some(reason);
        }
        let none = self.way(due).is_none();
        none.then(|| "a summary could not be had a moment ago".to_owned())
    }

    fn give_wish_up(&mut self, reason: String) {
        let kind = CompactionKind::Summary;
        self.record(Event::Compaction(CompactionStep::Failed { kind, reason }));
    }

    /// The first stage: results that are old and large become one line. Done only where that makes
    /// room enough to be worth losing the provider's cache for.
    fn clear(&mut self, cause: CompactionCause) -> bool {
        let limits = self.limits_of_context();
        // What the model has not seen only has to fit: it is compacted once it has.
        let most = if self.tokens_of_unseen() > limits.room() / 4 * 3 {
            limits.room() / 10 * 9
        } else {
            limits.compact_at.min(limits.room()) / 10 * 7
        };
        let (cleared, freed) = self.clearable();
        let before = self.estimate();
        let enough = match cause {
            CompactionCause::Overflow => freed >= before / 5,
            CompactionCause::Threshold | CompactionCause::Asked => {
                before.saturating_sub(freed) <= most
            }
        };
        self.clear_if(enough, cause, cleared)
    }

    /// The first stage where no other can be had: done if it lets the next request fit.
    fn clear_to_fit(&mut self, cause: CompactionCause) -> bool {
        let (cleared, freed) = self.clearable();
        let most = self.limits_of_context().room() / 10 * 9;
        let enough = self.estimate().saturating_sub(freed) < most;
        self.clear_if(enough, cause, cleared)
    }

    fn clear_if(&mut self, worth: bool, cause: CompactionCause, cleared: Vec<CallId>) -> bool {
        let clears = worth && !cleared.is_empty();
        if clears {
            let kind = CompactionKind::Clear;
            self.done(kind, cause, Span::default(), Vec::new(), cleared);
        }
        clears
    }

    /// The calls whose results are old and large, and the tokens gained by clearing them. Of those that
    /// the model has not seen, where they cannot all stay, the oldest: only as many as must go.
    fn clearable(&self) -> (Vec<CallId>, u64) {
        let items = self.context().items();
        let place = |place: u32| usize::try_from(place).unwrap_or(usize::MAX);
        let newest = place(self.newest_from(self.kept()));
        let unseen = place(self.seen().to);
        let before = self.estimate();
        let most = if self.state.compacting.overflown {
            before / 2
        } else {
            self.limits_of_context().room() / 10 * 9
        };
        let must_go = self.state.scale.weight(before.saturating_sub(most));
        let mut calls = Vec::new();
        let mut freed = 0;
        for (at, item) in items.iter().enumerate().take(newest) {
            if at >= unseen && freed >= must_go {
                break;
            }
            let weight = weight::of(item);
            if let Item::ToolResult { call, .. } = item.as_ref()
                && weight > LARGE
            {
                calls.push(*call);
                freed += weight - 150;
            }
        }
        (calls, self.state.scale.tokens(freed))
    }

    /// Why the open request for a compaction was sent.
    pub(crate) fn cause(&self) -> CompactionCause {
        match self.state.compacting.doing() {
            Some(_) => CompactionCause::Asked,
            None if self.state.compacting.overflown => CompactionCause::Overflow,
            None => CompactionCause::Threshold,
        }
    }

    /// One way failed: the next one is tried, and where a wish has none left, the first stage alone.
    pub(crate) fn compaction_failed(&mut self, kind: CompactionKind, reason: String) {
        let cause = self.cause();
        self.record(Event::Compaction(CompactionStep::Failed { kind, reason }));
        let given_up = kind == CompactionKind::Summary && cause == CompactionCause::Asked;
        if given_up && !self.state.compacting.is_wanted() {
            let (cleared, _) = self.clearable();
            self.clear_if(true, cause, cleared);
        }
        self.after_compaction();
    }

    /// Goes on with what the compaction was in the way of.
    pub(crate) fn after_compaction(&mut self) {
        if self.goes_on() {
            self.cross_boundary();
        }
    }

    /// Whether there is more to do in the turn. Where a compaction was all that was wanted of it, it is
    /// over, though it had waited at a limit for a message that was taken back meanwhile.
    pub(crate) fn goes_on(&mut self) -> bool {
        let state = &self.state;
        let more = state.turn.has_task() || state.compacting.is_wanted() || state.mail.has_steers();
        if !more {
            self.end(StopReason::EndTurn, String::new());
        }
        more
    }

    /// No summary can be had: what does not fit any more is cut, anything else goes on as it is.
    fn do_without_summary(&mut self, cause: CompactionCause) -> bool {
        let overflown = cause == CompactionCause::Overflow;
        if !overflown && !self.is_full() {
            return true;
        }
        if !overflown && self.clear_to_fit(cause) {
            return self.goes_on();
        }
        let span = self.older(cause);
        let ledger = self.ledger_for_cut(span);
        if weight::of(&ledger) < self.weight_of(span) {
            let kind = CompactionKind::Cut;
            self.done(kind, cause, span, vec![ledger], Vec::new());
            if !self.is_full() {
                return self.goes_on();
            }
        }
        self.end_without_room();
        false
    }

    pub(crate) fn weight_of(&self, span: Span) -> u64 {
        let place = |place: u32| usize::try_from(place).unwrap_or(usize::MAX);
        let items = self.context().items().into_iter();
        weight::of_all(items.take(place(span.to)).skip(place(span.from)))
    }

    fn end_without_room(&mut self) {
        let limits = self.state.set_limits();
        let scale = &self.state.scale;
        let ledger = scale.tokens(weight::of(&self.ledger_item()));
        let room = scale.room(limits.room());
        let learned = if room < limits.room() {
            format!(" (but the provider refused more than about {room})")
        } else {
            String::new()
        };
        let detail = format!(
            "the context does not fit the model: about {} tokens, of which the instructions and \
             tools take {} and the ledger (what may not be lost) {}; the model's window has {}, \
             {} of them kept for the answer{learned}. Take a model with a larger window, or set `window` under \
             [models.NAME] right",
            self.estimate(),
            scale.prefix(),
            ledger,
            limits.window,
            limits.answer,
        );
        self.end(StopReason::Error, detail);
    }

    /// Whether a failure says that the context does not fit, and something can still be done about it:
    /// room is made and the request sent again, twice at most.
    pub(crate) fn can_make_room(&self, kind: ModelErrorKind) -> bool {
        kind == ModelErrorKind::ContextOverflow && self.state.compacting.in_a_row < 2
    }

    pub(crate) fn done(
        &mut self,
        kind: CompactionKind,
        cause: CompactionCause,
        replaced: Span,
        head: Vec<Item>,
        cleared: Vec<CallId>,
    ) {
        self.compact(Compaction {
            kind,
            cause,
            replaced,
            head,
            cleared,
            tail: Vec::new(),
            tokens_before: 0,
            tokens_after: 0,
        });
    }

    /// Records a compaction with the sizes before and after it.
    pub(crate) fn compact(&mut self, mut compaction: Compaction) {
        compaction.tokens_before = self.estimate();
        let mut after = self.context().clone();
        after.compact(&compaction);
        let mut scale = self.state.scale;
        scale.shrunk();
        compaction.tokens_after = scale.request(after.weight());
        let done = compaction.clone();
        self.record(Event::Compaction(CompactionStep::Done { compaction }));
        self.settle_offers(&done);
    }
}
