//! One open session: the task that owns its kernel.

use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt;
use quire_kernel::{Decision, Input, Meanwhile, Session};
use quire_protocol::{
    Answer, Approval, CallId, ClientError, Conflicts, Event, Frame, Item, JobEnd, Lease, Op,
    Opened, Point, Record, SandboxMode, Seq, Settings, Spending, StoreError, TakenBack, ToolSet,
    TravelStep, Verdict, Whose,
};
use tokio::sync::{broadcast, mpsc, oneshot};

use crate::changes::started;
use crate::effects::Running;
use crate::engine::{Parts, Ready};
use crate::journal::encode_entry;
use crate::keeping::{found_lost, noted};
use crate::offers::{Heard, offer, with_tools};
use crate::team::{Seat, Wishes};
use crate::tree::Used;
use crate::worked::Worked;

/// What reaches a session's task.
pub(crate) enum Message {
    /// A client asks something.
    Op(Op, oneshot::Sender<Result<(), ClientError>>),
    /// Another client opens the session.
    Describe(oneshot::Sender<Opened>),
    /// What a person is asked now is wanted.
    Asked(oneshot::Sender<Vec<(CallId, Approval)>>),
    /// An effect was answered.
    Input(Input),
    /// Servers offer something else than before; the answer comes once they were asked what.
    Offered(oneshot::Sender<()>),
    /// Files changed; the answer comes once that is recorded.
    Travelled(TravelStep, oneshot::Sender<()>),
    /// A client wants files as they were.
    TakeBack(
        Point,
        Conflicts,
        oneshot::Sender<Result<TakenBack, ClientError>>,
    ),
    /// No background job is to run any more; the answer comes once none does.
    EndJobs(oneshot::Sender<()>),
    /// Nothing more is wanted of the session in this process.
    Close(oneshot::Sender<Result<(), ClientError>>),
}

/// The task's state.
pub(crate) struct Actor {
    pub(crate) parts: Parts,
    pub(crate) lease: Lease,
    last: Seq,
    pub(crate) kernel: Session,
    tools: Arc<dyn ToolSet>,
    running: Running,
    worked: Worked,
    spent: Spending,
    seat: Seat,
    frames: broadcast::Sender<Frame>,
    heard: Heard,
}

/// Why the task is over.
enum End {
    /// It was closed; the answer goes to whoever closed it.
    Closed(oneshot::Sender<Result<(), ClientError>>),
    /// The store refused an append: what it refused did not happen.
    Store(StoreError),
}

impl Actor {
    pub(crate) fn new(
        parts: Parts,
        ready: Ready,
        seat: Seat,
        inbox: mpsc::Sender<Message>,
        frames: broadcast::Sender<Frame>,
    ) -> Self {
        let Ready {
            lease,
            last,
            kernel,
            tools,
            since,
            spent,
        } = ready;
        let Some(wishes) = Wishes::of(&kernel) else {
            unreachable!("a session is configured before its task starts");
        };
        let workspace = wishes.settings.workspace.clone();
        let mut running = Running::new(&parts, inbox, frames.clone(), wishes);
        running.since = since;
        let keeping = running.keeping(&lease.session, &workspace);
        running.follow_jobs(&tools, keeping);
        running.follow_servers(&*tools);
        let actor = Self {
            parts,
            lease,
            last,
            worked: Worked::new(&kernel),
            spent,
            seat,
            kernel,
            tools,
            running,
            frames,
            heard: Heard::default(),
        };
        actor.tell_used();
        actor
    }

    /// Tells its tree what the session has used.
    fn tell_used(&self) {
        let used = Used {
            spent: self.spent,
            worked_ms: self.worked.milliseconds(),
        };
        self.seat.tree.used(&self.lease.session, used);
    }

    fn meanwhile(&self) -> Meanwhile {
        Meanwhile {
            worked_ms: self.worked.milliseconds(),
            others: self.seat.tree.others(&self.lease.session),
        }
    }

