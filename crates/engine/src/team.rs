//! A session's team: each member is a session of its own, which is opened for a task, followed to the end of its
//! turn, and closed. Its questions are its lead's, and what it spends counts for all of its tree.

use std::sync::{Arc, Weak};

use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use futures_util::StreamExt as _;
use quire_kernel::{Session, is_ordinary};
use quire_protocol::{
    Access, Client as _, ClientError, Content, Delivery, Delta, Event, Frame, Item, Limits,
    MemberEnd, MemberReport, MemberTask, MessageId, Op, Opened, Pause, Phase, Prefix, Record,
    SandboxMode, SessionId, Settings, StopReason, Team, TokenStop,
};
use tokio::sync::{mpsc, watch};

use crate::actor::Message;
use crate::engine::Engine;
use crate::questions::{Answers, Next, Questions};
use crate::tree::{AtWork, Tree};

/// How many leads may be above a member.
const DEPTH: usize = 3;

/// A session's place in its tree.
#[derive(Clone)]
pub(crate) struct Seat {
    pub(crate) engine: Weak<Engine>,
    pub(crate) tree: Arc<Tree>,
    pub(crate) session: SessionId,
}

/// What a session tells those who work for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wishes {
    pub(crate) settings: Settings,
    /// Whether it is to pause after its step.
    pub(crate) pausing: bool,
}

impl Wishes {
    /// Those of a session as it is.
    pub(crate) fn of(session: &Session) -> Option<Self> {
        Some(Self {
            settings: session.settings()?.clone(),
            pausing: session.pause() == Some(Pause::Asked),
        })
    }
}

/// The settings of a member: its lead's, as far as they go.
fn of_member(lead: &Settings, task: &MemberTask, work_ms: Option<u64>) -> Settings {
    let mut settings = Settings {
        effort: task.effort.unwrap_or(lead.effort),
        output_schema: None,
        limits: Limits {
            work_ms,
            turns: None,
            ..lead.limits.clone()
        },
        ..lead.clone()
    };
    if task.access == Access::Read {
        settings.policy.sandbox = SandboxMode::ReadOnly;
        settings.policy.phase = Phase::Look;
        settings.policy.writable.clear();
    }
    settings
}

/// What a running call of a session knows of its team.
pub(crate) struct Crew {
    pub(crate) seat: Seat,
    pub(crate) inbox: mpsc::WeakSender<Message>,
    pub(crate) answers: Answers,
    pub(crate) progress: Arc<dyn Fn(Delta) + Send + Sync>,
    /// What the session wants now.
    pub(crate) wishes: watch::Receiver<Wishes>,
    pub(crate) prefix: Arc<Prefix>,
    pub(crate) worked_ms: u64,
}

impl Team for Crew {
    fn work(
        &self,
        task: MemberTask,
        stop: BoxFuture<'static, ()>,
    ) -> BoxFuture<'static, Result<MemberReport, String>> {
        let begun = self.begin(task);
        Box::pin(async move { begun?.finish(stop).await })
    }
}

impl Crew {
    fn begin(&self, task: MemberTask) -> Result<Work, String> {
        let Seat {
            engine,
            tree,
            session: lead,
        } = &self.seat;
        let engine = engine.upgrade().ok_or("the harness is shutting down")?;
        if lead.depth() >= DEPTH {
            return Err(format!(
                "there are {DEPTH} agents above this one already: do it yourself"
            ));
        }
        let session = lead.member(&task.name);
        let held = tree.begin(&session)?;
        Ok(Work {
            engine,
            lead: self.wishes.clone(),
            pausing: false,
            ahead_ms: (self.worked_ms, tree.worked_ms(&session)),
            prefix: Arc::clone(&self.prefix),
            questions: Questions::new(
                task.call,
                &task.name,
                self.inbox.clone(),
                self.answers.clone(),
            ),
            progress: Arc::clone(&self.progress),
            session,
            task,
            held,
        })
    }
}

/// A member at work on a task.
struct Work {
    engine: Arc<Engine>,
    session: SessionId,
    /// What its lead wants.
    lead: watch::Receiver<Wishes>,
    /// Whether it was told to pause.
    pausing: bool,
    /// How long its lead and it had worked when the task was given.
    ahead_ms: (u64, u64),
    prefix: Arc<Prefix>,
    task: MemberTask,
    questions: Questions,
    progress: Arc<dyn Fn(Delta) + Send + Sync>,
    held: AtWork,
}

impl Work {
    async fn finish(mut self, stop: BoxFuture<'static, ()>) -> Result<MemberReport, String> {
        let name = self.task.name.clone();
        let told = |error: ClientError| format!("the agent `{name}`: {error}");
        let (opened, is_new) = self.enlist().await.map_err(told)?;
        let before = self.held.spent();
        let worked = self.work(&opened, is_new, stop).await;
        self.engine.dismiss(&self.session).await;
        let turn = worked.unwrap_or_else(|why| Following {
            end: Some(MemberEnd::Died(why)),
            ..Following::default()
        });
        Ok(MemberReport {
            end: turn.end.unwrap_or(MemberEnd::Stopped),
            said: turn.said,
            spent: self.held.spent() - before,
        })
    }

