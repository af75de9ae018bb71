//! Goals: told before they are worked for, judged on evidence, and given up within their limits.

use std::collections::BTreeSet;

use quire_protocol::{
    CallId, CheckRun, Delivery, Event, Goal, GoalStep, GoalVerdict, Judgement, Note, NoteKind,
    Purpose, TokenStop,
};

use super::{Checked, ensure};

/// The goal and what was judged of it, computed again.
#[derive(Debug, Default)]
pub(super) struct Goals {
    goal: Option<Goal>,
    told: bool,
    /// Verdicts since a person last spoke.
    verdicts: u32,
    /// Verdicts in a row that found nothing new.
    stale: u32,
    /// What was there at each verdict: notes, checks that succeeded, and a hash of the changes.
    past: Vec<(usize, Vec<bool>, u64)>,
    notes: BTreeSet<(NoteKind, String)>,
    /// Calls that ended a command or changed a file.
    shown: BTreeSet<CallId>,
    /// The goal that the open judgement is about is still there.
    judging: bool,
    /// The verdict of this decision.
    pub(super) verdict: Option<GoalVerdict>,
    /// Whether a verdict of this turn says what became of it.
    pub(super) judged: bool,
}

impl Goals {
    pub(super) fn is_set(&self) -> bool {
        self.goal.is_some()
    }

    /// Whether the last verdict was one too many.
    pub(super) fn gives_up(&self) -> bool {
        let goal = self.goal.as_ref();
        goal.is_some_and(|goal| {
            self.stale >= goal.patience.max(1) || self.verdicts >= goal.verdicts.max(1)
        })
    }

    pub(super) fn saw(&mut self, event: &Event, last_stop: Option<TokenStop>) -> Checked {
        match event {
            Event::TurnStarted { .. } => self.judged = false,
            Event::MessageAccepted { delivery, .. } if *delivery != Delivery::Note => {
                (self.stale, self.verdicts) = (0, 0);
            }
            Event::Noticed { text } => self.told |= text.starts_with("A goal is set"),
            Event::ToolEnded { call, outcome } => {
                if outcome.end.is_some() || !outcome.changes.is_empty() {
                    self.shown.insert(*call);
                }
                if let Some(note) = &outcome.note {
                    self.noted(note);
                }
            }
            Event::ModelCalled {
                purpose: Purpose::Judge,
                ..
            } => {
                ensure!(
                    self.is_set() && self.told,
                    "a goal is judged that is not told"
                );
                let over = matches!(last_stop, Some(TokenStop::EndTurn | TokenStop::ToolUse));
                ensure!(over, "a goal is judged in the middle of a turn");
                self.judging = true;
            }
            Event::ModelCalled { .. } => {
                ensure!(
                    self.told || !self.is_set(),
                    "the model is not told the goal"
                );
            }
            Event::Goal(step) => self.step(step)?,
            _ => {}
        }
        Ok(())
    }

    fn noted(&mut self, note: &Note) {
        if note.kind != NoteKind::Done {
            self.notes.insert((note.kind, note.text.clone()));
        }
    }

    fn step(&mut self, step: &GoalStep) -> Checked {
        match step {
            GoalStep::Set { goal } => self.over(Some(goal.clone())),
            GoalStep::Dropped { .. } => {
                ensure!(self.is_set(), "no goal to drop");
                self.over(None);
            }
            GoalStep::Judged { judgement } => self.judged(judgement)?,
        }
        Ok(())
    }

    fn over(&mut self, goal: Option<Goal>) {
        *self = Self {
            goal,
            notes: std::mem::take(&mut self.notes),
            shown: std::mem::take(&mut self.shown),
            verdict: self.verdict,
            judged: self.judged,
            ..Self::default()
        };
    }

    fn judged(&mut self, judgement: &Judgement) -> Checked {
        ensure!(self.judging, "a verdict on another goal");
        self.judging = false;
        let unfounded = judgement
            .evidence
            .iter()
            .find(|call| !self.shown.contains(call));
        ensure!(unfounded.is_none(), "call {unfounded:?} shows nothing");
        let checks: Vec<bool> = judgement.checks.iter().map(CheckRun::succeeded).collect();
        if judgement.verdict == GoalVerdict::Met {
            ensure!(!checks.contains(&false), "met against a check");
            let shown = !judgement.evidence.is_empty() || !checks.is_empty();
            ensure!(shown, "met without evidence");
        }
        self.verdicts += 1;
        let there = |changes| (self.notes.len(), checks.clone(), changes);
        let late = self.past.iter().rev().take(16);
        let known = late.clone().any(|past| *past == there(judgement.changes));
        self.stale = if known { self.stale + 1 } else { 0 };
        let left = there(judgement.left);
        self.past.push(left);
        self.verdict = Some(judgement.verdict);
        self.judged = true;
        Ok(())
    }
}
