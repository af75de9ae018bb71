//! The calls of one reply: which may run when, and how their results enter the context.

use std::collections::VecDeque;
use std::sync::Arc;

use quire_protocol::{
    Answer, Approval, CallId, CallPlan, Content, Event, Item, JobId, Lane, Reply, RequestId,
    TokenStop, ToolCall, ToolOutcome, ToolStatus, Verdict,
};

use crate::Effect;
use crate::context::Context;
use crate::draft::Draft;
use crate::progress::{call_signature, label};
use crate::weight;

const UNPLANNED: &str = "The harness made no plan for this call, so it did not run. Try it again.";
const REFUSED: &str = "The answer that asks for this was refused, so it did not run.";
const CANCELLED: &str = "The turn was stopped before this started. It did not run.";

/// The calls of the last reply whose results are not in the context yet.
///
/// Results enter the context in the order of the calls, each as soon as all before it have. An
/// answer thus always stands behind its calls, with nothing in between, in an order that does not
/// depend on which tool was faster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Step {
    last: CallId,
    /// Ascending by id.
    calls: VecDeque<Call>,
}

/// One call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) id: CallId,
    /// Its place in the context.
    pub(crate) item: u32,
    /// What it is, short enough for a person.
    pub(crate) label: Arc<str>,
    /// A hash of its name and arguments.
    pub(crate) signature: u64,
    pub(crate) lane: Lane,
    state: CallState,
    /// Whether the job it started is known already.
    job_known: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum CallState {
    /// Waits for its question to be asked.
    Held,
    /// May run as soon as the calls before it let it.
    Ready,
    /// Waits for a person.
    Asked(Arc<Approval>),
    /// Runs. Who works for it may ask a person meanwhile.
    Running(Option<Arc<Approval>>),
    /// Has its result, which waits for those before it.
    Settled(Arc<Outcome>),
}

/// As much of a result as enters the context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) status: ToolStatus,
    pub(crate) content: Vec<Content>,
}

/// A call with the result that just entered the context.
pub(crate) struct Settled {
    pub(crate) label: Arc<str>,
    pub(crate) signature: u64,
    pub(crate) outcome: Arc<Outcome>,
}

impl Step {
    /// Whether every call has its result.
    pub(crate) fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    pub(crate) fn find(&self, call: CallId) -> Option<&Call> {
        let place = self
            .calls
            .binary_search_by_key(&call, |call| call.id)
            .ok()?;
        self.calls.get(place)
    }

    fn find_mut(&mut self, call: CallId) -> Option<&mut Call> {
        let place = self
            .calls
            .binary_search_by_key(&call, |call| call.id)
            .ok()?;
        self.calls.get_mut(place)
    }

    pub(crate) fn is_running(&self, call: CallId) -> bool {
        self.find(call).is_some_and(Call::runs)
    }

    pub(crate) fn running(&self) -> impl Iterator<Item = CallId> {
        self.calls
            .iter()
            .filter(|call| call.runs())
            .map(|call| call.id)
    }

    /// Whether a call runs that does not wait for a person.
    pub(crate) fn is_busy(&self) -> bool {
        let busy = |call: &Call| call.state == CallState::Running(None);
        self.calls.iter().any(busy)
    }

    pub(crate) fn open_questions(&self) -> impl Iterator<Item = (CallId, &Approval)> {
        self.calls.iter().filter_map(|call| match &call.state {
            CallState::Asked(approval) | CallState::Running(Some(approval)) => {
                Some((call.id, approval.as_ref()))
            }
            _ => None,
        })
    }

    pub(crate) fn find_question(&self, call: CallId) -> Option<&Approval> {
        let mut questions = self.open_questions();
        questions.find_map(|(id, approval)| (id == call).then_some(approval))
    }

    /// Calls that have no result and do not run.
    fn unstarted(&self) -> Vec<CallId> {
        let unstarted =
            |call: &&Call| !matches!(call.state, CallState::Running(_) | CallState::Settled(_));
        self.calls
            .iter()
            .filter(unstarted)
            .map(|call| call.id)
            .collect()
    }

