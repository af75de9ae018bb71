//! Effects at work: requests to the model, running tools, background jobs.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use futures_util::future::join_all;
use futures_util::{FutureExt, StreamExt};
use quire_kernel::{Effect, Input, Session};
use quire_protocol::{
    CallId, Checkpoints, Delta, Frame, JobEnd, Model, ModelError, ModelErrorKind, ModelEvent,
    ModelFailure, ModelRequest, Money, Purpose, RequestId, SessionId, Settings, Store, ToolContext,
    ToolOutcome, ToolSet, Usage,
};
use tokio::sync::{Notify, broadcast, mpsc, oneshot, watch};
use tokio::task::AbortHandle;

use crate::actor::Message;
use crate::changes::Since;
use crate::checks::{Checked, Checking};
use crate::engine::Parts;
use crate::journal::OwnJournal;
use crate::keeping::Keeping;
use crate::offers::listen;
use crate::questions::Answers;
use crate::team::{Crew, Seat, Wishes};

/// What a session has in flight. Every effect is answered by one input in the inbox.
pub(crate) struct Running {
    /// Since when changes count for the goal.
    pub(crate) since: Since,
    store: Arc<dyn Store>,
    inbox: mpsc::Sender<Message>,
    frames: broadcast::Sender<Frame>,
    /// Dropping or firing one abandons its request.
    requests: HashMap<RequestId, oneshot::Sender<()>>,
    /// Each is told when it is to stop, for as long as it waits for a look at the files.
    calls: Arc<Mutex<HashMap<CallId, Arc<Notify>>>>,
    /// For those who work for a call and ask.
    pub(crate) answers: Answers,
    /// What the session wants of those who work for it.
    pub(crate) wishes: watch::Sender<Wishes>,
    /// What listens to the tools.
    listeners: Vec<AbortHandle>,
    checkpoints: Option<Arc<dyn Checkpoints>>,
    is_missed: Arc<AtomicBool>,
}

impl Running {
    pub(crate) fn new(
        parts: &Parts,
        inbox: mpsc::Sender<Message>,
        frames: broadcast::Sender<Frame>,
        wishes: Wishes,
    ) -> Self {
        Self {
            wishes: watch::Sender::new(wishes),
            since: Since::default(),
            store: Arc::clone(&parts.store),
            checkpoints: parts.checkpoints.clone(),
            is_missed: Arc::default(),
            inbox,
            frames,
            requests: HashMap::new(),
            calls: Arc::default(),
            answers: Answers::default(),
            listeners: Vec::new(),
        }
    }

    /// What keeps the files of a session.
    pub(crate) fn keeping(&self, session: &SessionId, workspace: &Path) -> Option<Keeping> {
        Some(Keeping {
            checkpoints: self.checkpoints.clone()?,
            session: session.clone(),
            workspace: workspace.to_owned(),
            inbox: self.inbox.downgrade(),
            is_missed: Arc::clone(&self.is_missed),
        })
    }

    /// Tells the session of background jobs that end by themselves.
    pub(crate) fn follow_jobs(&mut self, tools: &Arc<dyn ToolSet>, keeping: Option<Keeping>) {
        let (tools, inbox) = (Arc::clone(tools), self.inbox.downgrade());
        let task = tokio::spawn(async move {
            loop {
                let end = tools.job_ended().await;
                if let Some(keeping) = &keeping {
                    keeping.after_job(end.job).await;
                }
                let Some(inbox) = inbox.upgrade() else { return };
                if inbox
                    .send(Message::Input(Input::JobEnded(end)))
                    .await
                    .is_err()
                {
                    return;
                }
            }
        });
        self.listeners.push(task.abort_handle());
    }

    /// Tells the session when the servers of its tools offer something else.
    pub(crate) fn follow_servers(&mut self, tools: &dyn ToolSet) {
        let inbox = self.inbox.downgrade();
        let task = tools.servers().map(|servers| listen(servers, inbox));
        self.listeners
            .extend(task.map(|task| tokio::spawn(task).abort_handle()));
    }

