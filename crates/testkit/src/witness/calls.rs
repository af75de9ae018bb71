//! Calls: one result each, started at most once, in their lanes, with their questions.

use quire_kernel::Input;
use quire_protocol::{
    Answer, Approval, CallId, Event, Item, Lane, Limits, Op, TokenStop, ToolOutcome, ToolStatus,
    Verdict,
};

use super::circles::Circles;
use super::turns::Turns;
use super::{Cause, Checked, ensure};

/// The calls of the last reply, in order.
#[derive(Debug, Default)]
pub(super) struct Calls {
    last: u32,
    reply: Vec<Watched>,
    refused: bool,
}

#[derive(Debug)]
struct Watched {
    id: CallId,
    /// Name and arguments.
    text: String,
    lane: Lane,
    verdict: Verdict,
    /// Whether it was asked about before it ran, and what was answered.
    asked: bool,
    answer: Option<Answer>,
    /// The open question, of one that waits or of one that runs.
    open: Option<Approval>,
    started: bool,
    outcome: Option<ToolOutcome>,
}

impl Watched {
    fn allowed(&self) -> bool {
        match (&self.verdict, &self.answer) {
            (Verdict::Run, _) => true,
            (Verdict::Ask { .. }, Some(answer)) => !matches!(answer, Answer::Deny { .. }),
            _ => false,
        }
    }

    fn runs(&self) -> bool {
        self.started && self.outcome.is_none()
    }
}

impl Calls {
    pub(super) fn all_settled(&self) -> bool {
        self.reply.iter().all(|call| call.outcome.is_some())
    }

    pub(super) fn none_in_reply(&self) -> bool {
        self.reply.is_empty()
    }

    pub(super) fn running(&self) -> impl Iterator<Item = CallId> {
        self.reply
            .iter()
            .filter(|call| call.runs())
            .map(|call| call.id)
    }

    pub(super) fn runs(&self, call: CallId) -> bool {
        self.running().any(|running| running == call)
    }

    /// The open questions.
    pub(super) fn questions(&self) -> impl Iterator<Item = (CallId, &Approval)> {
        let open = self.reply.iter().filter(|call| call.outcome.is_none());
        open.filter_map(|call| Some((call.id, call.open.as_ref()?)))
    }

    pub(super) fn asked(&self) -> impl Iterator<Item = CallId> {
        self.questions().map(|(call, _)| call)
    }

    pub(super) fn is_asked(&self, call: CallId) -> bool {
        self.asked().any(|asked| asked == call)
    }

    /// What "always" would allow for a call.
    pub(super) fn prefix_asked(&self, call: CallId) -> Vec<String> {
        let mut questions = self.questions().filter(|(asked, _)| *asked == call);
        questions
            .next()
            .map_or(Vec::new(), |(_, approval)| approval.prefix.clone())
    }

