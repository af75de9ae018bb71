//! Everything a session knows besides its context, and how events change it. Small, whatever the
//! session's length, because every decision copies it.

use std::sync::Arc;

use quire_protocol::{
    Answer, CallId, CompactionStep, ContextLimits, Delivery, Event, Item, Limits, MessageId,
    ModelErrorKind, PlanStep, Prefix, Purpose, Settings, StopReason, ToolOutcome, TravelStep,
};

use crate::budget::Spent;
use crate::calls::Step;
use crate::compaction::Compacting;
use crate::context::Context;
use crate::goal::Aim;
use crate::jobs::Jobs;
use crate::ledger::Ledger;
use crate::news::News;
use crate::offers::Offers;
use crate::planning;
use crate::progress::Progress;
use crate::steering::Mail;
use crate::summary::is_block;
use crate::thinking::Signals;
use crate::travel;
use crate::turn::Turn;
use crate::weight::{self, Scale};

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
    pub(crate) news: News,
    pub(crate) plan: Arc<[PlanStep]>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) scale: Scale,
    pub(crate) compacting: Compacting,
    pub(crate) goal: Aim,
    pub(crate) signals: Signals,
    pub(crate) planning: planning::Told,
    pub(crate) offers: Offers,
}

impl State {
    /// The limits in force.
    pub(crate) fn limits(&self) -> Limits {
        self.settings
            .as_ref()
            .map(|settings| settings.limits.clone())
            .unwrap_or_default()
    }

    /// The limits of the context as they are set.
    pub(crate) fn set_limits(&self) -> ContextLimits {
        let settings = self.settings.as_ref();
        settings.map_or_else(ContextLimits::default, |settings| settings.context.clone())
    }

    /// The limits of the context in force: those that are set, corrected by what is known of sizes.
    pub(crate) fn context_limits(&self) -> ContextLimits {
        let mut limits = self.set_limits();
        let (set, room) = (limits.room(), self.scale.room(limits.room()));
        limits.window = room.saturating_add(limits.answer);
        if room < set {
            limits.compact_at = limits.compact_at.min(room / 10 * 9);
        }
        limits
    }

    /// Folds one event in, and appends to the context what it adds there. Names every event, so that
    /// a new one cannot be folded by nobody.
    pub(crate) fn apply(&mut self, event: &Event, context: &mut impl Context) {
        match event {
            Event::Configured { settings } => self.configured(settings),
            Event::PrefixSet { prefix, .. } => self.prefix_set(prefix),
            Event::PlanSet { steps } => self.plan = steps.as_slice().into(),
            Event::TurnStarted { turn } => {
                self.turn.started(*turn);
                self.spent.turns += 1;
                self.progress.reset();
                self.signals.turn_started();
                self.goal.turn_started();
            }
            Event::ModelCalled { .. } => self.model_called(event, context.weight()),
            Event::ModelReplied { .. } => self.model_replied(event, context),
            Event::ModelFailed {
                error, usage, cost, ..
            } => {
                self.model_failed(error.kind);
                self.spent.add(*usage, *cost);
            }
            Event::InterruptAccepted { cause } => self.turn.interrupted(cause),
            Event::TurnPaused {
                pause, worked_ms, ..
            } => {
                self.spent.worked(*worked_ms);
                self.turn.paused(*pause);
            }
            Event::TurnEnded { reason, .. } => self.turn_ended(*reason),
            Event::Compaction(step) => self.compacted(step, context),
            Event::Goal(step) => self.goal.step(step, &self.ledger),
            Event::Travel(step) => self.travelled(step),
            Event::Recovered { .. } => self.turn.recovered(),
            Event::ApprovalAsked { call, approval } => self.step.asked(*call, approval),
            Event::ApprovalAnswered { call, answer, .. } => self.answered(*call, answer),
            Event::ToolStarted { call } => {
                self.step.started(*call);
                self.turn.woken();
            }
            Event::ToolEnded { call, outcome } => self.tool_ended(*call, outcome, context),
            Event::MessageAccepted {
                message,
                delivery,
                content,
                effort,
            } => {
                self.mail.accepted(message, *delivery, content, *effort);
                if *delivery != Delivery::Note {
                    self.goal.spoken_to();
                    self.turn.spoken_to(message);
                }
            }
            Event::MessageDelivered { message } => self.delivered(message, context),
            Event::MessageWithdrawn { message } => {
                self.mail.take_out(message);
                self.turn.unspoken(message);
            }
            Event::JobStarted { job, call } => {
                self.jobs.started(*job);
                self.step.job_started(*call);
            }
            Event::JobEnded { end } => self.news.extend(self.jobs.ended(end)),
            Event::Noticed { text } => self.noticed(text, context),
        }
    }

    fn turn_ended(&mut self, reason: StopReason) {
        if reason == StopReason::Error {
            // A count that was nonsense must not keep a session from ever asking again.
            self.scale.forget();
        }
        self.turn.ended();
        self.compacting.turn_ended(reason);
        self.mail.turn_ended(reason);
    }

    fn prefix_set(&mut self, prefix: &Prefix) {
        if !self.offers.prefix().opens_as(prefix) {
            self.scale.prefix_set(prefix);
        }
        let news = self.offers.set(prefix);
        self.news.extend(news);
    }

