//! How a turn opens, goes from step to step, and ends.

use std::sync::Arc;

use quire_protocol::{
    CallPlan, Effort, Event, Item, MessageId, ModelFailure, Pause, Purpose, Reply, RequestId,
    StopReason, TokenStop, TurnId,
};

use crate::Effect;
use crate::budget::Limit;
use crate::draft::Draft;
use crate::goal::{Looked, NOT_MET};
use crate::steering::is_ordinary;
use crate::summary::failed_way;

/// The open turn, if there is one, and the numbers given so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Turn {
    last: TurnId,
    last_request: RequestId,
    open: Option<Open>,
    /// Whether a person wants the open turn to pause after its step.
    pausing: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Open {
    /// Requests for the work itself, sent in this turn.
    requests: u32,
    /// The request that has no answer yet, and what it is for. Invariant: then no call is open.
    request: Option<(RequestId, Arc<Purpose>)>,
    /// How many items of the context the open request has.
    items: u32,
    /// Whether there is something in it for the model to do, besides a compaction.
    has_task: bool,
    /// How hard to think in this turn, where a message said so.
    effort: Option<Effort>,
    /// How hard to think for the open request, where that was chosen for it alone.
    chosen: Option<Effort>,
    /// Times in a row that an answer was cut at the output limit and was asked to go on.
    continued: u32,
    /// Replies in a row that said nothing and called nothing.
    silences: u32,
    /// How the last reply stopped, if it asked for no tool and nothing has followed it.
    last_word: Option<TokenStop>,
    mode: Mode,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Mode {
    /// It goes on by itself.
    Live,
    /// Nothing runs, and nothing starts until a person acts.
    Dormant(Cut),
    /// An interrupt was accepted; nothing starts any more.
    Stopping {
        cause: Arc<str>,
        /// What was said after the interrupt, and not taken back.
        said: Vec<MessageId>,
    },
}

/// What an open turn waits for a person after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    Crash,
    Limit,
    Person,
}

impl Turn {
    pub(crate) fn id(&self) -> Option<TurnId> {
        self.open.as_ref().map(|_| self.last)
    }

    pub(crate) fn request(&self) -> Option<RequestId> {
        Some(self.open.as_ref()?.request.as_ref()?.0)
    }

    /// What the open request is for.
    pub(crate) fn purpose(&self) -> Option<&Purpose> {
        Some(&self.open.as_ref()?.request.as_ref()?.1)
    }

