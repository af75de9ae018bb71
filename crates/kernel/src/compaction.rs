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
use crate::ledger::Besides;
use crate::weight;

/// A result is worth clearing from so many bytes on.
const LARGE: u64 = 1_000;

/// What is known of compactions made, wanted and failed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Compacting {
    /// A person's wish that is not fulfilled yet.
    wanted: Option<Arc<Wanted>>,
    /// Whether a turn is to be opened for it alone.
    opens_turn: bool,
    /// Ways that failed since the context last was that large.
    failed: Vec<CompactionKind>,
    /// The weight of the context at the first of these failures.
    failed_at: u64,
    /// The provider said that the context does not fit, and nothing was done about it yet.
    pub(crate) overflown: bool,
    /// Compactions since the model last answered: more than a few mean that nothing helps.
    in_a_row: u32,
    /// A person took the last one back: none is made before the context is full.
    held: bool,
}

/// What a person wants compacted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    focus: String,
    part: ContextPart,
}

/// What is due.
struct Due {
    cause: CompactionCause,
    part: ContextPart,
    focus: String,
}

impl Compacting {
    pub(crate) fn step(&mut self, step: &CompactionStep, weight: u64, in_turn: bool) {
        match step {
            CompactionStep::Asked { focus, part } => {
                self.wanted = Some(Arc::new(Wanted {
                    focus: focus.clone(),
                    part: part.clone(),
                }));
                self.opens_turn = !in_turn;
            }
            CompactionStep::Done { compaction } => {
                self.wanted = None;
                self.overflown = false;
                self.held = false;
                self.in_a_row += 1;
                if compaction.kind != CompactionKind::Clear {
                    self.failed.clear();
                }
            }
            CompactionStep::Failed { kind, .. } => {
                if self.failed.is_empty() {
                    self.failed_at = weight;
                }
                self.failed.push(*kind);
            }
            CompactionStep::Undone => {
                self.held = true;
                self.failed.clear();
            }
        }
    }

    /// The model answered with a context of this weight.
    pub(crate) fn answered(&mut self, weight: u64) {
        self.in_a_row = 0;
        if weight > self.failed_at / 10 * 11 {
            self.failed.clear();
        }
    }

    pub(crate) fn overflowed(&mut self) {
        self.overflown = true;
    }

    /// A turn begins: whether it does so for a compaction alone.
    pub(crate) fn opens_turn(&mut self) -> bool {
        std::mem::take(&mut self.opens_turn)
    }

    pub(crate) fn turn_ended(&mut self) {
        self.wanted = None;
        self.overflown = false;
        self.in_a_row = 0;
    }

    pub(crate) fn is_wanted(&self) -> bool {
        self.wanted.is_some()
    }

    pub(crate) fn focus(&self) -> &str {
        self.wanted.as_ref().map_or("", |wanted| &wanted.focus)
    }

    pub(crate) fn part(&self) -> ContextPart {
        let wanted = self.wanted.as_ref();
        wanted.map_or_else(ContextPart::default, |wanted| wanted.part.clone())
    }

    fn has_failed(&self, kind: CompactionKind) -> bool {
        self.failed.contains(&kind)
    }
}

