//! Looks after a session between its turns: compacts its context, takes that back, sets its goal.

use futures_util::StreamExt as _;
use quire_protocol::{
    Client, ClientError, Compaction, CompactionStep, ContextPart, Event, Frame, Goal, GoalStep,
    MessageId, Op, Opened, Pause, Record, Seq, SessionHead, SessionId, SessionQuery,
};
use tokio::sync::watch;

use crate::context::{compacted, judged};
use crate::limits;
use crate::run::pressed;
use crate::tally::Tally;
use crate::text::{clean, thousands};
use crate::{Error, Outcome};

/// What is to be done to a session.
#[derive(Clone, Debug)]
pub enum Upkeep {
    /// Compact its context.
    Compact {
        /// What a summary should dwell on; may be empty.
        focus: String,
        /// Which part of the context.
        part: ContextPart,
    },
    /// Take the last compaction back.
    Undo,
    /// Set its goal.
    SetGoal(Goal),
    /// Drop its goal.
    DropGoal,
    /// Tell its goal; this needs nobody else to let go of the session.
    TellGoal,
}

impl Upkeep {
    /// To compact what stands before a message, or from one on, or all but the newest steps.
    #[must_use]
    pub fn compact(focus: Option<String>, up_to: Option<String>, from: Option<String>) -> Self {
        let part = match (up_to, from) {
            (Some(message), _) => ContextPart::UpTo {
                message: MessageId::new(message),
            },
            (None, Some(message)) => ContextPart::From {
                message: MessageId::new(message),
            },
            (None, None) => ContextPart::Older,
        };
        Self::Compact {
            focus: focus.unwrap_or_default(),
            part,
        }
    }

    /// To set a goal with commands that must succeed, or to tell it where there is no text.
    #[must_use]
    pub fn goal(text: Option<String>, checks: Vec<String>) -> Self {
        text.map_or(Self::TellGoal, |text| {
            Self::SetGoal(Goal::new(text, checks))
        })
    }
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// In words for a person.
    pub words: String,
    /// How it ended.
    pub outcome: Outcome,
}

impl Kept {
    fn done(words: impl Into<String>) -> Self {
        Self {
            words: words.into(),
            outcome: Outcome::Done,
        }
    }

    fn not(words: impl Into<String>) -> Self {
        Self {
            words: words.into(),
            outcome: Outcome::Error,
        }
    }
}

/// What has to be known of the time before.
#[derive(Default)]
struct Past {
    /// Tokens before and after each compaction that was not taken back.
    compactions: Vec<(u64, u64)>,
    has_message: bool,
    goal: Option<Goal>,
    /// What was said of the goal last, or why it is gone.
    said: String,
    /// Why a turn was paused last.
    paused: Option<String>,
}

/// Does it and says what came of it. `interrupts` counts the presses of Ctrl-C: the first one stops a
/// compaction that is on its way.
pub async fn keep_up(
    client: &dyn Client,
    session: &SessionId,
    upkeep: Upkeep,
    interrupts: watch::Receiver<u32>,
) -> Result<Kept, Error> {
    if matches!(upkeep, Upkeep::TellGoal) {
        let past = Past::read(client, session, &upkeep, None).await;
        return Ok(past.tell_goal());
    }
    let opened = client.open(session).await?;
    let kept = keep(client, session, &opened, upkeep, interrupts).await;
    let closed = client.close(session).await;
    let kept = kept?;
    closed?;
    Ok(kept)
}