    /// Why a call may not start now, if it may not.
    fn obstacle(&self, place: usize, limits: &Limits) -> Option<&'static str> {
        let call = &self.reply[place];
        let open = |call: &Watched| call.outcome.is_none();
        let before = &self.reply[..place];
        let most = usize::try_from(limits.parallel_calls.max(1)).unwrap_or(1);
        match () {
            () if call.started || call.outcome.is_some() => Some("it started before"),
            () if self.refused => Some("the answer that asks for it was refused"),
            () if !call.allowed() => Some("it is not allowed"),
            () if before.iter().any(|c| open(c) && c.lane == Lane::Exclusive) => {
                Some("an exclusive call before it is open")
            }
            () if call.lane == Lane::Exclusive && before.iter().any(open) => {
                Some("it is exclusive and not the first")
            }
            () if call.lane == Lane::Exclusive && self.running().next().is_some() => {
                Some("it is exclusive and not alone")
            }
            () if self.running().count() >= most => Some("too many run"),
            () => None,
        }
    }

    pub(super) fn starts(&mut self, call: CallId, limits: &Limits) -> Checked {
        let place = self.reply.iter().position(|c| c.id == call);
        let place = place.ok_or_else(|| format!("unknown call {call} starts"))?;
        let obstacle = self.obstacle(place, limits);
        ensure!(obstacle.is_none(), "call {call} starts, but {obstacle:?}");
        self.reply[place].started = true;
        Ok(())
    }

    /// The calls that may start now, each for itself.
    pub(super) fn startable(&self, limits: &Limits) -> Vec<CallId> {
        (0..self.reply.len())
            .filter(|place| self.obstacle(*place, limits).is_none())
            .map(|place| self.reply[place].id)
            .collect()
    }

    pub(super) fn none_could_start(&self, limits: &Limits) -> Checked {
        let idle = self.startable(limits);
        ensure!(idle.is_empty(), "a call could start and does not");
        Ok(())
    }

    fn find(&mut self, call: CallId) -> Result<&mut Watched, String> {
        let open = |c: &&mut Watched| c.id == call && c.outcome.is_none();
        self.reply
            .iter_mut()
            .find(open)
            .ok_or_else(|| format!("call {call} is not open"))
    }

    pub(super) fn saw(
        &mut self,
        event: &Event,
        turns: &Turns,
        cause: &Cause<'_>,
        circles: &mut Circles,
    ) -> Checked {
        match event {
            Event::ModelReplied { items, .. } if !turns.purpose.is_work() => {
                let calls = items.iter().any(|item| matches!(item, Item::ToolCall(_)));
                ensure!(!calls, "a call that is no work");
                Ok(())
            }
            Event::ModelReplied { stop, .. } => {
                ensure!(self.all_settled(), "a reply while a call is open");
                self.refused = *stop == TokenStop::Refusal;
                self.replied(event)
            }
            Event::ApprovalAsked { call, approval } => {
                self.was_asked(*call, approval, turns, cause)
            }
            Event::ApprovalAnswered {
                call,
                answer,
                ruled_by,
            } => {
                ensure!(
                    is_given(*call, answer, *ruled_by, cause),
                    "nobody gave that answer"
                );
                let call = self.find(*call)?;
                ensure!(call.open.take().is_some(), "a second answer");
                if call.started {
                    ensure!(ruled_by.is_none(), "a rule answers a call that runs");
                } else {
                    call.answer = Some(answer.clone());
                }
                Ok(())
            }
            Event::ToolEnded { call, outcome } => {
                self.ended(*call, outcome, turns, cause)?;
                if self.all_settled() {
                    circles.stepped(self.reply.iter().map(|c| (&c.text, c.outcome.as_ref())));
                }
                Ok(())
            }
            Event::Recovered { lost_calls, .. } => {
                ensure!(
                    self.running().eq(lost_calls.iter().copied()),
                    "other calls are lost"
                );
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// A call is asked about before it runs, where policy wants it; or by who works for it, while it runs.
    fn was_asked(
        &mut self,
        call: CallId,
        approval: &Approval,
        turns: &Turns,
        cause: &Cause<'_>,
    ) -> Checked {
        let asks = matches!(cause, Cause::Input(Input::Asks { call: asking, approval: wanted })
            if *asking == call && wanted == approval);
        let watched = self.find(call)?;
        ensure!(watched.open.is_none(), "two questions of call {call}");
        if watched.started {
            ensure!(asks, "nobody asks that");
            ensure!(!turns.stopping, "a question after a stop");
        } else {
            let due = matches!(&watched.verdict, Verdict::Ask { approval: due } if due == approval);
            ensure!(due && !watched.asked && !asks, "a question out of place");
            watched.asked = true;
        }
        watched.open = Some(approval.clone());
        Ok(())
    }

    fn replied(&mut self, event: &Event) -> Checked {
        let Event::ModelReplied { items, plans, .. } = event else {
            return Ok(());
        };
        let mut plans = plans.iter();
        self.reply.clear();
        for item in items {
            let Item::ToolCall(call) = item else {
                continue;
            };
            let plan = plans.next().ok_or("a call without a plan")?;
            ensure!(
                call.call.0 == self.last + 1,
                "call {} is not next",
                call.call
            );
            ensure!(plan.call == call.call, "the plan is about another call");
            self.last += 1;
            self.reply.push(Watched {
                id: call.call,
                text: format!("{} {}", call.name, call.arguments),
                lane: plan.lane,
                verdict: plan.verdict.clone(),
                asked: false,
                answer: None,
                open: None,
                started: false,
                outcome: None,
            });
        }
        ensure!(plans.next().is_none(), "a plan without a call");
        Ok(())
    }

    /// A running call gets exactly what its tool said, or is lost; any other is denied or cancelled.
    fn ended(
        &mut self,
        call: CallId,
        outcome: &ToolOutcome,
        turns: &Turns,
        cause: &Cause<'_>,
    ) -> Checked {
        let refused = self.refused;
        let watched = self.find(call)?;
        let right = match cause {
            _ if !watched.started => match outcome.status {
                ToolStatus::Cancelled => turns.stopping,
                ToolStatus::Denied => refused || !watched.allowed(),
                _ => false,
            },
            Cause::Recovery => outcome.status == ToolStatus::Lost,
            Cause::Input(Input::ToolEnded {
                call: given,
                outcome: said,
            }) => *given == call && said == outcome,
            Cause::Input(_) => false,
        };
        ensure!(right, "call {call} ends with {:?}", outcome.status);
        watched.outcome = Some(outcome.clone());
        Ok(())
    }
}

/// Whether somebody gave this answer: to this question, or to another one whose rule covers it.
fn is_given(call: CallId, answer: &Answer, ruled_by: Option<CallId>, cause: &Cause<'_>) -> bool {
    match cause {
        Cause::Input(Input::Op(Op::Answer {
            call: asked,
            answer: said,
        })) => *asked == call && said == answer && ruled_by.is_none(),
        Cause::Input(Input::AnsweredAlways {
            call: asked,
            covered,
        }) if *asked != call => {
            covered.contains(&call) && *answer == Answer::AllowOnce && ruled_by == Some(*asked)
        }
        Cause::Input(Input::AnsweredAlways { .. }) => {
            *answer == Answer::AllowAlways && ruled_by.is_none()
        }
        Cause::Input(_) | Cause::Recovery => false,
    }
}