impl Draft<'_> {
    /// Takes a person's wish. With no turn open it gets one of its own.
    pub(crate) fn ask_to_compact(&mut self, focus: String, part: ContextPart) {
        if self.items() == 0 {
            return;
        }
        self.record(Event::Compaction(CompactionStep::Asked { focus, part }));
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
        let settings = self.state.settings.as_ref();
        settings.map_or_else(ContextLimits::default, |settings| settings.context.clone())
    }

    /// Tokens of the next request, as estimated.
    pub(crate) fn estimate(&self) -> u64 {
        self.state.scale.request(self.weight())
    }

    fn due(&self) -> Option<Due> {
        let limits = self.limits_of_context();
        let state = &self.state.compacting;
        let cause = if state.is_wanted() {
            CompactionCause::Asked
        } else if state.overflown {
            CompactionCause::Overflow
        } else {
            let off = state.held || limits.compaction == CompactionMode::Off;
            let most = if off {
                limits.room()
            } else {
                limits.compact_at.min(limits.room())
            };
            (self.estimate() >= most).then_some(CompactionCause::Threshold)?
        };
        Some(Due {
            cause,
            part: state.part(),
            focus: state.focus().to_owned(),
        })
    }

    /// Makes room if it is needed. Returns whether the next request may be sent now: otherwise a
    /// request for a summary was sent, or the turn ended.
    pub(crate) fn make_room(&mut self) -> bool {
        self.move_ledger_behind_a_provider_compaction();
        let Some(due) = self.due() else {
            return true;
        };
        if self.state.compacting.in_a_row > 3 {
            self.end_without_room();
            return false;
        }
        if due.cause != CompactionCause::Asked && self.clear(&due) {
            return true;
        }
        match self.way(&due) {
            Some(CompactionKind::Summary) => self.ask_model(Purpose::Summary),
            Some(_) => self.ask_model(Purpose::Compact { focus: due.focus }),
            None => return self.do_without_summary(&due),
        }
        false
    }

    /// The next way to have a summary made that has not failed.
    fn way(&self, due: &Due) -> Option<CompactionKind> {
        use CompactionKind::{Provider, Summary};
        let limits = self.limits_of_context();
        // A summary needs the whole context sent once more.
        if due.cause == CompactionCause::Overflow || self.estimate() > limits.room() {
            return None;
        }
        let whole = due.part == ContextPart::Older;
        let ways: &[CompactionKind] = match limits.compaction {
            CompactionMode::Provider | CompactionMode::ProviderThreshold if whole => {
                &[Provider, Summary]
            }
            _ => &[Summary],
        };
        let state = &self.state.compacting;
        ways.iter().copied().find(|way| !state.has_failed(*way))
    }

    /// The first stage: results that are old and large become one line. Done only where that makes
    /// room enough to be worth losing the provider's cache for.
    fn clear(&mut self, due: &Due) -> bool {
        let limits = self.limits_of_context();
        let (cleared, freed) = self.clearable();
        let (before, freed) = (self.estimate(), self.state.scale.tokens(freed));
        let after = before.saturating_sub(freed);
        let enough = match due.cause {
            CompactionCause::Overflow => freed >= before / 5,
            _ => after <= limits.compact_at / 10 * 7,
        };
        if enough && !cleared.is_empty() {
            self.done(
                CompactionKind::Clear,
                due.cause,
                Span::default(),
                Vec::new(),
                cleared,
            );
        }
        enough
    }

    /// The calls whose results are old and large, and what is gained by clearing them.
    fn clearable(&self) -> (Vec<CallId>, u64) {
        let items = self.context().items();
        let newest = usize::try_from(self.newest_from(self.kept())).unwrap_or(usize::MAX);
        let mut calls = Vec::new();
        let mut freed = 0;
        for item in items.iter().take(newest) {
            let weight = weight::of(item);
            if let Item::ToolResult { call, .. } = item.as_ref()
                && weight > LARGE
            {
                calls.push(*call);
                freed += weight - 150;
            }
        }
        (calls, freed)
    }

    pub(crate) fn cause(&self) -> CompactionCause {
        if self.state.compacting.is_wanted() {
            CompactionCause::Asked
        } else {
            CompactionCause::Threshold
        }
    }

    /// One way failed: the next one is tried.
    pub(crate) fn compaction_failed(&mut self, kind: CompactionKind, reason: String) {
        self.record(Event::Compaction(CompactionStep::Failed { kind, reason }));
        self.after_compaction();
    }

    /// Goes on with what the compaction was in the way of; where it was all that was wanted, the turn
    /// is over.
    pub(crate) fn after_compaction(&mut self) {
        let state = &self.state;
        let nothing_else = state.turn.requests() == 0 && state.turn.is_for_compaction();
        if nothing_else && !state.compacting.is_wanted() && !state.mail.has_steers() {
            return self.end(StopReason::EndTurn, String::new());
        }
        self.cross_boundary();
    }

    /// No summary can be had. What was asked for is not done, and says so; what does not fit any more
    /// is cut; anything else goes on as it is.
    fn do_without_summary(&mut self, due: &Due) -> bool {
        let limits = self.limits_of_context();
        let full = due.cause == CompactionCause::Overflow || self.estimate() >= limits.room();
        if !full && due.cause != CompactionCause::Asked {
            return true;
        }
        let (cleared, _) = self.clearable();
        let span = self.summarised(&ContextPart::Older);
        if due.cause == CompactionCause::Asked && !full {
            self.done(
                CompactionKind::Clear,
                due.cause,
                Span::default(),
                Vec::new(),
                cleared,
            );
        } else {
            let head = vec![self.ledger_item()];
            if !span.is_empty() {
                self.done(CompactionKind::Cut, due.cause, span, head, Vec::new());
            }
            if span.is_empty() || self.estimate() >= limits.room() {
                self.end_without_room();
                return false;
            }
        }
        if self.state.turn.requests() == 0 && self.state.turn.is_for_compaction() {
            self.after_compaction();
            return false;
        }
        true
    }

    fn end_without_room(&mut self) {
        let limits = self.limits_of_context();
        let scale = &self.state.scale;
        let ledger = scale.tokens(weight::of(&self.ledger_item()));
        let detail = format!(
            "the context does not fit the model: about {} tokens, of which the instructions and \
             tools take {} and the ledger (what may not be lost) {}; the model's window has {}, \
             {} of them kept for the answer. Take a model with a larger window, or set \
             `context.window` right",
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
        self.record(Event::Compaction(CompactionStep::Done { compaction }));
    }

    pub(crate) fn ledger_item(&self) -> Item {
        let limits = self.limits_of_context();
        let most = self.state.scale.weight(limits.room() / 8);
        let text = self
            .state
            .ledger
            .render(&self.besides(), usize::try_from(most).unwrap_or(usize::MAX));
        Item::Ledger { text }
    }

    fn besides(&self) -> Besides<'_> {
        Besides {
            goal: self.state.goal.text(),
            plan: self.state.plan.iter().map(plan_line).collect(),
            jobs: self
                .state
                .jobs
                .running()
                .map(|job| format!("- job {job}"))
                .collect(),
        }
    }
}

fn plan_line(step: &quire_protocol::PlanStep) -> String {
    use quire_protocol::PlanStatus::{Completed, InProgress, Pending};
    let mark = match step.status {
        Pending => "[ ]",
        InProgress => "[>]",
        Completed => "[x]",
    };
    format!("{mark} {}", step.text)
}