    /// Lives until the session is closed, the store fails, or a bug panics. The journal is intact
    /// in every case.
    pub(crate) async fn live(
        mut self,
        mut messages: mpsc::Receiver<Message>,
        died: Arc<Mutex<Option<String>>>,
    ) {
        let end = AssertUnwindSafe(self.serve(&mut messages))
            .catch_unwind()
            .await;
        let (closing, failure) = match end {
            Ok(End::Closed(answer)) => (Some(answer), None),
            Ok(End::Store(error)) => (None, Some(error.to_string())),
            Err(panic) => (None, Some(format!("a bug: {}", panic_text(&*panic)))),
        };
        if let Some(reason) = failure {
            *died.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
        }
        // Refuses further messages; whoever waits on one learns the reason.
        messages.close();
        let call = self.running.call();
        let ended = self.running.stop(&self.tools).await;
        let closed = match closing {
            Some(_) => {
                let cut_short = call.or_else(|| ended.first().map(|end| CallId(end.job.0)));
                let found = self.record_found(cut_short).await;
                found.and(self.record_ended(ended).await)
            }
            None => Ok(()),
        };
        let closed = closed.and(self.give_back().await);
        if let Some(answer) = closing {
            // Nobody waits any more: nothing left to tell.
            let _ = answer.send(closed.map_err(ClientError::Store));
        }
    }

    async fn serve(&mut self, messages: &mut mpsc::Receiver<Message>) -> End {
        loop {
            let Some(message) = messages.recv().await else {
                unreachable!("the task holds a sender of its own inbox");
            };
            let result = match message {
                Message::Input(input) => self.take(input).await,
                Message::Offered(asked) => match self.heard.unless_again(asked) {
                    Some(_asked) => self.take_offer().await,
                    None => Ok(()),
                },
                Message::Op(op, answer) => {
                    let result = self.take_op(op).await;
                    let (told, result) = match result {
                        Ok(told) => (told, Ok(())),
                        Err(error) => (Err(ClientError::Store(error.clone())), Err(error)),
                    };
                    // A client that went away has still been heard.
                    let _ = answer.send(told);
                    result
                }
                Message::Describe(answer) => {
                    if let Some(opened) = opened(&self.kernel, self.last) {
                        // A client that went away needs no answer.
                        let _ = answer.send(opened);
                    }
                    Ok(())
                }
                Message::Asked(answer) => {
                    let asked = self.kernel.asked();
                    let asked = asked.map(|(call, approval)| (call, approval.clone()));
                    let _ = answer.send(asked.collect());
                    Ok(())
                }
                Message::Travelled(step, done) => {
                    let recorded = self.take(Input::Travelled(step)).await;
                    if recorded.is_ok() {
                        // Who stopped waiting finds it in the journal.
                        let _ = done.send(());
                    }
                    recorded
                }
                Message::TakeBack(to, conflicts, answer) => {
                    self.take_back(to, conflicts, answer).await
                }
                Message::EndJobs(ended) => {
                    let recorded = self.end_jobs().await;
                    // Who stopped waiting finds it in the journal.
                    let _ = ended.send(());
                    recorded
                }
                Message::Close(answer) => return End::Closed(answer),
            };
            if let Err(error) = result {
                return End::Store(error);
            }
        }
    }

    /// The outer result is about the store, the inner one for the client.
    async fn take_op(&mut self, op: Op) -> Result<Result<(), ClientError>, StoreError> {
        let tools = match &op {
            Op::Configure { settings } => match self.tools_for(settings) {
                Ok(tools) => tools,
                Err(refused) => return Ok(Err(refused)),
            },
            _ => None,
        };
        if self.heard.is_missing_something() {
            self.take_offer().await?;
        }
        let op = self.with_start(op).await;
        let mut decision = self.kernel.decide_at(self.judged(op), self.meanwhile());
        if let Some(tools) = tools {
            decision.events.extend(self.change_tools(tools).await);
        }
        self.carry_out(decision).await?;
        Ok(Ok(()))
    }

    /// The folder that is worked in.
    pub(crate) fn workspace(&self) -> PathBuf {
        let settings = self.kernel.settings();
        settings.map_or_else(PathBuf::new, |settings| settings.workspace.clone())
    }

    /// Takes what servers offer by now.
    async fn take_offer(&mut self) -> Result<(), StoreError> {
        let offer = offer(&*self.tools);
        self.heard.everything();
        match offer {
            Some(offer) => self.decide_on(Input::Offered(offer)).await,
            None => Ok(()),
        }
    }

    pub(crate) async fn take(&mut self, input: Input) -> Result<(), StoreError> {
        if self.heard.is_due() {
            self.take_offer().await?;
        }
        self.decide_on(input).await
    }

    async fn decide_on(&mut self, input: Input) -> Result<(), StoreError> {
        let decision = self.kernel.decide_at(self.planned(input), self.meanwhile());
        self.carry_out(decision).await
    }

