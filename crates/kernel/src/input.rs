//! What reaches the kernel and what it wants done. Neither ever crosses a wire or a journal.

use quire_protocol::{
    Approval, CallId, CallPlan, CheckRun, Event, JobEnd, ModelFailure, Op, Reply, RequestId,
    Spending, ToolOutcome, ToolSpec, TravelStep,
};

/// What a session's journal does not tell of the moment at which something happens to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Meanwhile {
    /// How long the session has worked, in milliseconds, waiting for a person not counted.
    pub worked_ms: u64,
    /// What the other sessions of its tree have spent: limits of money and tokens are the tree's.
    pub others: Spending,
}

/// Something that happened to the session.
#[derive(Clone, Debug)]
pub enum Input {
    /// A client asks something.
    Op(Op),
    /// A person answered a question with "always", which makes a rule. `covered` names the other open
    /// questions that policy would not ask with that rule: they are settled with it.
    AnsweredAlways {
        /// The call that was asked about.
        call: CallId,
        /// Calls that are asked about too.
        covered: Vec<CallId>,
    },
    /// The model answered. `plans` has one entry per tool call of the reply, in order; both count
    /// calls from 1 and are renumbered here.
    Replied {
        /// The request it answers; a stale one is dropped.
        request: RequestId,
        /// The answer.
        reply: Reply,
        /// What policy says about its calls.
        plans: Vec<CallPlan>,
    },
    /// The evaluator of the goal answered.
    Judged {
        /// The request it answers; a stale one is dropped.
        request: RequestId,
        /// The answer.
        reply: Reply,
        /// The goal's checks, as they were run for it.
        checks: Vec<CheckRun>,
        /// What had changed in the workspace, as the evaluator was shown it.
        changes: String,
        /// The same, after the checks had run.
        left: String,
    },
    /// The model did not answer, or its request was cancelled.
    Failed {
        /// The request.
        request: RequestId,
        /// What went wrong.
        failure: ModelFailure,
    },
    /// A running call has a question to a person: a session that works for it asks. It is answered as any
    /// other, and the call goes on meanwhile.
    Asks {
        /// The call.
        call: CallId,
        /// What is asked.
        approval: Approval,
    },
    /// A tool call came to its end.
    ToolEnded {
        /// The call.
        call: CallId,
        /// How.
        outcome: ToolOutcome,
    },
    /// Files changed or were taken back, or the session is a fork.
    Travelled(TravelStep),
    /// A background job ended, by itself or because it was stopped.
    JobEnded(JobEnd),
    /// What servers offer by now.
    Offered(Offer),
}

/// What servers offer, whose tools come and go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offer {
    /// Their tools, and the one by which those are called that come late.
    pub tools: Vec<ToolSpec>,
    /// Those whose tools cannot be had, each with why: `NAME: …`.
    pub absent: Vec<String>,
}

/// Something the session wants done. The engine performs it and answers with an [`Input`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Send this request, as [`crate::Session::model_request`] has it; answered by `Replied` or
    /// `Failed`. For a judgement run the goal's checks first, take
    /// [`crate::Session::judge_request`], and answer with `Judged`.
    CallModel(RequestId),
    /// Abandon this request; still answered as it would be.
    CancelModel(RequestId),
    /// Run this call; answered by `ToolEnded`.
    RunTool(CallId),
    /// Stop this call; still answered by `ToolEnded`.
    CancelTool(CallId),
    /// Kill all background jobs; each is answered by `JobEnded`.
    StopJobs,
}

/// What an input leads to: facts to record, then wishes to perform, in this order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// Facts. They are true only once recorded, and are applied then.
    pub events: Vec<Event>,
    /// Wishes, to be performed after the events are recorded.
    pub effects: Vec<Effect>,
}