    /// Calls that may start now. Shared calls run beside each other, at most `side_by_side`;
    /// an exclusive call runs alone: it waits for all before it and all after it wait for it.
    fn startable(&self, side_by_side: u32) -> Vec<CallId> {
        let mut free = usize::try_from(side_by_side.max(1))
            .unwrap_or(usize::MAX)
            .saturating_sub(self.running().count());
        let mut startable = Vec::new();
        let mut first = true;
        let unsettled = |call: &&Call| !matches!(call.state, CallState::Settled(_));
        for call in self.calls.iter().filter(unsettled) {
            let exclusive = call.lane == Lane::Exclusive;
            if call.state == CallState::Ready && free > 0 && (first || !exclusive) {
                startable.push(call.id);
                free -= 1;
            }
            if exclusive {
                break;
            }
            first = false;
        }
        startable
    }

    /// Takes the calls of a reply, and appends all the reply's items to the context.
    pub(crate) fn opened(
        &mut self,
        items: &[Item],
        plans: &[CallPlan],
        context: &mut impl Context,
    ) {
        let mut plans = plans.iter();
        for item in items {
            if let Item::ToolCall(call) = item {
                let plan = plans.next();
                self.calls.push_back(Call::new(call, plan, context.count()));
                self.last = call.call;
            }
            context.push(weight::of(item), || item.clone());
        }
    }

    pub(crate) fn asked(&mut self, call: CallId, approval: &Approval) {
        if let Some(call) = self.find_mut(call) {
            let approval = Arc::new(approval.clone());
            call.state = if call.runs() {
                CallState::Running(Some(approval))
            } else {
                CallState::Asked(approval)
            };
        }
    }

    /// Takes an answer and returns the question. A denied call is held until its result comes; one that
    /// runs goes on running.
    pub(crate) fn answered(&mut self, call: CallId, answer: &Answer) -> Option<Arc<Approval>> {
        let call = self.find_mut(call)?;
        let (approval, state) = match (&call.state, answer) {
            (CallState::Asked(approval), Answer::AllowOnce | Answer::AllowAlways) => {
                (Arc::clone(approval), CallState::Ready)
            }
            (CallState::Asked(approval), Answer::Deny { .. }) => {
                (Arc::clone(approval), CallState::Held)
            }
            (CallState::Running(Some(approval)), _) => {
                (Arc::clone(approval), CallState::Running(None))
            }
            _ => return None,
        };
        call.state = state;
        Some(approval)
    }

    pub(crate) fn started(&mut self, call: CallId) {
        if let Some(call) = self.find_mut(call) {
            call.state = CallState::Running(None);
        }
    }

    pub(crate) fn job_started(&mut self, call: CallId) {
        if let Some(call) = self.find_mut(call) {
            call.job_known = true;
        }
    }

    /// Takes a result, and appends to the context those whose turn has come.
    pub(crate) fn ended(
        &mut self,
        call: CallId,
        outcome: &ToolOutcome,
        context: &mut impl Context,
    ) -> Vec<Settled> {
        if let Some(call) = self.find_mut(call) {
            call.state = CallState::Settled(Arc::new(Outcome {
                status: outcome.status,
                content: outcome.content.clone(),
            }));
        }
        let mut entered = Vec::new();
        while let Some(Call {
            state: CallState::Settled(outcome),
            id,
            label,
            signature,
            ..
        }) = self.calls.front()
        {
            let weight = weight::with_content(&outcome.content);
            context.push(weight, || Item::ToolResult {
                call: *id,
                status: outcome.status,
                content: outcome.content.clone(),
            });
            entered.push(Settled {
                label: Arc::clone(label),
                signature: *signature,
                outcome: Arc::clone(outcome),
            });
            self.calls.pop_front();
        }
        entered
    }
}

impl Call {
    fn runs(&self) -> bool {
        matches!(self.state, CallState::Running(_))
    }

    fn new(call: &ToolCall, plan: Option<&CallPlan>, item: u32) -> Self {
        let ready = plan.is_some_and(|plan| plan.verdict == Verdict::Run);
        Self {
            id: call.call,
            item,
            label: label(call),
            signature: call_signature(call),
            lane: plan.map_or(Lane::Exclusive, |plan| plan.lane),
            state: if ready {
                CallState::Ready
            } else {
                CallState::Held
            },
            job_known: false,
        }
    }
}