    async fn carry_out(&mut self, decision: Decision) -> Result<(), StoreError> {
        self.record(decision.events).await?;
        for effect in decision.effects {
            self.running.perform(
                effect,
                &self.kernel,
                &self.seat,
                &self.parts.model,
                &self.tools,
                self.worked.milliseconds(),
            );
        }
        Ok(())
    }

    /// Records what a call or a job had changed that was cut short because the session is closed.
    async fn record_found(&mut self, cut_short: Option<CallId>) -> Result<(), StoreError> {
        let (Some(call), Some(checkpoints)) = (cut_short, self.parts.checkpoints.clone()) else {
            return Ok(());
        };
        let workspace = self.workspace();
        let files = found_lost(&*checkpoints, &self.lease.session, &workspace).await;
        let whose = Whose::Unclear;
        let step = TravelStep::Kept { call, files, whose };
        let events = self.kernel.decide(Input::Travelled(step)).events;
        self.record(events).await?;
        noted(&*checkpoints, &self.lease.session, &workspace).await;
        Ok(())
    }

    /// Stops the background jobs.
    async fn end_jobs(&mut self) -> Result<(), StoreError> {
        if self.kernel.jobs().next().is_none() {
            return Ok(());
        }
        let ended = self.tools.stop_jobs().await;
        let last = ended.last().map(|end| CallId(end.job.0));
        self.record_found(last).await?;
        for end in ended {
            self.take(Input::JobEnded(end)).await?;
        }
        Ok(())
    }

    /// Records how background jobs ended that were stopped because the session is closed. What
    /// that leads to is for whoever opens it again.
    async fn record_ended(&mut self, jobs: Vec<JobEnd>) -> Result<(), StoreError> {
        for job in jobs {
            let events = self.kernel.decide(Input::JobEnded(job)).events;
            self.record(events).await?;
        }
        Ok(())
    }

    /// Adds to "always" what policy says, with the rule that it makes, about the other open questions.
    fn judged(&self, op: Op) -> Input {
        let Op::Answer {
            call,
            answer: Answer::AllowAlways,
        } = op
        else {
            return Input::Op(op);
        };
        let Some(policy) = self.kernel.policy_with_always(call) else {
            return Input::Op(op);
        };
        // Who asks for a call that runs is another session, whose own policy says.
        let others = self.kernel.asked();
        let others = others.filter(|(other, _)| *other != call && !self.kernel.is_running(*other));
        let covered = others
            .filter_map(|(other, _)| self.kernel.call(other))
            .filter(|other| self.tools.plan(other, &policy).verdict == Verdict::Run)
            .map(|other| other.call)
            .collect();
        Input::AnsweredAlways { call, covered }
    }

    /// Adds what policy says about a reply's calls.
    fn planned(&self, input: Input) -> Input {
        let Some(settings) = self.kernel.settings() else {
            return input;
        };
        let Input::Replied { request, reply, .. } = input else {
            return input;
        };
        let plans = reply
            .items
            .iter()
            .filter_map(|item| match item {
                Item::ToolCall(call) => Some(self.tools.plan(call, &settings.policy)),
                _ => None,
            })
            .collect();
        Input::Replied {
            request,
            reply,
            plans,
        }
    }

    /// Adds to a new goal what is checked out in the workspace.
    async fn with_start(&self, op: Op) -> Op {
        let (Op::SetGoal { goal: Some(goal) }, Some(settings)) = (&op, self.kernel.settings())
        else {
            return op;
        };
        let mut context = self.running.tool_context(&self.lease.session, settings);
        // What is asked here is for no screen.
        context.progress = Arc::new(drop);
        let goal = started(goal.clone(), &*self.tools, context).await;
        Op::SetGoal { goal: Some(goal) }
    }

    /// Records events, then makes them true here, then shows them.
    async fn record(&mut self, events: Vec<Event>) -> Result<(), StoreError> {
        if events.is_empty() {
            return Ok(());
        }
        let at_ms = now_ms();
        let mut seq = self.last;
        let records: Vec<Record> = events
            .into_iter()
            .map(|event| {
                seq = seq.next();
                Record { seq, at_ms, event }
            })
            .collect();
        let entries = records
            .iter()
            .map(|record| encode_entry(record.seq, at_ms, &record.event))
            .collect();
        self.parts
            .store
            .append(&self.lease, self.last, entries)
            .await?;
        if records
            .iter()
            .any(|record| matches!(record.event, Event::TurnEnded { .. }))
        {
            self.parts.store.sync().await?;
        }
        self.last = seq;
        for record in records {
            self.tell_answers(&record.event);
            self.kernel.apply(&record.event);
            self.tell_wishes(&record.event);
            self.spent.follow(&record.event);
            self.worked.follow(&self.kernel);
            self.running.since.follow(&record.event, record.at_ms);
            match record.event {
                Event::TurnStarted { .. } => self.prepare_checkpoints(),
                Event::ModelCalled { .. } => self.heard.asked(),
                _ => {}
            }
            // No watcher is fine.
            let _ = self.frames.send(Frame::Record(record));
        }
        self.tell_used();
        Ok(())
    }