    /// Performs an effect of a session that has worked for so long.
    pub(crate) fn perform(
        &mut self,
        effect: Effect,
        kernel: &Session,
        seat: &Seat,
        model: &Arc<dyn Model>,
        tools: &Arc<dyn ToolSet>,
        worked_ms: u64,
    ) {
        let session = &seat.session;
        match effect {
            Effect::CallModel(request) if kernel.purpose() == Some(&Purpose::Judge) => {
                self.judge(request, kernel, session, model, tools);
            }
            Effect::CallModel(request) => self.call_model(request, kernel, session, model),
            Effect::CancelModel(request) => drop(self.requests.remove(&request)),
            Effect::RunTool(call) => self.run_tool(call, kernel, seat, tools, worked_ms),
            Effect::CancelTool(call) => {
                if let Some(stopped) = locked(&self.calls).get(&call) {
                    stopped.notify_one();
                }
                tokio::spawn(tools.cancel(call));
            }
            Effect::StopJobs => {
                let (stopped, inbox) = (tools.stop_jobs(), self.inbox.clone());
                let settings = kernel.settings();
                let keeping =
                    settings.and_then(|settings| self.keeping(session, &settings.workspace));
                tokio::spawn(async move {
                    for end in stopped.await {
                        if let Some(keeping) = &keeping {
                            keeping.after_job(end.job).await;
                        }
                        // A closed inbox means that the session is over.
                        let _ = inbox.send(Message::Input(Input::JobEnded(end))).await;
                    }
                });
            }
        }
    }

    fn call_model(
        &mut self,
        request: RequestId,
        kernel: &Session,
        session: &SessionId,
        model: &Arc<dyn Model>,
    ) {
        let Some(asked) = kernel.model_request(session) else {
            unreachable!("a request is open when its effect is performed");
        };
        let cancelled = self.cancellable(request);
        let (model, inbox, frames) = (Arc::clone(model), self.inbox.clone(), self.frames.clone());
        // What a job changes meanwhile is not to be taken for a person's.
        let settings = kernel.settings().filter(|_| kernel.jobs().next().is_none());
        let keeping = settings.and_then(|settings| self.keeping(session, &settings.workspace));
        tokio::spawn(async move {
            let prepare = || keeping.iter().for_each(Keeping::prepare);
            let input = AssertUnwindSafe(converse(&*model, asked, cancelled, &frames, prepare))
                .catch_unwind()
                .await
                .unwrap_or_else(|_| failed(request, &BROKEN));
            // A closed inbox means that the session is over.
            let _ = inbox.send(Message::Input(input)).await;
        });
    }

    /// Notes that a request is under way. What comes back tells when it is to be abandoned.
    fn cancellable(&mut self, request: RequestId) -> oneshot::Receiver<()> {
        self.requests.retain(|_, cancel| !cancel.is_closed());
        let (cancel, cancelled) = oneshot::channel();
        self.requests.insert(request, cancel);
        cancelled
    }

    /// Runs the goal's checks, then asks the evaluator.
    fn judge(
        &mut self,
        request: RequestId,
        kernel: &Session,
        session: &SessionId,
        model: &Arc<dyn Model>,
        tools: &Arc<dyn ToolSet>,
    ) {
        let Some(settings) = kernel.settings() else {
            unreachable!("a session is configured before it calls a model");
        };
        let checking = Checking {
            tools: Arc::clone(tools),
            context: self.tool_context(session, settings),
            commands: kernel.checks().to_vec(),
            request,
            since: self.since.clone(),
        };
        let mut cancelled = self.cancellable(request);
        // A snapshot: nothing else happens to the session before this is answered.
        let (kernel, session) = (kernel.clone(), session.clone());
        let (model, inbox, frames) = (Arc::clone(model), self.inbox.clone(), self.frames.clone());
        tokio::spawn(async move {
            let judged = AssertUnwindSafe(async {
                let Some(Checked {
                    checks,
                    changes,
                    left,
                }) = checking.run(&mut cancelled).await
                else {
                    return failed(request, &STOPPED);
                };
                let Some(asked) = kernel.judge_request(&session, &checks, &changes) else {
                    unreachable!("a request for a judgement is open");
                };
                match converse(&*model, asked, cancelled, &frames, || {}).await {
                    Input::Replied { request, reply, .. } => Input::Judged {
                        request,
                        reply,
                        checks,
                        changes,
                        left,
                    },
                    other => other,
                }
            });
            let input = judged
                .catch_unwind()
                .await
                .unwrap_or_else(|_| failed(request, &BROKEN));
            // A closed inbox means that the session is over.
            let _ = inbox.send(Message::Input(input)).await;
        });
    }