    /// Gives the task, and follows the member's turn until it is over or waits.
    async fn work(
        &mut self,
        opened: &Opened,
        is_new: bool,
        stop: BoxFuture<'static, ()>,
    ) -> Result<Following, String> {
        let message = MessageId::new(format!("task-{}", uuid::Uuid::now_v7()));
        let frames = self.engine.watch(&self.session, opened.last);
        // What it asked when its lead's call was cut short, it still asks.
        for (call, approval) in self.engine.asked(&self.session).await {
            self.questions.came_up(call, approval);
        }
        let given = self.give(&message, opened, is_new).await;
        given.map_err(|error| error.to_string())?;
        let turn = if self.still_waits(opened).await {
            let told = "it waited at a limit before, and still does".to_owned();
            Following {
                end: Some(MemberEnd::Paused(told)),
                ..Following::default()
            }
        } else {
            self.follow(frames, stop, &message).await?
        };
        if !turn.heard {
            // It came to nothing, and is not to be done with the next task.
            let withdrawn = Op::Withdraw { message };
            let _ = self.engine.submit(&self.session, withdrawn).await;
        }
        Ok(turn)
    }

    /// What it works by, as its lead's settings are now.
    fn settings(&mut self) -> Settings {
        let lead = &self.lead.borrow_and_update().settings;
        let (of_lead, own) = self.ahead_ms;
        let left = |limit: u64| limit.saturating_sub(of_lead) + own;
        of_member(lead, &self.task, lead.limits.work_ms.map(left))
    }

    /// Opens the member's session, or starts it; says whether it is new.
    async fn enlist(&mut self) -> Result<(Opened, bool), ClientError> {
        let settings = self.settings();
        let engine = &self.engine;
        let enlisted = engine.enlist(&self.session, &settings, &self.prefix);
        let is_new = enlisted.await?;
        Ok((engine.open(&self.session).await?, is_new))
    }

    /// Gives the task, on the terms of now. One that waits at a limit hears it before it goes on.
    async fn give(
        &mut self,
        message: &MessageId,
        opened: &Opened,
        is_new: bool,
    ) -> Result<(), ClientError> {
        let settings = self.settings();
        let terms = Op::Configure { settings };
        let task = Op::Say {
            message: message.clone(),
            delivery: Delivery::Steer,
            content: vec![Content::text(self.words(is_new))],
            effort: None,
        };
        let ops = match opened.pause {
            _ if is_new => vec![task],
            Some(Pause::Limit) => vec![task, terms],
            _ => vec![terms, task],
        };
        for op in ops {
            self.engine.submit(&self.session, op).await?;
        }
        Ok(())
    }

    /// Whether the member waited at a limit that was not raised: what it is told there, it hears later.
    async fn still_waits(&self, opened: &Opened) -> bool {
        let at_limit = |opened: &Opened| opened.pause == Some(Pause::Limit);
        at_limit(opened) && self.now().await.is_some_and(|now| at_limit(&now))
    }

    /// What there is to tell of the member now; nothing once it is closed.
    async fn now(&self) -> Option<Opened> {
        self.engine.describe(&self.session).await
    }

    /// What the member is told. Its session is called after the first line.
    fn words(&self, is_new: bool) -> String {
        let MemberTask {
            name, task, access, ..
        } = &self.task;
        if !is_new {
            return task.clone();
        }
        let looks = self.lead.borrow().settings.policy.phase == Phase::Look;
        let access = match access {
            // Who may only look has others look, whatever it says.
            Access::Write if !looks => {
                "You may change what the task needs changed, and nothing else."
            }
            Access::Read | Access::Write => {
                "You may look at everything and change nothing: others are at work here."
            }
        };
        format!(
            "{task}\n\n(You are the agent `{name}`. Another agent gave you this part of its work, in \
             this same folder; you know of it only what is said above. Nobody reads along or \
             answers questions: decide what is open, and say what you decided. {access} When you \
             are done, say what came of it, with the places and figures that show it: your last \
             message is all that is passed on.)"
        )
    }

