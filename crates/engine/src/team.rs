//! A session's team: each member is a session of its own, which is opened for a task, followed to the end of its
//! turn, and closed. Its questions are its lead's, and what it spends counts for all of its tree.

use std::sync::{Arc, Weak};

use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use futures_util::StreamExt as _;
use quire_protocol::{
    Access, Client as _, ClientError, Content, Delivery, Delta, Event, Frame, Item, Limits,
    MemberEnd, MemberReport, MemberTask, MessageId, Op, Opened, Pause, Prefix, Record, SandboxMode,
    SessionId, Settings, StopReason, Team,
};
use tokio::sync::mpsc;

use crate::actor::Message;
use crate::engine::Engine;
use crate::questions::{Answers, Next, Questions};
use crate::tree::{AtWork, Terms, Tree};

/// How many leads may be above a member.
const DEPTH: usize = 3;

/// A session's place in its tree.
#[derive(Clone)]
pub(crate) struct Seat {
    pub(crate) engine: Weak<Engine>,
    pub(crate) tree: Arc<Tree>,
    pub(crate) session: SessionId,
}

impl Seat {
    /// Has the members that work for this session follow its settings, which have changed.
    pub(crate) fn settings_changed(&self, old: &Settings, new: &Settings) {
        let members = self.tree.members_at_work(&self.session);
        let Some(engine) = self.engine.upgrade().filter(|_| !members.is_empty()) else {
            return;
        };
        let (old, new) = (old.limits.work_ms, new.clone());
        drop(tokio::spawn(async move {
            for (member, terms) in members {
                let Ok(Opened { settings, .. }) = engine.open(&member).await else {
                    continue;
                };
                let mut settings = Settings {
                    model: settings.model,
                    workspace: settings.workspace,
                    ..of_member(&new, terms, settings.limits.work_ms)
                };
                if let (Some(limit), Some(old), Some(new)) =
                    (&mut settings.limits.work_ms, old, new.limits.work_ms)
                {
                    *limit = (*limit + new).saturating_sub(old);
                }
                // One that is over by now has no need of it.
                let _ = engine.submit(&member, Op::Configure { settings }).await;
            }
        }));
    }
}