    pub(crate) fn has_task(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.has_task)
    }

    pub(crate) fn chosen(&self) -> Option<Effort> {
        self.open.as_ref()?.chosen
    }

    pub(crate) fn effort(&self) -> Option<Effort> {
        self.open.as_ref()?.effort
    }

    /// Requests sent in the open turn.
    pub(crate) fn requests(&self) -> u32 {
        self.open.as_ref().map_or(0, |open| open.requests)
    }

    pub(crate) fn is_dormant(&self) -> bool {
        matches!(self.mode(), Some(Mode::Dormant(_)))
    }

    /// What keeps it, or will after its step.
    pub(crate) fn pause(&self) -> Option<Pause> {
        match self.mode()? {
            Mode::Dormant(Cut::Limit) => Some(Pause::Limit),
            Mode::Dormant(Cut::Person) => Some(Pause::Person),
            _ => self.pausing.then_some(Pause::Asked),
        }
    }

    pub(crate) fn is_stopping(&self) -> bool {
        matches!(self.mode(), Some(Mode::Stopping { .. }))
    }

    fn mode(&self) -> Option<&Mode> {
        self.open.as_ref().map(|open| &open.mode)
    }

    pub(crate) fn started(&mut self, turn: TurnId) {
        self.last = turn;
        self.open = Some(Open {
            requests: 0,
            request: None,
            items: 0,
            has_task: false,
            effort: None,
            chosen: None,
            continued: 0,
            silences: 0,
            last_word: None,
            mode: Mode::Live,
        });
        self.pausing = false;
    }

    /// How many items of the context the open request has.
    pub(crate) fn items(&self) -> u32 {
        self.open.as_ref().map_or(0, |open| open.items)
    }

    pub(crate) fn called(
        &mut self,
        request: RequestId,
        items: u32,
        purpose: &Purpose,
        chosen: Option<Effort>,
    ) {
        self.last_request = request;
        if let Some(open) = &mut self.open {
            open.items = items;
            open.request = Some((request, Arc::new(purpose.clone())));
            open.chosen = chosen;
            if purpose.is_work() {
                open.requests += 1;
                open.last_word = None;
            }
        }
        self.woken();
    }

    /// The open request has its answer, or failed.
    pub(crate) fn answered(&mut self) {
        if let Some(open) = &mut self.open {
            open.request = None;
        }
    }

    /// The model replied with these items.
    pub(crate) fn heard(&mut self, items: &[Item], stop: TokenStop) {
        self.answered();
        if let Some(open) = &mut self.open {
            if stop != TokenStop::MaxTokens {
                open.continued = 0;
            }
            open.silences = if says_nothing(items) {
                open.silences + 1
            } else {
                0
            };
            let calls = items.iter().any(|item| matches!(item, Item::ToolCall(_)));
            open.last_word = (!calls).then_some(stop);
        }
    }

    /// The model was told something, perhaps to go on where it was cut.
    pub(crate) fn noticed(&mut self, text: &str) {
        if let Some(open) = &mut self.open {
            open.last_word = None;
            open.continued += u32::from(text == CONTINUE);
            open.has_task |= text.starts_with(NOT_MET);
        }
    }

    /// A message reached the model, and may say how hard to think about it.
    pub(crate) fn delivered(&mut self, effort: Option<Effort>) {
        if let Some(open) = &mut self.open {
            open.has_task = true;
            open.last_word = None;
            open.effort = effort.or(open.effort);
        }
    }

    /// A note reached the model, which is no task.
    pub(crate) fn noted(&mut self) {
        if let Some(open) = &mut self.open {
            open.last_word = None;
        }
    }

    pub(crate) fn paused(&mut self, pause: Pause) {
        self.pausing = pause == Pause::Asked;
        let cut = match pause {
            Pause::Limit => Cut::Limit,
            Pause::Person => Cut::Person,
            Pause::Asked | Pause::Withdrawn => return,
        };
        if let Some(open) = &mut self.open {
            open.mode = Mode::Dormant(cut);
        }
    }

    pub(crate) fn last_word(&self) -> Option<TokenStop> {
        self.open.as_ref()?.last_word
    }

    fn continued(&self) -> u32 {
        self.open.as_ref().map_or(0, |open| open.continued)
    }

    pub(crate) fn silences(&self) -> u32 {
        self.open.as_ref().map_or(0, |open| open.silences)
    }

    pub(crate) fn woken(&mut self) {
        if let Some(Open {
            mode: mode @ Mode::Dormant(_),
            ..
        }) = &mut self.open
        {
            *mode = Mode::Live;
        }
    }

    pub(crate) fn interrupted(&mut self, cause: &str) {
        self.pausing = false;
        if let Some(open) = &mut self.open {
            open.mode = Mode::Stopping {
                cause: cause.into(),
                said: Vec::new(),
            };
        }
    }

    pub(crate) fn spoken_to(&mut self, message: &MessageId) {
        if let Some(said) = self.said_after_stop() {
            said.push(message.clone());
        }
    }

    /// A message was taken back: it opens no turn any more.
    pub(crate) fn unspoken(&mut self, message: &MessageId) {
        if let Some(said) = self.said_after_stop() {
            said.retain(|other| other != message);
        }
    }

    fn said_after_stop(&mut self) -> Option<&mut Vec<MessageId>> {
        match &mut self.open.as_mut()?.mode {
            Mode::Stopping { said, .. } => Some(said),
            Mode::Live | Mode::Dormant(_) => None,
        }
    }

    pub(crate) fn recovered(&mut self) {
        if let Some(Open {
            mode: mode @ Mode::Live,
            ..
        }) = &mut self.open
        {
            *mode = Mode::Dormant(Cut::Crash);
        }
    }

    pub(crate) fn ended(&mut self) {
        self.open = None;
        self.pausing = false;
    }
}

/// How often in a row an answer that was cut is continued.
const MOST_CONTINUED: u32 = 15;
/// What the model is told then.
const CONTINUE: &str = "Your answer was cut at the output limit. Go on exactly where it stopped, \
                        without repeating anything.";

/// What a reply says, without what it wants done.
fn spoken(items: &[Item]) -> Vec<Item> {
    let said = items.iter().filter(|item| {
        matches!(
            item,
            Item::Assistant { .. }
                | Item::Thinking { .. }
                | Item::Summary { .. }
                | Item::Foreign { .. }
        )
    });
    said.cloned().collect()
}

/// Whether a reply has neither words nor calls. Some models end so in the middle of their work.
fn says_nothing(items: &[Item]) -> bool {
    !items.iter().any(|item| match item {
        Item::Assistant { text, .. } => !text.trim().is_empty(),
        Item::Thinking { .. } => false,
        _ => true,
    })
}

