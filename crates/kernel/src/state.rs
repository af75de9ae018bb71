//! Everything a session knows besides its context, and how events change it. Small, whatever the
//! session's length, because every decision copies it.

use std::sync::Arc;

use quire_protocol::{
    Answer, CallId, Event, Item, Limits, MessageId, PlanStep, Settings, ToolOutcome,
};

use crate::approvals::rule_of;
use crate::budget::Spent;
use crate::calls::Step;
use crate::context::Context;
use crate::jobs::Jobs;
use crate::progress::Progress;
use crate::steering::Mail;
use crate::turn::Turn;

/// A session without its context.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) settings: Option<Arc<Settings>>,
    pub(crate) turn: Turn,
    pub(crate) step: Step,
    pub(crate) mail: Mail,
    pub(crate) spent: Spent,
    pub(crate) progress: Progress,
    pub(crate) jobs: Jobs,
    pub(crate) plan: Arc<[PlanStep]>,
}

impl State {
    /// The limits in force.
    pub(crate) fn limits(&self) -> Limits {
        self.settings
            .as_ref()
            .map(|settings| settings.limits.clone())
            .unwrap_or_default()
    }

    /// Folds one event in, and appends to the context what it adds there. Names every event, so that
    /// a new one cannot be folded by nobody.
    pub(crate) fn apply(&mut self, event: &Event, context: &mut impl Context) {
        match event {
            Event::Configured { settings } => self.configured(settings),
            // The session keeps the prefix: no decision needs it.
            Event::PrefixSet { .. } => {}
            Event::PlanSet { steps } => self.plan = steps.as_slice().into(),
            Event::TurnStarted { turn } => {
                self.turn.started(*turn);
                self.progress.reset();
            }
            Event::ModelCalled { request, .. } => self.turn.called(*request),
            Event::ModelReplied {
                items,
                plans,
                usage,
                cost,
                ..
            } => {
                self.turn.heard(items);
                self.spent.add_answer(*usage, *cost);
                self.step.opened(items, plans, context);
            }
            Event::ModelFailed { usage, cost, .. } => {
                self.turn.answered();
                self.spent.add(*usage, *cost);
            }
            Event::InterruptAccepted { cause } => self.turn.interrupted(cause),
            Event::TurnEnded { .. } => self.turn.ended(),
            Event::Recovered { .. } => self.turn.recovered(),
            Event::ApprovalAsked { call, approval } => self.step.asked(*call, approval),
            Event::ApprovalAnswered { call, answer } => self.answered(*call, answer),
            Event::ToolStarted { call } => {
                self.step.started(*call);
                self.turn.woken();
            }
            Event::ToolEnded { call, outcome } => self.tool_ended(*call, outcome, context),
            Event::MessageAccepted {
                message,
                delivery,
                content,
            } => {
                self.mail.accepted(message, *delivery, content);
                self.turn.spoken_to();
            }
            Event::MessageDelivered { message } => self.delivered(message, context),
            Event::JobStarted { job, call } => {
                self.jobs.started(*job);
                self.step.job_started(*call);
            }
            Event::JobEnded { end } => self.jobs.ended(end),
            Event::Noticed { text } => {
                context.push(|| Item::Notice { text: text.clone() });
                self.jobs.told(text);
                self.progress.noticed(text);
            }
        }
    }

    fn configured(&mut self, settings: &Settings) {
        if settings.limits.budget != self.limits().budget {
            self.spent.budget_changed();
        }
        self.settings = Some(Arc::new(settings.clone()));
    }

    fn tool_ended(&mut self, call: CallId, outcome: &ToolOutcome, context: &mut impl Context) {
        for settled in self.step.ended(call, outcome, context) {
            self.progress.add(&settled);
        }
        if self.step.is_empty() {
            self.progress.step_done();
        }
    }

    fn delivered(&mut self, message: &MessageId, context: &mut impl Context) {
        if let Some(letter) = self.mail.delivered(message) {
            context.push(|| Item::User {
                message: letter.message.clone(),
                content: letter.content.clone(),
            });
        }
        self.progress.reset();
    }

    /// "Always" becomes a rule of the session's policy, and so part of the fold.
    fn answered(&mut self, call: CallId, answer: &Answer) {
        let Some(approval) = self.step.answered(call, answer) else {
            return;
        };
        let rule = rule_of(&approval).filter(|_| *answer == Answer::AllowAlways);
        if let (Some(settings), Some(rule)) = (self.settings.as_mut(), rule) {
            Arc::make_mut(settings).policy.rules.push(rule);
        }
    }
}