async fn keep(
    client: &dyn Client,
    session: &SessionId,
    opened: &Opened,
    upkeep: Upkeep,
    interrupts: watch::Receiver<u32>,
) -> Result<Kept, Error> {
    let past = Past::read(client, session, &upkeep, Some(opened.last)).await;
    let resume = format!("`quire exec --resume {session}`");
    if opened.unfinished && matches!(upkeep, Upkeep::Compact { .. } | Upkeep::Undo) {
        let words = match past.paused.filter(|_| opened.pause == Some(Pause::Limit)) {
            Some(detail) => format!("a turn is paused: {}", raise(session, &detail)),
            None => format!("a turn is open: {resume} goes on with it"),
        };
        return Ok(Kept::not(format!("{words}, then try again")));
    }
    let (op, nothing) = match &upkeep {
        Upkeep::Compact { focus, part } => {
            if let (ContextPart::UpTo { message } | ContextPart::From { message }, false) =
                (part, past.has_message)
            {
                return Ok(Kept::not(format!(
                    "no message `{}` was delivered: `quire sessions export {session}` shows their ids",
                    clean(message.as_str())
                )));
            }
            let op = Op::Compact {
                focus: focus.clone(),
                part: part.clone(),
            };
            (op, "nothing to compact: the context is empty")
        }
        Upkeep::Undo => (Op::UndoCompaction, "there is no compaction to take back"),
        Upkeep::SetGoal(goal) => {
            let goal = Some(goal.clone());
            (Op::SetGoal { goal }, "the goal was not set")
        }
        Upkeep::DropGoal | Upkeep::TellGoal => (Op::SetGoal { goal: None }, "there is no goal"),
    };
    client.submit(session, op).await?;
    if !has_more(client, session, opened.last).await? {
        return Ok(Kept::not(nothing));
    }
    Ok(match upkeep {
        Upkeep::Compact { .. } => compaction(client, session, opened.last, interrupts).await?,
        Upkeep::Undo => past.taken_back(),
        Upkeep::SetGoal(goal) => Kept::done(format!(
            "goal set: {}; it is worked for from the next message on: {resume}",
            clean(&goal.text)
        )),
        Upkeep::DropGoal | Upkeep::TellGoal => Kept::done("the goal is dropped"),
    })
}

/// What was told of a limit, with the command that raises it.
fn raise(session: &SessionId, detail: &str) -> String {
    let flag = limits::flag(detail);
    format!("{}: `quire exec --resume {session} {flag}`", clean(detail))
}

/// Whether something was recorded after a place.
async fn has_more(
    client: &dyn Client,
    session: &SessionId,
    last: Seq,
) -> Result<bool, ClientError> {
    let query = SessionQuery {
        id_prefix: Some(session.to_string()),
        ..SessionQuery::default()
    };
    let heads = client.sessions(query).await?;
    let of_it = |head: &SessionHead| head.session == *session && head.events > last.0;
    Ok(heads.iter().any(of_it))
}

/// Follows a compaction to the end of the turn that was opened for it.
async fn compaction(
    client: &dyn Client,
    session: &SessionId,
    after: Seq,
    mut interrupts: watch::Receiver<u32>,
) -> Result<Kept, Error> {
    let mut frames = client.watch(session, after);
    let (mut tally, mut done, mut failures) = (Tally::default(), None, Vec::new());
    let (mut stopped, mut in_turn) = (false, false);
    let (outcome, detail) = loop {
        let frame = tokio::select! {
            biased;
            () = pressed(&mut interrupts, 1), if !stopped => {
                stopped = true;
                let cause = "signal".to_owned();
                client.submit(session, Op::Interrupt { cause }).await?;
                continue;
            }
            frame = frames.next() => frame,
        };
        let record = match frame {
            Some(Frame::Record(record)) => record,
            Some(Frame::Delta(_)) => continue,
            None => return Err(died(session).into()),
        };
        tally.add(&record);
        match record.event {
            Event::Compaction(CompactionStep::Done { compaction }) => done = Some(compaction),
            Event::Compaction(CompactionStep::Failed { reason, .. }) if !in_turn => {
                break (Outcome::Error, reason);
            }
            Event::Compaction(CompactionStep::Failed { reason, .. }) => failures.push(reason),
            Event::TurnStarted { .. } => in_turn = true,
            Event::TurnPaused { pause, detail, .. } if pause.has_begun() => {
                break (Outcome::Budget, detail);
            }
            Event::TurnEnded { reason, detail, .. } => break (Outcome::from(reason), detail),
            _ => {}
        }
    };
    let mut words: Vec<String> = failures
        .iter()
        .map(|reason| format!("one way failed: {}", clean(reason)))
        .collect();
    let outcome = match outcome {
        Outcome::Done if done.is_none() => Outcome::Error,
        outcome => outcome,
    };
    words.push(done.as_ref().map_or_else(
        || match clean(&detail) {
            none if none.is_empty() => "nothing was compacted".to_owned(),
            limit if limits::are_told_of(&limit) => format!(
                "nothing was compacted: {}, then try again",
                raise(session, &limit)
            ),
            detail => format!("nothing was compacted: {detail}"),
        },
        |compaction| told(compaction, &tally),
    ));
    Ok(Kept {
        words: words.join("\n"),
        outcome,
    })
}

