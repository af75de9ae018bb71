//! What a session is doing, as a list of sessions shows it: a fold of its newest events, which needs
//! none of the older ones.

use serde::{Deserialize, Serialize};

use crate::{CallId, Event, Item, Pause, Purpose, SessionHead, StopReason};

/// What a session needs.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// A person: a question is open, a limit is reached, or a crash cut its turn short.
    NeedsYou,
    /// Nothing: it works.
    Working,
    /// Nothing: a person paused it.
    Paused,
    /// Nothing: its last turn ended.
    #[default]
    Done,
    /// A look: its last turn ended badly.
    Failed,
}

impl Standing {
    /// All of them, in the order in which a person wants to read them.
    pub const ALL: [Self; 5] = [
        Self::NeedsYou,
        Self::Working,
        Self::Paused,
        Self::Failed,
        Self::Done,
    ];

    /// What stands above those that stand so.
    #[must_use]
    pub const fn heading(self) -> &'static str {
        match self {
            Self::NeedsYou => "Needs you",
            Self::Working => "Working",
            Self::Paused => "Paused",
            Self::Failed => "Failed",
            Self::Done => "Done",
        }
    }
}

/// What a session is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Activity {
    standing: Standing,
    /// In words; of a working session what it does, of another one why it is so.
    detail: String,
    /// Open questions, oldest first.
    asked: Vec<(CallId, String)>,
    /// The first line of what the model said last.
    said: String,
    /// Whether it is to pause after its step.
    pausing: bool,
}

/// A session in a list of what agents need.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    /// What a list of sessions shows of it.
    pub head: SessionHead,
    /// What it needs.
    pub standing: Standing,
    /// What it does, or why it is so. They may be a model's words: clean them before they are shown.
    pub detail: String,
    /// Its model.
    pub model: String,
    /// The call that a person is asked about, if one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<CallId>,
    /// How many faces show it.
    pub faces: usize,
}

impl Activity {
    /// What it needs.
    #[must_use]
    pub fn standing(&self) -> Standing {
        if self.asked.is_empty() {
            self.standing
        } else {
            Standing::NeedsYou
        }
    }

    /// Whether a turn is under way that nothing but its own work, or the answer to a question, is needed
    /// for.
    #[must_use]
    pub fn is_at_work(&self) -> bool {
        self.standing == Standing::Working
    }

    /// The call of the oldest open question.
    #[must_use]
    pub fn asked(&self) -> Option<CallId> {
        self.asked.first().map(|(call, _)| *call)
    }

    /// What it does or why it is so, in words. They may be a model's: clean them before they are shown.
    #[must_use]
    pub fn detail(&self) -> &str {
        self.asked
            .first()
            .map_or(&self.detail, |(_, question)| question)
    }

    /// Takes the next event.
    pub fn follow(&mut self, event: &Event) {
        match event {
            Event::TurnStarted { .. } => self.works("starting"),
            Event::ModelCalled { purpose, .. } => self.works(match purpose {
                Purpose::Work => "thinking",
                Purpose::Summary | Purpose::Compact { .. } => "compacting its context",
                Purpose::Judge => "judging its goal",
            }),
            Event::ModelReplied { items, .. } => self.replied(items),
            Event::InterruptAccepted { .. } => {
                self.pausing = false;
                self.works("stopping");
            }
            Event::ApprovalAsked { call, approval } => {
                let question = format!("asks whether it may run: {}", approval.action);
                self.asked.push((*call, question));
            }
            Event::ApprovalAnswered { call, .. } => {
                self.no_longer_asks(*call);
                // An answer wakes what a crash cut short.
                if self.standing != Standing::Working {
                    self.works("at work");
                }
            }
            Event::ToolEnded { call, .. } => self.no_longer_asks(*call),
            Event::TurnPaused { pause, detail, .. } => self.paused(*pause, detail),
            Event::Recovered { .. } => self.stands(
                Standing::NeedsYou,
                "its process died in the middle of a turn".to_owned(),
            ),
            Event::TurnEnded { reason, detail, .. } => self.ended(*reason, detail),
            _ => {}
        }
    }

    fn no_longer_asks(&mut self, call: CallId) {
        self.asked.retain(|(open, _)| *open != call);
    }

    fn works(&mut self, detail: &str) {
        let after = if self.pausing {
            "; pauses after this step"
        } else {
            ""
        };
        self.stands(Standing::Working, format!("{detail}{after}"));
    }