impl Draft<'_> {
    /// The open request for the next step was answered.
    pub(crate) fn worked(&mut self, request: RequestId, reply: Reply, plans: Vec<CallPlan>) {
        let stop = reply.stop;
        let (items, plans) = renumbered(self.state.step.last, reply.items, plans);
        self.record(Event::ModelReplied {
            request,
            model: reply.model,
            items,
            plans: plans.clone(),
            stop,
            usage: reply.usage,
            cost: reply.cost,
            retries: reply.retries,
        });
        if self.state.turn.is_stopping() {
            self.cancel_calls();
            self.finish_stopping();
        } else if self.state.step.is_empty() {
            self.replied_without_calls(stop);
        } else if stop == TokenStop::Refusal {
            for plan in plans {
                self.settle(plan.call, ToolStatus::Denied, REFUSED);
            }
            self.end_refused();
        } else {
            self.judge(plans);
            self.advance();
        }
    }

    /// Refuses or asks about what policy does not let run.
    fn judge(&mut self, plans: Vec<CallPlan>) {
        for CallPlan { call, verdict, .. } in plans {
            match verdict {
                Verdict::Run => {}
                Verdict::Ask { approval } => self.record(Event::ApprovalAsked { call, approval }),
                Verdict::Refuse { reason } => self.settle(call, ToolStatus::Denied, &reason),
            }
        }
    }

    /// Starts every call that may start now.
    pub(crate) fn start_calls(&mut self) {
        let side_by_side = self.state.limits().parallel_calls;
        for call in self.state.step.startable(side_by_side) {
            self.record(Event::ToolStarted { call });
            self.wish(Effect::RunTool(call));
        }
    }

    /// A running call has its result.
    pub(crate) fn tool_ended(&mut self, call: CallId, outcome: ToolOutcome) {
        if !self.state.step.is_running(call) {
            return;
        }
        let plan = outcome.plan.clone();
        let job = outcome.job.filter(|_| self.awaits_job(call));
        self.record(Event::ToolEnded { call, outcome });
        if let Some(steps) = plan {
            self.record(Event::PlanSet { steps });
        }
        if let Some(job) = job {
            self.job_started(job, call);
        }
        self.advance();
    }

    fn awaits_job(&self, call: CallId) -> bool {
        self.state
            .step
            .find(call)
            .is_some_and(|call| !call.job_known)
    }

    /// The running call that bears a job's number and may have started it, if no job of it is
    /// known yet.
    pub(crate) fn parent_of(&self, job: JobId) -> Option<CallId> {
        let call = CallId(job.0);
        (self.state.step.is_running(call) && self.awaits_job(call)).then_some(call)
    }

    /// Gives a result that is only words.
    pub(crate) fn settle(&mut self, call: CallId, status: ToolStatus, text: &str) {
        self.record(Event::ToolEnded {
            call,
            outcome: ToolOutcome::text(status, text),
        });
    }

    /// Wants running calls stopped, and gives all others their result.
    pub(crate) fn cancel_calls(&mut self) {
        let running: Vec<CallId> = self.state.step.running().collect();
        self.cancel_unstarted();
        for call in running {
            self.wish(Effect::CancelTool(call));
        }
    }

    pub(crate) fn cancel_unstarted(&mut self) {
        for call in self.state.step.unstarted() {
            self.settle(call, ToolStatus::Cancelled, CANCELLED);
        }
    }
}

/// Gives calls and plans their numbers in the session. Fails closed: a call whose plan is missing
/// or is about another call is refused. Items that are not a model's to say are left out.
fn renumbered(
    mut last: CallId,
    items: Vec<Item>,
    plans: Vec<CallPlan>,
) -> (Vec<Item>, Vec<CallPlan>) {
    let mut given = plans.into_iter();
    let mut kept = Vec::with_capacity(items.len());
    let mut numbered = Vec::new();
    for item in items {
        match item {
            Item::ToolCall(call) => {
                last = last.next();
                let plan = given.next().filter(|plan| plan.call == call.call);
                numbered.push(numbered_plan(last, plan));
                kept.push(Item::ToolCall(ToolCall { call: last, ..call }));
            }
            Item::Assistant { .. }
            | Item::Thinking { .. }
            | Item::Summary { .. }
            | Item::Foreign { .. } => kept.push(item),
            Item::User { .. }
            | Item::Notice { .. }
            | Item::Ledger { .. }
            | Item::ToolResult { .. } => {}
        }
    }
    (kept, numbered)
}

fn numbered_plan(call: CallId, plan: Option<CallPlan>) -> CallPlan {
    match plan {
        Some(plan) => CallPlan { call, ..plan },
        None => CallPlan {
            call,
            lane: Lane::Exclusive,
            verdict: Verdict::Refuse {
                reason: UNPLANNED.to_owned(),
            },
        },
    }
}