    /// Follows the member's turn until it is over or waits.
    async fn follow(
        &mut self,
        mut frames: BoxStream<'static, Frame>,
        mut stop: BoxFuture<'static, ()>,
        message: &MessageId,
    ) -> Result<Following, String> {
        let mut turn = Following::default();
        let mut stopping = false;
        self.pass_pause_on().await?;
        while turn.end.is_none() {
            tokio::select! {
                biased;
                () = &mut stop, if !stopping => {
                    stopping = true;
                    let cause = "lead".to_owned();
                    self.tell(Op::Interrupt { cause }).await?;
                }
                next = self.questions.next() => match next {
                    Next::Answered(call, answer) => {
                        let answered = Op::Answer { call, answer };
                        // Who has answered it there meanwhile was first.
                        let _ = self.engine.submit(&self.session, answered).await;
                    }
                    Next::Due => self.questions.ask_next().await,
                },
                () = changed(&mut self.lead) => {
                    let settings = self.settings();
                    self.tell(Op::Configure { settings }).await?;
                    self.pass_pause_on().await?;
                }
                frame = frames.next() => match frame {
                    Some(Frame::Record(record)) => self.record(&record, &mut turn, message).await,
                    Some(Frame::Delta(_)) => {}
                    None => return Err(self.engine.why_over(&self.session)),
                },
            }
        }
        if stopping && matches!(turn.end, Some(MemberEnd::Ended(StopReason::Cancelled, _))) {
            turn.end = Some(MemberEnd::Stopped);
        }
        Ok(turn)
    }

    /// Who is to pause after its step has those pause who work on it, or go on after all.
    async fn pass_pause_on(&mut self) -> Result<(), String> {
        let pausing = self.lead.borrow().pausing;
        if pausing == self.pausing {
            return Ok(());
        }
        self.pausing = pausing;
        self.tell(if pausing { Op::Pause } else { Op::Resume })
            .await
    }

    async fn tell(&self, op: Op) -> Result<(), String> {
        let told = self.engine.submit(&self.session, op).await;
        told.map_err(|error| error.to_string())
    }

    async fn record(&mut self, record: &Record, turn: &mut Following, message: &MessageId) {
        if let Some(end) = turn.earlier.take()
            && !matches!(record.event, Event::TurnStarted { .. })
        {
            turn.end = Some(end);
        }
        match &record.event {
            Event::MessageDelivered { message: heard } => turn.heard |= heard == message,
            Event::ModelCalled { purpose, .. } => turn.aside = !purpose.is_work(),
            Event::ModelReplied { items, stop, .. } => {
                turn.replied(items, *stop);
                self.show(items);
            }
            Event::ApprovalAsked { call, approval } => {
                self.questions.came_up(*call, approval.clone());
            }
            Event::ApprovalAnswered { call, answer, .. } => {
                self.questions.settled(*call, Some(answer)).await;
            }
            Event::ToolEnded { call, .. } => self.questions.settled(*call, None).await,
            Event::TurnPaused { pause, detail, .. } if pause.has_begun() => {
                turn.end = Some(MemberEnd::Paused(detail.clone()));
            }
            Event::TurnEnded { reason, detail, .. } => {
                let end = MemberEnd::Ended(*reason, detail.clone());
                if turn.heard {
                    turn.end = Some(end);
                } else if !is_ordinary(*reason) {
                    // It began before the task, which waits for a person now, unless another turn
                    // opens at once.
                    let follows = self.now().await.is_some_and(|now| now.last > record.seq);
                    *(if follows {
                        &mut turn.earlier
                    } else {
                        &mut turn.end
                    }) = Some(end);
                }
            }
            _ => {}
        }
    }

    /// Shows what the member does now.
    fn show(&self, items: &[Item]) {
        for item in items {
            if let Item::ToolCall(call) = item {
                let shown = call.shown();
                let text = format!("{} {}\n", shown.name, shown.detail);
                (self.progress)(Delta::ToolOutput {
                    call: self.task.call,
                    text,
                });
            }
        }
    }
}

/// Completes when the lead wants something else.
async fn changed(wishes: &mut watch::Receiver<Wishes>) {
    if wishes.changed().await.is_err() {
        // The lead is closed, and whoever works for it is stopped.
        std::future::pending::<()>().await;
    }
}

/// How far a member's turn has come.
#[derive(Default)]
struct Following {
    /// Whether the task has reached the model.
    heard: bool,
    /// Whether the open request is not for the member's own work.
    aside: bool,
    /// What it said last.
    said: String,
    /// Whether that was cut, so that the next reply is the rest of it.
    is_cut: bool,
    /// How a turn ended before the task was heard, unless another one follows at once.
    earlier: Option<MemberEnd>,
    end: Option<MemberEnd>,
}

impl Following {
    /// Takes a reply; a summary is not said to anybody.
    fn replied(&mut self, items: &[Item], stop: TokenStop) {
        if self.aside {
            return;
        }
        let calls = items.iter().any(|item| matches!(item, Item::ToolCall(_)));
        let texts = items.iter().filter_map(|item| match item {
            Item::Assistant { text, .. } if !text.trim().is_empty() => Some(text.as_str()),
            _ => None,
        });
        let said = texts.collect::<Vec<_>>().join("\n\n");
        if self.is_cut {
            self.said += &said;
        } else if !said.is_empty() || !calls {
            self.said = said;
        }
        self.is_cut = stop == TokenStop::MaxTokens;
    }
}
