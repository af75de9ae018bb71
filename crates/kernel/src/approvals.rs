//! Questions to a person, and what their answers lead to.

use quire_protocol::{Answer, Approval, CallId, Event, ToolStatus};

use crate::draft::Draft;

impl Draft<'_> {
    /// Takes the first answer to an open question; any other is too late. It also wakes a turn
    /// that a crash cut short, for then a person is there.
    pub(crate) fn answer(&mut self, call: CallId, answer: Answer) {
        if !self.is_asked(call) {
            return;
        }
        let denied = match &answer {
            // Who asked for a call that runs is told, and goes on.
            _ if self.state.step.is_running(call) => None,
            Answer::Deny { reason } => Some(denial(reason)),
            Answer::AllowOnce | Answer::AllowAlways => None,
        };
        self.record(Event::ApprovalAnswered {
            call,
            answer,
            ruled_by: None,
        });
        if let Some(text) = denied {
            self.settle(call, ToolStatus::Denied, &text);
        }
        self.advance();
    }

    /// A running call has a question. One at a time: what is open is answered first.
    pub(crate) fn running_call_asks(&mut self, call: CallId, approval: Approval) {
        let may = self.state.step.is_running(call) && !self.state.turn.is_stopping();
        if may && !self.is_asked(call) {
            self.record(Event::ApprovalAsked { call, approval });
        }
    }

    /// Takes "always", and with it answers the other open questions that its rule leaves no need for;
    /// where it makes no rule there are none.
    pub(crate) fn answer_always(&mut self, call: CallId, covered: Vec<CallId>) {
        let asked = self.state.step.find_question(call);
        let Some(rule) = asked.map(Approval::always) else {
            return;
        };
        self.record(Event::ApprovalAnswered {
            call,
            answer: Answer::AllowAlways,
            ruled_by: None,
        });
        for other in rule.map_or(Vec::new(), |_| covered) {
            if self.is_asked(other) && !self.state.step.is_running(other) {
                self.record(Event::ApprovalAnswered {
                    call: other,
                    answer: Answer::AllowOnce,
                    ruled_by: Some(call),
                });
            }
        }
        self.advance();
    }

    fn is_asked(&self, call: CallId) -> bool {
        self.state.step.find_question(call).is_some()
    }
}

/// What the model is told. The reason may be a person's or, where nobody can be asked, the face's.
fn denial(reason: &str) -> String {
    match reason.trim() {
        "" => "This call was refused and did not run.".to_owned(),
        reason => format!("This call was refused and did not run: {reason}"),
    }
}