    fn paused(&mut self, pause: Pause, detail: &str) {
        self.pausing = pause == Pause::Asked;
        match pause {
            Pause::Limit => self.stands(Standing::NeedsYou, detail.to_owned()),
            Pause::Person => self.stands(Standing::Paused, detail.to_owned()),
            Pause::Asked | Pause::Withdrawn => self.works("at work"),
        }
    }

    fn stands(&mut self, standing: Standing, detail: String) {
        self.standing = standing;
        self.detail = detail;
    }

    fn replied(&mut self, items: &[Item]) {
        for item in items {
            match item {
                Item::Assistant { text, .. } => {
                    let first = text.trim().lines().next().unwrap_or_default();
                    first.clone_into(&mut self.said);
                }
                Item::ToolCall(call) => self.works(&call.name),
                _ => {}
            }
        }
    }

    fn ended(&mut self, reason: StopReason, detail: &str) {
        self.asked.clear();
        self.pausing = false;
        let standing = match reason {
            StopReason::EndTurn | StopReason::Cancelled => Standing::Done,
            StopReason::Budget => Standing::NeedsYou,
            StopReason::MaxTokens
            | StopReason::MaxTurnRequests
            | StopReason::Refusal
            | StopReason::NoProgress
            | StopReason::Impossible
            | StopReason::Error => Standing::Failed,
        };
        let detail = match (reason, detail) {
            (StopReason::EndTurn, "") => self.said.clone(),
            (_, "") => reason.in_words().to_owned(),
            (_, detail) => detail.to_owned(),
        };
        self.stands(standing, detail);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Answer, Approval, TurnId};

    fn ended(reason: StopReason, detail: &str) -> Event {
        Event::TurnEnded {
            turn: TurnId(1),
            reason,
            detail: detail.to_owned(),
        }
    }

    fn asked(call: u32) -> Event {
        Event::ApprovalAsked {
            call: CallId(call),
            approval: Approval {
                action: format!("make {call}"),
                reason: String::new(),
                prefix: Vec::new(),
                ..Approval::default()
            },
        }
    }

    fn check(events: &[Event], standing: Standing, detail: &str) {
        let mut activity = Activity::default();
        for event in events {
            activity.follow(event);
        }
        assert_eq!((activity.standing(), activity.detail()), (standing, detail));
    }

    #[test]
    fn a_session_stands_where_its_newest_events_leave_it() {
        let turn = TurnId(1);
        let started = Event::TurnStarted { turn };
        let answered = Event::ApprovalAnswered {
            call: CallId(1),
            answer: Answer::AllowOnce,
            ruled_by: None,
        };
        let pause = |pause| Event::TurnPaused {
            turn,
            pause,
            detail: "the budget is spent".to_owned(),
            worked_ms: 0,
        };
        check(&[], Standing::Done, "");
        check(
            std::slice::from_ref(&started),
            Standing::Working,
            "starting",
        );
        let open = [started.clone(), asked(1), asked(2)];
        check(&open, Standing::NeedsYou, "asks whether it may run: make 1");
        let one_open = [started.clone(), asked(1), asked(2), answered.clone()];
        let second = "asks whether it may run: make 2";
        check(&one_open, Standing::NeedsYou, second);
        let none_open = [started.clone(), asked(1), answered.clone()];
        check(&none_open, Standing::Working, "starting");
        let recovered = Event::Recovered {
            lost_calls: Vec::new(),
            lost_request: None,
        };
        let after_a_crash = [started.clone(), asked(1), recovered, answered.clone()];
        check(
            &after_a_crash[..3],
            Standing::NeedsYou,
            "asks whether it may run: make 1",
        );
        check(&after_a_crash, Standing::Working, "at work");
        let at_limit = [pause(Pause::Limit)];
        check(&at_limit, Standing::NeedsYou, "the budget is spent");
        let asked_to = [started.clone(), pause(Pause::Asked)];
        let then = "at work; pauses after this step";
        check(&asked_to, Standing::Working, then);
        let back = [pause(Pause::Asked), pause(Pause::Withdrawn)];
        check(&back, Standing::Working, "at work");
        let by_person = [pause(Pause::Asked), pause(Pause::Person), started.clone()];
        check(&by_person[..2], Standing::Paused, "the budget is spent");
        check(&by_person, Standing::Working, "starting");
        for (reason, told, standing, detail) in [
            (StopReason::EndTurn, "", Standing::Done, ""),
            (StopReason::Cancelled, "", Standing::Done, "stopped"),
            (StopReason::Error, "no key", Standing::Failed, "no key"),
            (
                StopReason::Refusal,
                "",
                Standing::Failed,
                "the model refused",
            ),
        ] {
            let events = [started.clone(), asked(1), ended(reason, told)];
            check(&events, standing, detail);
        }
    }
}