impl Draft<'_> {
    /// Opens a turn with every waiting message, oldest first.
    pub(crate) fn open_with_all(&mut self) {
        self.start_turn();
        self.deliver_all();
        self.check_budget_and_call();
    }

    /// Opens a turn with what a person said during the last one: with the steers that came too late for it, or else with
    /// the first queued message, or else for a compaction that was wanted too late for it; otherwise opens none.
    fn open_next(&mut self) {
        if !self.state.mail.opens_turn() && !self.state.compacting.is_wanted() {
            return;
        }
        self.start_turn();
        self.deliver_next();
        self.check_budget_and_call();
    }

    /// Opens a turn that only compacts.
    pub(crate) fn open_for_compaction(&mut self) {
        self.start_turn();
        self.check_budget_and_call();
    }

    pub(crate) fn start_turn(&mut self) {
        let turn = self.state.turn.last.next();
        self.record(Event::TurnStarted { turn });
        self.tell_what_is_new();
    }

    /// Tells the model what it cannot know yet.
    pub(crate) fn tell_what_is_new(&mut self) {
        self.tell_phase();
        self.tell_goal();
        self.tell_news();
    }

    pub(crate) fn check_budget_and_call(&mut self) {
        match self.limit_reached() {
            Some(limit) => self.stop_at(limit),
            None => self.call_model(),
        }
    }

    /// Goes on with an open turn, from wherever it is.
    pub(crate) fn advance(&mut self) {
        if self.state.turn.is_stopping() {
            self.finish_stopping();
        } else if !self.state.step.is_empty() {
            self.start_calls();
        } else if let Some(stop) = self.state.turn.last_word() {
            self.replied_without_calls(stop);
        } else if self.goes_on() {
            self.cross_boundary();
        }
    }

    /// Between two steps: every call has its result and no request is open. Limits come first, so
    /// that a steer is delivered only with a request that carries it.
    pub(crate) fn cross_boundary(&mut self) {
        if let Some(limit) = self.limit_reached() {
            return self.stop_at(limit);
        }
        self.warn_of_repeats();
        self.tell_what_is_new();
        self.deliver_due();
        self.call_model();
    }

    /// Asks for the next step, once there is room for it in the context.
    pub(crate) fn call_model(&mut self) {
        if self.make_room() {
            // A compaction may have taken some out.
            self.tell_news();
            self.ask_model(Purpose::Work);
        }
    }

    /// Sends a request with the whole context.
    pub(crate) fn ask_model(&mut self, purpose: Purpose) {
        let items = self.items();
        self.ask_model_with(purpose, items);
    }

    /// Sends a request with so many items of the context.
    pub(crate) fn ask_model_with(&mut self, purpose: Purpose, items: u32) {
        assert!(
            self.state.step.is_empty() && self.state.turn.request().is_none(),
            "every call needs its result, and every request its answer, before the next request"
        );
        let request = self.state.turn.last_request.next();
        let chosen = purpose.is_work().then(|| self.chosen_effort()).flatten();
        let estimate = match purpose {
            Purpose::Judge => 0,
            _ => self.estimate_of_first(items),
        };
        self.record(Event::ModelCalled {
            request,
            items,
            purpose,
            estimate,
            chosen,
            worked_ms: self.worked_ms,
        });
        self.wish(Effect::CallModel(request));
    }

    /// The open request was answered.
    pub(crate) fn replied(
        &mut self,
        request: RequestId,
        reply: Reply,
        plans: Vec<CallPlan>,
        looked: Looked,
    ) {
        let purpose = self.state.turn.purpose().cloned().unwrap_or_default();
        if purpose.is_work() {
            return self.worked(request, reply, plans);
        }
        self.record(Event::ModelReplied {
            request,
            model: reply.model.clone(),
            items: spoken(&reply.items),
            plans: Vec::new(),
            stop: reply.stop,
            usage: reply.usage,
            cost: reply.cost,
            retries: reply.retries.clone(),
        });
        if self.state.turn.is_stopping() {
            return self.finish_stopping();
        }
        match purpose {
            Purpose::Work => {}
            Purpose::Summary => self.summarised_by_model(&reply),
            Purpose::Compact { .. } => self.compacted_by_provider(&reply),
            Purpose::Judge => self.judged(&reply, looked),
        }
    }

    /// The model answered without asking for a tool.
    pub(crate) fn replied_without_calls(&mut self, stop: TokenStop) {
        if self.state.mail.has_steers() || stop == TokenStop::Pause {
            return self.cross_boundary();
        }
        match stop {
            TokenStop::Refusal => self.end_refused(),
            TokenStop::MaxTokens => self.go_on_where_cut(),
            TokenStop::EndTurn | TokenStop::ToolUse | TokenStop::Pause => {
                match (self.state.turn.silences(), self.limit_reached()) {
                    (1, None) => self.ask_the_silent(),
                    // It is asked after the pause.
                    (1, Some(pause @ Limit::Asked)) => self.stop_at(pause),
                    _ => self.end_of_turn(),
                }
            }
        }
    }

    /// An answer was cut at the output limit. It is continued, so that it may be longer than any one
    /// answer; a model that never comes to an end is stopped.
    fn go_on_where_cut(&mut self) {
        if self.state.turn.continued() >= MOST_CONTINUED {
            return self.end(
                StopReason::MaxTokens,
                format!(
                    "the answer was cut at the output limit {} times in a row: say something to go on",
                    MOST_CONTINUED + 1
                ),
            );
        }
        if let Some(limit) = self.limit_reached() {
            return self.stop_at(limit);
        }
        self.deliver_due();
        self.record(Event::Noticed {
            text: CONTINUE.to_owned(),
        });
        self.tell_what_is_new();
        self.call_model();
    }

    /// Asks a model that said nothing once more; a second silence is its last word.
    fn ask_the_silent(&mut self) {
        self.deliver_due();
        let text = "Your reply was empty. Go on; when you are done, say what came of it.";
        self.record(Event::Noticed {
            text: text.to_owned(),
        });
        self.tell_what_is_new();
        self.call_model();
    }

    pub(crate) fn end_refused(&mut self) {
        let detail = "the model or its provider refused to answer".to_owned();
        self.end(StopReason::Refusal, detail);
    }

    /// The open request failed or was cancelled.
    pub(crate) fn failed(&mut self, request: RequestId, failure: ModelFailure) {
        let purpose = self.state.turn.purpose().cloned().unwrap_or_default();
        let kind = failure.error.kind;
        let reason = failure.error.message.clone();
        let detail = match failure.error.hint.as_str() {
            "" => failure.error.message.clone(),
            hint => format!("{}: {hint}", failure.error.message),
        };
        self.record(Event::ModelFailed {
            request,
            error: failure.error,
            usage: failure.usage,
            cost: failure.cost,
            retries: failure.retries,
        });
        if self.state.turn.is_stopping() {
            self.finish_stopping();
        } else if let Some(way) = failed_way(&purpose) {
            self.compaction_failed(way, reason);
        } else if purpose.is_work() && self.can_make_room(kind) {
            self.cross_boundary();
        } else {
            self.end(StopReason::Error, detail);
        }
    }

    /// Ends the turn, and opens the next one if a message waits for it and the reason allows.
    pub(crate) fn end(&mut self, reason: StopReason, detail: String) {
        if self.state.turn.id().is_none() {
            return;
        }
        self.close(reason, detail);
        if is_ordinary(reason) {
            self.open_next();
        }
    }

    /// Ends the turn and opens no other one.
    pub(crate) fn close(&mut self, reason: StopReason, detail: String) {
        // What a turn that follows at once does is a part of what was to pause.
        self.pausing |= self.state.turn.pause() == Some(Pause::Asked);
        if let Some(turn) = self.state.turn.id() {
            self.record(Event::TurnEnded {
                turn,
                reason,
                detail,
            });
        }
    }

    /// Ends a stopping turn once nothing of it runs. What was said after the interrupt then opens
    /// a turn; what was said before it waits for that.
    pub(crate) fn finish_stopping(&mut self) {
        let mode = self.state.turn.mode();
        let spoken_to = matches!(mode, Some(Mode::Stopping { said, .. }) if !said.is_empty());
        self.end_stopped();
        if spoken_to && self.state.turn.id().is_none() {
            self.open_with_all();
        }
    }

    /// Ends a stopping turn if no request is open and no call or job runs.
    pub(crate) fn end_stopped(&mut self) {
        let Some(Mode::Stopping { cause, .. }) = self.state.turn.mode() else {
            return;
        };
        let busy = self.state.turn.request().is_some()
            || !self.state.step.is_empty()
            || !self.state.jobs.is_empty();
        if !busy {
            let detail = format!("stopped by {cause}");
            self.end(StopReason::Cancelled, detail);
        }
    }
}