/// The settings of a member: its lead's, as far as they go.
fn of_member(lead: &Settings, terms: Terms, work_ms: Option<u64>) -> Settings {
    let mut settings = Settings {
        effort: terms.effort.unwrap_or(lead.effort),
        output_schema: None,
        limits: Limits {
            work_ms: work_ms.filter(|_| lead.limits.work_ms.is_some()),
            turns: None,
            ..lead.limits.clone()
        },
        ..lead.clone()
    };
    if terms.access == Access::Read {
        settings.policy.sandbox = SandboxMode::ReadOnly;
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
    /// As they were when the call began.
    pub(crate) settings: Settings,
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
        let terms = Terms {
            access: task.access,
            effort: task.effort,
        };
        let held = tree.begin(&session, terms)?;
        let left = |limit: u64| limit.saturating_sub(self.worked_ms) + tree.worked_ms(&session);
        let work_ms = self.settings.limits.work_ms.map(left);
        Ok(Work {
            engine,
            settings: of_member(&self.settings, terms, work_ms),
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
    settings: Settings,
    prefix: Arc<Prefix>,
    task: MemberTask,
    questions: Questions,
    progress: Arc<dyn Fn(Delta) + Send + Sync>,
    held: AtWork,
}

impl Work {
    async fn finish(mut self, stop: BoxFuture<'static, ()>) -> Result<MemberReport, String> {
        let told = |error: ClientError| format!("the agent `{}`: {error}", self.task.name);
        let (opened, is_new) = self.enlist().await.map_err(told)?;
        let before = self.held.spent();
        let message = MessageId::new(format!("task-{}", self.task.call));
        let frames = self.engine.watch(&self.session, opened.last);
        // What it asked when its lead's call was cut short, it still asks.
        for (call, approval) in self.engine.asked(&self.session).await {
            self.questions.came_up(call, approval);
        }
        let heard = match self.give(&message, &opened, is_new).await {
            Ok(()) if self.still_waits(&opened).await => {
                let told = "it waited at a limit before, and still does".to_owned();
                Ok((MemberEnd::Paused(told), String::new()))
            }
            Ok(()) => self.follow(frames, stop, &message).await,
            Err(error) => Err(error.to_string()),
        };
        self.engine.dismiss(&self.session).await;
        let (end, said) = heard.map_err(|why| {
            let name = &self.task.name;
            format!("the agent `{name}` stopped working: {why}. Its journal is intact: a task for the same name goes on with it")
        })?;
        Ok(MemberReport {
            end,
            said,
            spent: self.held.spent() - before,
            session: self.session,
        })
    }

    /// Opens the member's session, or starts it; says whether it is new.
    async fn enlist(&self) -> Result<(Opened, bool), ClientError> {
        let engine = &self.engine;
        let enlisted = engine.enlist(&self.session, &self.settings, &self.prefix);
        let is_new = enlisted.await?;
        Ok((engine.open(&self.session).await?, is_new))
    }

    /// Gives the task, on the terms of now. One that waits at a limit hears it before it goes on.
    async fn give(
        &self,
        message: &MessageId,
        opened: &Opened,
        is_new: bool,
    ) -> Result<(), ClientError> {
        let settings = self.settings.clone();
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
        at_limit(opened)
            && self
                .engine
                .open(&self.session)
                .await
                .is_ok_and(|now| at_limit(&now))
    }

    /// What the member is told. Its session is called after the first line.
    fn words(&self, is_new: bool) -> String {
        let MemberTask {
            name, task, access, ..
        } = &self.task;
        if !is_new {
            return task.clone();
        }
        let access = match access {
            Access::Read => {
                "You may look at everything and change nothing: others are at work here."
            }
            Access::Write => "You may change what the task needs changed, and nothing else.",
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
    ) -> Result<(MemberEnd, String), String> {
        let mut turn = Following::default();
        let mut stopping = false;
        while turn.end.is_none() {
            tokio::select! {
                biased;
                () = &mut stop, if !stopping => {
                    stopping = true;
                    let cause = "lead".to_owned();
                    let interrupt = Op::Interrupt { cause };
                    let asked = self.engine.submit(&self.session, interrupt).await;
                    asked.map_err(|error| error.to_string())?;
                }
                next = self.questions.next() => match next {
                    Next::Answered(call, answer) => {
                        let answered = Op::Answer { call, answer };
                        // Who has answered it there meanwhile was first.
                        let _ = self.engine.submit(&self.session, answered).await;
                    }
                    Next::Due => self.questions.ask_next().await,
                },
                frame = frames.next() => match frame {
                    Some(Frame::Record(record)) => self.record(&record, &mut turn, message).await,
                    Some(Frame::Delta(_)) => {}
                    None => return Err("its session was closed".to_owned()),
                },
            }
        }
        let end = match turn.end.unwrap_or(MemberEnd::Stopped) {
            MemberEnd::Ended(StopReason::Cancelled, _) if stopping => MemberEnd::Stopped,
            end => end,
        };
        Ok((end, turn.said))
    }

    async fn record(&mut self, record: &Record, turn: &mut Following, message: &MessageId) {
        match &record.event {
            Event::MessageDelivered { message: heard } => turn.heard |= heard == message,
            Event::ModelReplied { items, .. } => self.replied(items, turn),
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
            // One that began before the task is not it.
            Event::TurnEnded { reason, detail, .. } if turn.heard => {
                turn.end = Some(MemberEnd::Ended(*reason, detail.clone()));
            }
            _ => {}
        }
    }

    /// Shows what the member does now.
    fn replied(&self, items: &[Item], turn: &mut Following) {
        for item in items {
            match item {
                Item::Assistant { text, .. } => turn.said.clone_from(text),
                Item::ToolCall(call) => {
                    let shown = call.shown();
                    let text = format!("{} {}\n", shown.name, shown.detail);
                    (self.progress)(Delta::ToolOutput {
                        call: self.task.call,
                        text,
                    });
                }
                _ => {}
            }
        }
    }
}

/// How far a member's turn has come.
#[derive(Default)]
struct Following {
    /// Whether the task has reached the model.
    heard: bool,
    /// What it said last.
    said: String,
    end: Option<MemberEnd>,
}
