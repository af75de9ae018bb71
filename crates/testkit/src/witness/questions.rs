//! Questions of calls that run: when one is due, and that neither it nor its answer changes anything else.

use quire_kernel::{Input, Meanwhile};
use quire_protocol::{Answer, CallId, Event, Op, Rule, RuleAction};

use super::{Checked, Witness, ensure};

/// What an input about a call that runs must lead to, told before it is decided.
#[derive(Debug, Default)]
pub(super) enum Due {
    /// It is about something else.
    #[default]
    Anything,
    /// Its question may not be asked, or is by now.
    Nothing,
    /// Its question is due.
    Question(CallId),
    /// Its question is answered. These calls could have started before, or are answered with it.
    Answer(Vec<CallId>),
}

impl Witness {
    /// Something is about to happen.
    pub(crate) fn before(&mut self, input: &Input, meanwhile: Meanwhile) {
        self.clock = meanwhile.worked_ms;
        self.others = meanwhile.others;
        self.due_question = match input {
            Input::Asks { call, .. } => {
                let may = self.calls.runs(*call) && !self.turns.stopping;
                if may && !self.calls.is_asked(*call) {
                    Due::Question(*call)
                } else {
                    Due::Nothing
                }
            }
            Input::AnsweredAlways { call, .. } | Input::Op(Op::Answer { call, .. })
                if self.calls.runs(*call) && self.calls.is_asked(*call) =>
            {
                Due::Answer(self.calls.startable(&self.limits))
            }
            _ => Due::Anything,
        };
    }

    /// Checks an event against what the input is about.
    pub(super) fn saw_about_question(&mut self, event: &Event) -> Checked {
        if let Event::ApprovalAnswered {
            call,
            answer,
            ruled_by,
        } = event
        {
            ensure!(
                ruled_by.is_none() || *ruled_by == self.ruled,
                "a rule that nobody made"
            );
            if *answer == Answer::AllowAlways {
                self.add_rule(*call);
            }
        }
        match (&mut self.due_question, event) {
            (Due::Anything, _) => {}
            (due @ Due::Question(_), Event::ApprovalAsked { call, .. }) => {
                let right = matches!(due, Due::Question(asking) if asking == call);
                ensure!(right, "a question for another call");
                *due = Due::Nothing;
            }
            (Due::Nothing | Due::Question(_), _) => {
                return Err(format!("a question leads to {event:?}"));
            }
            (Due::Answer(startable), Event::ApprovalAnswered { call, ruled_by, .. }) => {
                startable.extend(ruled_by.map(|_| *call));
            }
            (Due::Answer(startable), Event::ToolStarted { call }) if startable.contains(call) => {}
            (Due::Answer(_), _) => {
                return Err(format!("an answer to a call that runs leads to {event:?}"));
            }
        }
        Ok(())
    }

    /// No question that is due is dropped.
    pub(super) fn check_questions(&mut self) -> Checked {
        let due = std::mem::take(&mut self.due_question);
        ensure!(!matches!(due, Due::Question(_)), "a question is dropped");
        Ok(())
    }

    /// What a person always allows becomes a rule.
    fn add_rule(&mut self, call: CallId) {
        let prefix = self.calls.prefix_asked(call);
        if prefix.is_empty() {
            return;
        }
        self.ruled = Some(call);
        if let Some(settings) = &mut self.settings {
            let action = RuleAction::Allow;
            settings.policy.rules.push(Rule { prefix, action });
        }
    }
}