    pub(crate) fn tool_context(&self, session: &SessionId, settings: &Settings) -> ToolContext {
        let frames = self.frames.clone();
        ToolContext {
            session: session.clone(),
            workspace: settings.workspace.clone(),
            policy: settings.policy.clone(),
            // No watcher is fine.
            progress: Arc::new(move |delta| drop(frames.send(Frame::Delta(delta)))),
            journal: Arc::new(OwnJournal {
                store: Arc::clone(&self.store),
                session: session.clone(),
            }),
            team: None,
        }
    }

    fn run_tool(
        &mut self,
        call: CallId,
        kernel: &Session,
        seat: &Seat,
        tools: &Arc<dyn ToolSet>,
        worked_ms: u64,
    ) {
        let session = &seat.session;
        let (Some(asked), Some(settings)) = (kernel.call(call).cloned(), kernel.settings()) else {
            unreachable!("only an open call of a configured session is run");
        };
        let mut context = self.tool_context(session, settings);
        context.team = Some(Arc::new(Crew {
            seat: seat.clone(),
            inbox: self.inbox.downgrade(),
            answers: self.answers.clone(),
            progress: Arc::clone(&context.progress),
            wishes: self.wishes.subscribe(),
            prefix: Arc::clone(kernel.prefix()),
            worked_ms,
        }));
        let keeping = self.keeping(session, &settings.workspace);
        let keeping = keeping.filter(|_| kernel.may_change_things(call));
        let job = kernel.jobs().next();
        let outcome = tools.run(asked, context);
        let (inbox, calls) = (self.inbox.clone(), Arc::clone(&self.calls));
        let answers = self.answers.clone();
        let stopped = Arc::new(Notify::new());
        locked(&calls).insert(call, Arc::clone(&stopped));
        tokio::spawn(async move {
            let keeping = match keeping {
                Some(keeping) => tokio::select! {
                    biased;
                    () = stopped.notified() => {
                        keeping.never_ran();
                        None
                    }
                    () = keeping.before(call, job) => Some(keeping),
                },
                None => None,
            };
            let began = Instant::now();
            let outcome = AssertUnwindSafe(outcome)
                .catch_unwind()
                .await
                .unwrap_or_else(|_| {
                    ToolOutcome::failed(
                        "The tool crashed. It may have done part of its work: check before going \
                         on, and reach the goal another way.",
                    )
                });
            locked(&calls).remove(&call);
            answers.forget(call);
            if let Some(keeping) = &keeping {
                keeping.after(call, began).await;
            }
            // A closed inbox means that the session is over.
            let _ = inbox
                .send(Message::Input(Input::ToolEnded { call, outcome }))
                .await;
        });
    }

    /// A call that runs.
    pub(crate) fn call(&self) -> Option<CallId> {
        locked(&self.calls).keys().max().copied()
    }

    /// Stops everything and returns once nothing runs, with how the background jobs ended. The
    /// calls are not recorded: the session recovers them when it is opened again.
    pub(crate) async fn stop(&mut self, tools: &Arc<dyn ToolSet>) -> Vec<JobEnd> {
        self.requests.clear();
        for listener in self.listeners.drain(..) {
            listener.abort();
        }
        let open = std::mem::take(&mut *locked(&self.calls));
        let cancel = |(call, stopped): (CallId, Arc<Notify>)| {
            stopped.notify_one();
            tools.cancel(call)
        };
        join_all(open.into_iter().map(cancel)).await;
        tools.stop_jobs().await
    }
}

/// What a mutex holds, also after a panic of another holder.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Events that are still taken from a stream that was cancelled, if they are there already.
const LAST_WORDS: usize = 256;