    /// Tells those who work for the session what they asked by it.
    fn tell_answers(&self, event: &Event) {
        match event {
            Event::ApprovalAsked { call, .. } => self.running.answers.asked(*call),
            Event::ApprovalAnswered { call, answer, .. } => {
                self.running.answers.answered(*call, answer);
            }
            _ => {}
        }
    }

    /// Tells those who work for the session what it wants of them now, once that is true.
    fn tell_wishes(&self, event: &Event) {
        let changes = matches!(
            event,
            Event::Configured { .. }
                | Event::ApprovalAnswered { .. }
                | Event::TurnPaused { .. }
                | Event::TurnEnded { .. }
        );
        if let Some(now) = changes.then(|| Wishes::of(&self.kernel)).flatten() {
            let tell = |told: &mut Wishes| std::mem::replace(told, now.clone()) != now;
            self.running.wishes.send_if_modified(tell);
        }
    }

    /// Has the workspace looked at for the first time while the model thinks.
    fn prepare_checkpoints(&self) {
        let settings = self.kernel.settings();
        let settings = settings.filter(|set| set.policy.sandbox != SandboxMode::ReadOnly);
        // What a job changes meanwhile is not to be taken for a person's.
        let settings = settings.filter(|_| self.kernel.jobs().next().is_none());
        if let (Some(checkpoints), Some(settings)) = (&self.parts.checkpoints, settings) {
            drop(tokio::spawn(checkpoints.prepare(&settings.workspace)));
        }
    }

    /// The tools that new settings want, when they are others. Only while nothing runs: a running
    /// call keeps its tools.
    fn tools_for(&self, settings: &Settings) -> Result<Option<Arc<dyn ToolSet>>, ClientError> {
        let same = self.kernel.settings().is_none_or(|current| {
            current.model == settings.model && current.workspace == settings.workspace
        });
        if same {
            return Ok(None);
        }
        if !self.kernel.is_idle() && !self.kernel.is_dormant() {
            return Err(ClientError::Settings(
                "the model and the folder can change between turns only: interrupt the turn or \
                 wait for its end"
                    .to_owned(),
            ));
        }
        let tools = self.parts.workbench.tools(&self.lease.session, settings);
        tools.map(Some).map_err(ClientError::Settings)
    }

    /// Works with these tools from here on, and says so if the model has to be told.
    async fn change_tools(&mut self, tools: Arc<dyn ToolSet>) -> Option<Event> {
        // Nothing runs, so nothing ends here.
        self.running.stop(&self.tools).await;
        self.tools = tools;
        let workspace = self.workspace();
        let keeping = self.running.keeping(&self.lease.session, &workspace);
        self.running.follow_jobs(&self.tools, keeping);
        self.running.follow_servers(&*self.tools);
        let before = self.kernel.prefix();
        let prefix = with_tools(before, &*self.tools, &self.kernel.settings()?.policy);
        (prefix.tools != before.tools).then(|| Event::PrefixSet {
            prefix,
            reason: "the settings changed to a model with other tools".to_owned(),
        })
    }

    async fn give_back(&self) -> Result<(), StoreError> {
        let synced = self.parts.store.sync().await;
        self.parts.store.release(self.lease.clone()).await?;
        synced
    }
}

/// What is told of a session to whoever opens it; nothing of one that never began.
pub(crate) fn opened(kernel: &Session, last: Seq) -> Option<Opened> {
    Some(Opened {
        settings: kernel.settings()?.clone(),
        found: last,
        last,
        unfinished: kernel.turn().is_some() && kernel.is_dormant(),
        pause: kernel.pause(),
        has_goal: kernel.goal().is_some(),
        repaired: None,
    })
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without words")
}

/// Milliseconds since the Unix epoch, by the system's clock.
#[expect(
    clippy::disallowed_methods,
    reason = "the engine stamps the time; the floors below it never read a clock"
)]
pub(crate) fn now_ms() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| {
            u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
        })
}
