//! What reaches the kernel and what it wants done. Neither ever crosses a wire or a journal.

use quire_protocol::{
    CallId, CallPlan, CheckRun, Event, JobEnd, ModelFailure, Op, Reply, RequestId, ToolOutcome,
    TravelStep,
};

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