fn told(compaction: &Compaction, tally: &Tally) -> String {
    let nothing = compaction.replaced.is_empty() && compaction.cleared.is_empty();
    if nothing {
        return "nothing was old or large enough to be replaced".to_owned();
    }
    format!("{} · {}", compacted(compaction), tally.cost_in_words())
}

fn died(session: &SessionId) -> ClientError {
    ClientError::Died {
        session: session.clone(),
        reason: "its events ended in the middle of a turn".to_owned(),
    }
}

impl Past {
    /// Reads a journal up to a place; to its end, if it is not open.
    async fn read(
        client: &dyn Client,
        session: &SessionId,
        upkeep: &Upkeep,
        last: Option<Seq>,
    ) -> Self {
        let wanted = match upkeep {
            Upkeep::Compact {
                part: ContextPart::UpTo { message } | ContextPart::From { message },
                ..
            } => Some(message),
            _ => None,
        };
        let mut past = Self::default();
        let mut frames = client.watch(session, Seq(0));
        let mut read = Seq(0);
        while Some(read) != last
            && let Some(frame) = frames.next().await
        {
            if let Frame::Record(record) = frame {
                past.learn(&record, wanted);
                read = record.seq;
            }
        }
        past
    }

    fn learn(&mut self, record: &Record, wanted: Option<&MessageId>) {
        match &record.event {
            Event::MessageDelivered { message } => self.has_message |= wanted == Some(message),
            Event::Compaction(CompactionStep::Done { compaction }) => {
                let sizes = (compaction.tokens_before, compaction.tokens_after);
                self.compactions.push(sizes);
            }
            Event::Compaction(CompactionStep::Undone) => {
                self.compactions.pop();
            }
            Event::TurnPaused { pause, detail, .. } if pause.has_begun() => {
                self.paused = Some(detail.clone());
            }
            Event::Goal(GoalStep::Set { goal }) => {
                self.goal = Some(goal.clone());
                self.said.clear();
            }
            Event::Goal(GoalStep::Judged { judgement }) => self.said = judged(judgement),
            Event::Goal(GoalStep::Dropped { cause }) => {
                self.goal = None;
                self.said = format!("the last goal is gone: {cause}");
            }
            _ => {}
        }
    }

    fn taken_back(&self) -> Kept {
        Kept::done(match self.compactions.last() {
            Some((before, after)) => format!(
                "the last compaction is taken back: what became about {} tokens is about {} again, with \
                 what came since",
                thousands(*after),
                thousands(*before)
            ),
            None => "the last compaction is taken back".to_owned(),
        })
    }

    fn tell_goal(&self) -> Kept {
        let mut lines = match &self.goal {
            Some(goal) => {
                let checks = goal.checks.iter().map(|check| format!("check: {check}"));
                let mut lines = vec![format!("goal: {}", goal.text)];
                lines.extend(checks);
                lines
            }
            None => vec!["there is no goal".to_owned()],
        };
        if !self.said.is_empty() {
            lines.push(self.said.clone());
        }
        Kept::done(clean(&lines.join("\n")))
    }
}
