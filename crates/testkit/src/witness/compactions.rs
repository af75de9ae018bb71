//! Compactions: what calls for them, that they come to an end, and that nothing of the ledger is lost.

use quire_protocol::{
    Compaction, CompactionCause, CompactionKind, CompactionStep, Content, Event, Goal, GoalStep,
    Item, MessageId, NoteKind, PlanStep, Purpose, StopReason,
};

use super::{Checked, ensure};

/// As much of a message as a ledger always holds.
const LEAST: usize = 64;
/// As much of the newest message as a ledger holds.
const NEWEST: usize = 16 * 1_024;

/// What a ledger must hold, and what was done since the last request for work.
#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "plain facts, one by one, as the journal says them"
)]
pub(super) struct Compactions {
    said: Vec<(MessageId, String)>,
    notes: Vec<String>,
    plan: Vec<String>,
    goal: Option<String>,
    /// Whether a wish is open.
    wanted: bool,
    /// What was wished, asked of a model, and done since the last request for work.
    wishes: u32,
    requests: u32,
    done: u32,
    /// Tokens of the next request as the session had them after the last event.
    estimate: u64,
    /// Tokens of the last request for work.
    asked: u64,
    /// Whether the open request is one for work, and whether one was answered by this model.
    works: bool,
    answered: bool,
    /// Whether the provider refused a request as too large, and takes less than is set.
    pub(super) refused: bool,
    /// How large one was that nothing was answered since.
    just_refused: Option<u64>,
}

impl Compactions {
    pub(super) fn said(&mut self, message: &MessageId, words: &[Content]) {
        let texts: Vec<&str> = words.iter().filter_map(Content::as_text).collect();
        self.said.push((message.clone(), texts.join("\n")));
    }

    /// Tokens of the next request before this event.
    pub(super) fn estimate(&self) -> u64 {
        self.estimate
    }

    pub(super) fn saw(&mut self, event: &Event, estimate: u64) -> Checked {
        match event {
            Event::ToolEnded { outcome, .. } => {
                if let Some(note) = &outcome.note
                    && note.kind != NoteKind::Done
                {
                    self.notes.push(note.text.clone());
                }
            }
            Event::PlanSet { steps } => self.plan = steps.iter().map(plan_line).collect(),
            Event::Goal(GoalStep::Set { goal }) => self.goal = Some(text_of(goal)),
            Event::Goal(GoalStep::Dropped { .. }) => self.goal = None,
            Event::ModelCalled {
                purpose, estimate, ..
            } => self.called(purpose, *estimate)?,
            Event::ModelReplied { .. } => {
                self.just_refused = None;
                self.answered |= self.works;
            }
            Event::TurnEnded { reason, .. } => {
                if *reason == StopReason::Error {
                    self.model_changed();
                }
                self.wanted &= *reason != StopReason::Cancelled;
                (self.wishes, self.requests, self.done) = (0, 0, 0);
            }
            // What a crash took is asked for once more.
            Event::Recovered { .. } => self.requests = 0,
            Event::Compaction(step) => self.step(step, estimate)?,
            _ => {}
        }
        self.estimate = estimate;
        Ok(())
    }

    /// Another model: all sizes are guesses.
    pub(super) fn model_changed(&mut self) {
        self.window_changed();
        self.answered = false;
    }

    /// As many tokens as may be sent where so many are set: before the first answer a little more.
    pub(super) fn most(&self, set: u64) -> u64 {
        let untried = !self.answered && !self.refused;
        set.saturating_add(if untried { set / 8 } else { 0 })
    }

    /// Another window: nothing is known of what it takes.
    pub(super) fn window_changed(&mut self) {
        (self.refused, self.just_refused) = (false, None);
    }

    /// The last request for work did not fit.
    pub(super) fn refused(&mut self) {
        (self.refused, self.just_refused) = (true, Some(self.asked));
    }

    /// Two ways at most for each wish, and for want of room. What was refused is not sent again.
    fn called(&mut self, purpose: &Purpose, estimate: u64) -> Checked {
        self.works = purpose.is_work();
        match purpose {
            Purpose::Work => {
                (self.wishes, self.requests, self.done) = (0, 0, 0);
                self.asked = estimate;
                let less = self.just_refused.is_none_or(|refused| estimate < refused);
                ensure!(less, "{estimate} tokens are sent again that did not fit");
            }
            Purpose::Summary | Purpose::Compact { .. } => self.requests += 1,
            Purpose::Judge => {}
        }
        ensure!(
            self.requests <= 2 * (self.wishes + 2),
            "{} requests for a compaction after {} wishes",
            self.requests,
            self.wishes
        );
        Ok(())
    }

    fn step(&mut self, step: &CompactionStep, estimate: u64) -> Checked {
        match step {
            CompactionStep::Asked { .. } => {
                self.wanted = true;
                self.wishes += 1;
            }
            // A wish ends with its last way.
            CompactionStep::Failed { kind, .. } => {
                self.wanted &= *kind == CompactionKind::Provider;
            }
            CompactionStep::Undone => {}
            CompactionStep::Done { compaction } => {
                self.wanted &= compaction.cause != CompactionCause::Asked;
                self.done += 1;
                ensure!(
                    self.done <= 2 * (self.wishes + 3),
                    "{} compactions in a row",
                    self.done
                );
                ensure!(
                    compaction.tokens_before == self.estimate
                        && compaction.tokens_after == estimate,
                    "the sizes of a compaction are wrong"
                );
                self.done_well(compaction)?;
            }
        }
        Ok(())
    }

    fn done_well(&self, compaction: &Compaction) -> Checked {
        let clears = compaction.kind == CompactionKind::Clear;
        ensure!(
            clears == compaction.replaced.is_empty(),
            "{:?} of {:?}",
            compaction.kind,
            compaction.replaced
        );
        ensure!(
            clears != compaction.cleared.is_empty(),
            "clears {:?}",
            compaction.cleared
        );
        if clears {
            return Ok(());
        }
        let ledger = compaction
            .head
            .iter()
            .chain(&compaction.tail)
            .find_map(|item| match item {
                Item::Ledger { text } => Some(text.as_str()),
                _ => None,
            });
        self.all_in(ledger.ok_or("a compaction without a ledger")?)
    }

    /// Whether everything is in the ledger word for word.
    fn all_in(&self, ledger: &str) -> Checked {
        for (message, text) in &self.said {
            let newest = self.said.last().is_some_and(|(last, _)| last == message);
            let least = if newest { NEWEST } else { LEAST };
            let kept = &text[..text.floor_char_boundary(least.min(text.len()))];
            let line = format!("[message:{message}] {kept}");
            ensure!(ledger.contains(&line), "the ledger lost message {message}");
        }
        for fact in self.notes.iter().chain(&self.plan).chain(&self.goal) {
            ensure!(ledger.contains(fact.as_str()), "the ledger lost: {fact}");
        }
        Ok(())
    }

    /// Whether a wish is open though no turn is, after one that ended so.
    pub(super) fn forgets_a_wish(&self) -> bool {
        self.wanted
    }
}

fn text_of(goal: &Goal) -> String {
    goal.text.clone()
}

fn plan_line(step: &PlanStep) -> String {
    step.text.clone()
}