/// Reads a model's stream to its end, showing fragments on the way; `prepare` is called once it writes a
/// call. A cancelled one ends at once;
/// an answer that is there by then is taken, because it was paid for.
async fn converse(
    model: &dyn Model,
    asked: ModelRequest,
    mut cancelled: oneshot::Receiver<()>,
    frames: &broadcast::Sender<Frame>,
    prepare: impl FnOnce(),
) -> Input {
    let mut prepare = Some(prepare);
    let mut answer = Answer {
        request: asked.request,
        used: (Usage::default(), None),
        attempt: Attempt::UnderWay,
        heard: false,
    };
    let mut stream = model.respond(asked);
    loop {
        let event = tokio::select! {
            biased;
            _ = &mut cancelled => break,
            event = stream.next() => event,
        };
        match event {
            Some(ModelEvent::Delta(delta)) => {
                answer.note(&delta);
                if matches!(delta, Delta::CallWriting { .. })
                    && let Some(prepare) = prepare.take()
                {
                    prepare();
                }
                // No watcher is fine.
                let _ = frames.send(Frame::Delta(delta));
            }
            event => {
                if let Some(input) = answer.take(event) {
                    return input;
                }
            }
        }
    }
    for _ in 0..LAST_WORDS {
        let Some(event) = stream.next().now_or_never() else {
            break;
        };
        if let Some(input) = answer.take(event) {
            return input;
        }
    }
    answer.abandoned()
}

/// The answer to a request, in the making.
struct Answer {
    request: RequestId,
    used: (Usage, Option<Money>),
    attempt: Attempt,
    /// Whether any attempt got as far as an answer, so that it may be billed.
    heard: bool,
}

/// Whether the provider is at work on the request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Attempt {
    /// It is, or will be any moment.
    UnderWay,
    /// The last attempt failed, and the next one has not begun.
    Awaited,
}

impl Answer {
    fn note(&mut self, delta: &Delta) {
        if matches!(delta, Delta::Retrying { .. }) {
            self.attempt = Attempt::Awaited;
        } else {
            self.attempt = Attempt::UnderWay;
            self.heard = true;
        }
    }

    /// Takes an event; the last one makes the input.
    fn take(&mut self, event: Option<ModelEvent>) -> Option<Input> {
        let request = self.request;
        match event {
            Some(ModelEvent::Delta(delta)) => {
                self.note(&delta);
                None
            }
            Some(ModelEvent::Used { usage, cost }) => {
                self.attempt = Attempt::UnderWay;
                self.used = (usage, cost);
                self.heard |= usage != Usage::default();
                None
            }
            Some(ModelEvent::Finished(reply)) => Some(Input::Replied {
                request,
                reply,
                plans: Vec::new(),
            }),
            Some(ModelEvent::Failed(failure)) => Some(Input::Failed { request, failure }),
            None => Some(failed(request, &BROKEN)),
        }
    }

    /// A request that was cancelled, with what its provider had said of its use until then. One that
    /// only waited for its next attempt, and was refused before, has cost nothing.
    fn abandoned(self) -> Input {
        let (usage, cost) = self.used;
        let (hint, cost) = match self.attempt {
            Attempt::UnderWay => (
                "what the provider produced after its last report is billed too",
                cost,
            ),
            Attempt::Awaited if self.heard => ("", cost),
            Attempt::Awaited => ("", Some(Money::ZERO)),
        };
        Input::Failed {
            request: self.request,
            failure: ModelFailure {
                error: ModelError {
                    kind: ModelErrorKind::Cancelled,
                    message: "the request was cancelled".to_owned(),
                    hint: hint.to_owned(),
                    status: None,
                },
                usage,
                cost,
                retries: Vec::new(),
            },
        }
    }
}

/// A failure that is told here and not by the model.
struct Failure {
    kind: ModelErrorKind,
    message: &'static str,
    hint: &'static str,
    /// What it cost, where that is known.
    cost: Option<Money>,
}

const STOPPED: Failure = Failure {
    kind: ModelErrorKind::Cancelled,
    message: "the judgement was cancelled while the goal's checks ran",
    hint: "",
    // Nothing was sent.
    cost: Some(Money::ZERO),
};

const BROKEN: Failure = Failure {
    kind: ModelErrorKind::Malformed,
    message: "the model's client ended without an answer",
    hint: "this is a bug in quire: please report it; resuming the session is safe",
    cost: None,
};

fn failed(request: RequestId, failure: &Failure) -> Input {
    Input::Failed {
        request,
        failure: ModelFailure {
            error: ModelError {
                kind: failure.kind,
                message: failure.message.to_owned(),
                hint: failure.hint.to_owned(),
                status: None,
            },
            usage: Usage::default(),
            cost: failure.cost,
            retries: Vec::new(),
        },
    }
}
