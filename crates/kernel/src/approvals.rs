//! Questions to a person, and what their answers lead to.

use quire_protocol::{Answer, CallId, Event, ToolStatus};

use crate::draft::Draft;

impl Draft {
    /// Takes the first answer to an open question; any other is too late. It also wakes a turn
    /// that a crash cut short, for then a person is there.
    pub(crate) fn answer(&mut self, call: CallId, answer: Answer) {
        let asked = self.state.step.open_questions().any(|(id, _)| id == call);
        if !asked {
            return;
        }
        let denied = match &answer {
            Answer::Deny { reason } => Some(denial(reason)),
            Answer::AllowOnce | Answer::AllowAlways => None,
        };
        self.record(Event::ApprovalAnswered { call, answer });
        if let Some(text) = denied {
            self.settle(call, ToolStatus::Denied, &text);
        }
        self.advance();
    }
}

/// What the model is told. The reason may be a person's or, where nobody can be asked, the face's.
fn denial(reason: &str) -> String {
    match reason.trim() {
        "" => "This call was refused and did not run.".to_owned(),
        reason => format!("This call was refused and did not run: {reason}"),
    }
}