    fn model_called(&mut self, event: &Event, weight: u64) {
        let Event::ModelCalled {
            request,
            items,
            purpose,
            chosen,
            worked_ms,
            ..
        } = event
        else {
            return;
        };
        let effort = chosen.as_ref().map(|chosen| chosen.effort);
        self.turn.called(*request, *items, purpose, effort);
        self.scale.asked(weight);
        self.spent.worked(*worked_ms);
        if *purpose != Purpose::Judge {
            self.offers.sent();
        }
        match purpose {
            Purpose::Work => self.signals.asked(chosen.as_ref()),
            Purpose::Summary | Purpose::Compact { .. } => self.compacting.begun(),
            Purpose::Judge => self.goal.judging(),
        }
    }

    fn model_replied(&mut self, event: &Event, context: &mut impl Context) {
        let Event::ModelReplied {
            items,
            plans,
            usage,
            cost,
            retries,
            stop,
            ..
        } = event
        else {
            return;
        };
        self.spent.add_answer(*usage, *cost);
        if !self.turn.purpose().is_none_or(Purpose::is_work) {
            return self.turn.answered();
        }
        self.scale.answered();
        self.mail.read();
        if retries.is_empty() && !items.iter().any(is_summary) {
            self.scale.counted(usage);
        }
        self.compacting.answered(context.weight());
        if items.iter().any(is_block) {
            self.compacting.compacted_by_itself();
        }
        self.turn.heard(items, *stop);
        self.step.opened(items, plans, context);
    }

    fn model_failed(&mut self, kind: ModelErrorKind) {
        let of_work = self.turn.purpose().is_some_and(Purpose::is_work);
        if kind == ModelErrorKind::ContextOverflow && of_work {
            self.compacting.overflowed();
            self.scale.refused();
        }
        if kind == ModelErrorKind::Lost {
            self.compacting.lost();
        }
        self.turn.answered();
    }

    fn compacted(&mut self, step: &CompactionStep, context: &mut impl Context) {
        self.compacting.step(step, context.weight());
        match step {
            CompactionStep::Done { compaction } => {
                context.compact(compaction);
                self.compacting.left(context.weight());
                let news = self.offers.compacted(compaction);
                self.news.extend(news);
            }
            CompactionStep::Undone => context.restore(),
            CompactionStep::Asked { .. } | CompactionStep::Failed { .. } => return,
        }
        self.scale.shrunk();
        self.planning.compacted();
    }

    fn noticed(&mut self, text: &str, context: &mut impl Context) {
        context.push(weight::with_text(text), || Item::Notice {
            text: text.to_owned(),
        });
        self.goal.noticed(text);
        self.turn.noticed(text);
        self.news.told(text);
        self.progress.noticed(text);
        self.planning.noticed(text);
    }

    fn configured(&mut self, settings: &Settings) {
        if settings.limits.budget != self.limits().budget {
            self.spent.budget_changed();
        }
        if let Some(old) = &self.settings {
            let window = |settings: &Settings| (settings.context.window, settings.context.answer);
            let other_model = old.model != settings.model;
            if other_model {
                self.scale.forget();
                self.offers.cooled();
            }
            if other_model || window(old) != window(settings) {
                self.scale.window_changed();
                self.compacting.window_changed();
            }
        }
        self.settings = Some(Arc::new(settings.clone()));
    }

    fn tool_ended(&mut self, call: CallId, outcome: &ToolOutcome, context: &mut impl Context) {
        if let Some(open) = self.step.find(call) {
            self.remember(call, &Arc::clone(&open.label), outcome);
        }
        if let Some(spent) = &outcome.spent {
            self.spent.others_unpriced(spent.missed);
        }
        self.signals.tool_ended(outcome);
        for settled in self.step.ended(call, outcome, context) {
            self.progress.add(&settled);
        }
        if self.step.is_empty() {
            self.progress.step_done();
            self.signals.step_done();
        }
    }

    /// Takes down what may never be lost.
    fn remember(&mut self, call: CallId, label: &Arc<str>, outcome: &ToolOutcome) {
        let worth = outcome.end.is_some() || !outcome.changes.is_empty() || outcome.note.is_some();
        if !worth {
            return;
        }
        let ledger = Arc::make_mut(&mut self.ledger);
        ledger.ran(call, label, outcome);
        ledger.told_changes(call, &outcome.changes);
        if let Some(note) = &outcome.note {
            ledger.noted(note);
            self.goal.noted(note);
        }
    }

    fn travelled(&mut self, step: &TravelStep) {
        match step {
            TravelStep::Kept { call, files, .. } => {
                Arc::make_mut(&mut self.ledger).kept(*call, files);
            }
            TravelStep::TakenBack { .. }
            | TravelStep::Redone { .. }
            | TravelStep::Missed { .. } => {}
            TravelStep::Forked { .. } => {
                // What was spent, waits to be answered or runs is the other session's.
                self.spent = Spent::default();
                self.mail.forked();
                self.jobs.forked();
            }
        }
        self.news.extend(travel::news(step));
    }

    fn delivered(&mut self, message: &MessageId, context: &mut impl Context) {
        if let Some(letter) = self.mail.delivered(message) {
            if letter.delivery == Delivery::Note {
                self.turn.noted();
            } else {
                Arc::make_mut(&mut self.ledger).said(message, &letter.content);
                self.turn.delivered(letter.effort);
            }
            context.push(weight::with_content(&letter.content), || Item::User {
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
        let rule = approval.always().filter(|_| *answer == Answer::AllowAlways);
        if let (Some(settings), Some(rule)) = (self.settings.as_mut(), rule) {
            Arc::make_mut(settings).policy.rules.push(rule);
        }
    }
}

fn is_summary(item: &Item) -> bool {
    matches!(item, Item::Summary { .. })
}
