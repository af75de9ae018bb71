//! Follows one task from its first message to its end: shows records, interrupts, answers
//! approvals, and asks again for an answer that does not fit its schema.

use std::io::{self, Write};
use std::pin::pin;
use std::time::Duration;

use futures_util::StreamExt;
use quire_protocol::{
    Answer, Approval, CallId, Client, ClientError, Content, Delivery, Event, Frame, GoalStep,
    MessageId, Op, Record, Seq, SessionId, StopReason,
};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::approvals::{Approvals, Said};
use crate::run::pressed;
use crate::schema::{Fitting, Schema, repair};
use crate::screen::{Ending, Screen};
use crate::{Error, Outcome};

/// Frames that are handled between two looks at the clock and the signals.
const BATCH: usize = 64;
/// How often the model is asked again for an answer that fits.
const REPAIRS: u32 = 2;
/// Silence before the first sign of life; it doubles up to eight times as much.
const SILENCE: Duration = Duration::from_secs(10);

/// A task on its way.
pub(crate) struct Drive<'a, W, E> {
    pub(crate) client: &'a dyn Client,
    pub(crate) screen: &'a mut Screen<W, E>,
    pub(crate) session: SessionId,
    pub(crate) approvals: Approvals,
    pub(crate) schema: Option<Schema>,
    /// The message that was sent last, until it is delivered.
    pub(crate) undelivered: Option<MessageId>,
    /// The last place of before this run; what is up to here is learnt, not shown.
    pub(crate) found: Seq,
    /// The last place when the session was ready; what is up to here decides nothing.
    pub(crate) known: Seq,
    /// Questions of before this run that have no answer yet.
    left_open: Vec<(CallId, Approval)>,
    /// Whether the session works for a goal, turn after turn.
    pub(crate) has_goal: bool,
    repairs: u32,
    stopped: Option<Stop>,
}

/// Why the turn was interrupted from here.
enum Stop {
    Signal,
    Timeout,
    Output(io::Error),
}

impl Stop {
    fn cause(&self) -> &'static str {
        match self {
            Self::Signal => "signal",
            Self::Timeout => "timeout",
            Self::Output(_) => "output closed",
        }
    }
}

impl<'a, W: Write + Send, E: Write + Send> Drive<'a, W, E> {
    pub(crate) fn new(
        client: &'a dyn Client,
        screen: &'a mut Screen<W, E>,
        session: SessionId,
        approvals: Approvals,
    ) -> Self {
        Self {
            client,
            screen,
            session,
            approvals,
            schema: None,
            undelivered: None,
            found: Seq(0),
            known: Seq(0),
            left_open: Vec::new(),
            has_goal: false,
            repairs: 0,
            stopped: None,
        }
    }

    /// Follows the task to its end. Everything recorded after `after` is looked at.
    pub(crate) async fn follow(
        mut self,
        after: Seq,
        timeout: Option<Duration>,
        mut interrupts: watch::Receiver<u32>,
    ) -> Result<Ending, Error> {
        self.screen.strict = self.schema.is_some();
        let frames = self.client.watch(&self.session, after);
        let mut batches = frames.ready_chunks(BATCH);
        let mut interrupted = pin!(pressed(&mut interrupts, 1));
        let mut late = pin!(after_some(timeout));
        let mut quiet_since = Instant::now();
        let mut silence = SILENCE;
        let mut beat = pin!(sleep_until(quiet_since + silence));
        loop {
            tokio::select! {
                biased;
                () = &mut interrupted, if self.stopped.is_none() => {
                    self.stop(Stop::Signal).await?;
                }
                () = &mut late, if self.stopped.is_none() => self.stop(Stop::Timeout).await?,
                line = self.approvals.line() => self.hear(line).await?,
                () = &mut beat => {
                    self.screen.heartbeat(quiet_since.elapsed());
                    silence = (silence * 2).min(SILENCE * 8);
                    beat.as_mut().reset(Instant::now() + silence);
                }
                batch = batches.next() => {
                    let batch = batch.ok_or_else(|| self.died())?;
                    if batch.iter().any(|frame| matches!(frame, Frame::Record(_))) {
                        quiet_since = Instant::now();
                        silence = SILENCE;
                        beat.as_mut().reset(quiet_since + silence);
                    }
                    if let Some(ending) = self.take(batch).await? {
                        return Ok(ending);
                    }
                }
            }
        }
    }

    fn died(&self) -> Error {
        Error::Client(ClientError::Died {
            session: self.session.clone(),
            reason: "its events ended in the middle of a turn".to_owned(),
        })
    }

    async fn take(&mut self, batch: Vec<Frame>) -> Result<Option<Ending>, Error> {
        for frame in batch {
            match frame {
                Frame::Delta(delta) => self.screen.delta(&delta),
                Frame::Record(record) if record.seq <= self.known => self.learn(record).await?,
                Frame::Record(record) => {
                    if let Some(ending) = self.record(record).await? {
                        return Ok(Some(ending));
                    }
                }
            }
        }
        // Not earlier: an answer may have settled the next question too.
        self.show_question();
        Ok(None)
    }

    /// Learns from a record of before the first message of this run. A question that was open when
    /// the last process died waits for its answer still: nothing would go on without one.
    async fn learn(&mut self, record: Record) -> Result<(), Error> {
        if record.seq > self.found {
            self.show(&record).await?;
        } else {
            self.screen.learn(&record);
        }
        match record.event {
            Event::Goal(GoalStep::Set { .. }) => self.has_goal = true,
            Event::Goal(GoalStep::Dropped { .. }) => self.has_goal = false,
            Event::ApprovalAsked { call, approval } => self.left_open.push((call, approval)),
            Event::ApprovalAnswered { call, .. } | Event::ToolEnded { call, .. } => {
                self.left_open.retain(|(open, _)| *open != call);
            }
            _ => {}
        }
        if record.seq == self.known {
            for (call, approval) in std::mem::take(&mut self.left_open) {
                self.asked(call, approval).await?;
            }
        }
        Ok(())
    }

    async fn asked(&mut self, call: CallId, approval: Approval) -> Result<(), Error> {
        if let Some(answer) = self.approvals.asked(call, approval.clone()) {
            self.screen.refused(call, &approval);
            self.answer(call, answer).await?;
        }
        self.show_question();
        Ok(())
    }

    async fn show(&mut self, record: &Record) -> Result<(), Error> {
        if !matches!(self.stopped, Some(Stop::Output(_)))
            && let Err(error) = self.screen.record(record)
        {
            self.output_failed(error).await?;
        }
        Ok(())
    }

    async fn record(&mut self, record: Record) -> Result<Option<Ending>, Error> {
        self.show(&record).await?;
        match record.event {
            Event::MessageDelivered { message } | Event::MessageWithdrawn { message }
                if self.undelivered.as_ref() == Some(&message) =>
            {
                self.undelivered = None;
            }
            Event::ApprovalAsked { call, approval } => self.asked(call, approval).await?,
            Event::ApprovalAnswered { call, .. } | Event::ToolEnded { call, .. }
                if self.approvals.settled(call) =>
            {
                self.screen.withdraw();
            }
            Event::Goal(GoalStep::Set { .. }) => self.has_goal = true,
            Event::Goal(GoalStep::Dropped { .. }) => self.has_goal = false,
            Event::TurnPaused { pause, detail, .. }
                if pause.has_begun() && self.stopped.is_none() =>
            {
                self.approvals.clear();
                self.screen.withdraw();
                return Ok(Some(Ending {
                    outcome: Outcome::Budget,
                    detail: Some(detail),
                    fitting: None,
                }));
            }
            Event::TurnEnded { reason, detail, .. } => {
                return self.turn_ended(reason, detail).await;
            }
            _ => {}
        }
        Ok(None)
    }

    async fn turn_ended(
        &mut self,
        reason: StopReason,
        detail: String,
    ) -> Result<Option<Ending>, Error> {
        self.approvals.clear();
        self.screen.withdraw();
        let another_follows = matches!(
            reason,
            StopReason::EndTurn
                | StopReason::MaxTokens
                | StopReason::MaxTurnRequests
                | StopReason::Refusal
        );
        let goes_on = self.has_goal && reason == StopReason::EndTurn;
        if (goes_on || another_follows && self.undelivered.is_some()) && self.stopped.is_none() {
            return Ok(None);
        }
        let outcome = match self.stopped.take() {
            Some(Stop::Output(error)) => return output_ending(error).map(Some),
            Some(Stop::Timeout) if reason == StopReason::Cancelled => Outcome::TimedOut,
            stopped => {
                self.stopped = stopped;
                Outcome::from(reason)
            }
        };
        if outcome == Outcome::Done {
            return self.done().await;
        }
        let failure = self.screen.tally.failure.clone();
        let detail = Some(detail).filter(|detail| !detail.is_empty());
        Ok(Some(Ending {
            outcome,
            detail: match outcome {
                Outcome::Error => failure.or(detail),
                _ => detail,
            },
            fitting: None,
        }))
    }

    /// The model says it is done: is the answer what was asked for?
    async fn done(&mut self) -> Result<Option<Ending>, Error> {
        let Some(schema) = &self.schema else {
            return Ok(Some(Ending::plain(Outcome::Done)));
        };
        let parts: Vec<String> = self
            .screen
            .tally
            .answer()
            .parts()
            .map(str::to_owned)
            .collect();
        match schema.check(&parts) {
            Ok(fitting) => Ok(Some(fitting_ending(fitting))),
            Err(errors) if self.repairs < REPAIRS && self.stopped.is_none() => {
                self.repairs += 1;
                self.screen
                    .warn("the answer does not fit the schema; asking again");
                let message = MessageId::new(format!("repair-{}-{}", self.known, self.repairs));
                self.say(message, vec![Content::text(repair(&errors))])
                    .await?;
                Ok(None)
            }
            Err(errors) => Ok(Some(Ending {
                outcome: Outcome::Error,
                detail: Some(format!("the answer does not fit the schema:\n{errors}")),
                fitting: None,
            })),
        }
    }

    /// Says something to the model.
    pub(crate) async fn say(
        &mut self,
        message: MessageId,
        content: Vec<Content>,
    ) -> Result<(), Error> {
        self.undelivered = Some(message.clone());
        let op = Op::Say {
            message,
            delivery: Delivery::Steer,
            content,
            effort: None,
        };
        Ok(self.client.submit(&self.session, op).await?)
    }

    async fn stop(&mut self, stop: Stop) -> Result<(), Error> {
        let cause = stop.cause().to_owned();
        self.stopped = Some(stop);
        let op = Op::Interrupt { cause };
        Ok(self.client.submit(&self.session, op).await?)
    }

    /// The output stream is gone: stops the turn, unless that has been asked already.
    async fn output_failed(&mut self, error: io::Error) -> Result<(), Error> {
        if self.stopped.is_some() {
            self.stopped = Some(Stop::Output(error));
            return Ok(());
        }
        self.stop(Stop::Output(error)).await
    }

    async fn hear(&mut self, line: Option<String>) -> Result<(), Error> {
        match line {
            Some(_) => self.screen.heard(),
            None => self.screen.withdraw(),
        }
        match self.approvals.hear(line.as_deref()) {
            Said::Answer(call, answer) => {
                self.answer(call, answer).await?;
                for (call, approval, answer) in self.approvals.orphans() {
                    self.screen.refused(call, &approval);
                    self.answer(call, answer).await?;
                }
            }
            Said::Unclear => {
                self.screen.warn("please answer with one of the choices");
                self.show_question();
            }
            Said::Nothing => {}
        }
        Ok(())
    }

    async fn answer(&self, call: CallId, answer: Answer) -> Result<(), Error> {
        let op = Op::Answer { call, answer };
        Ok(self.client.submit(&self.session, op).await?)
    }

    fn show_question(&mut self) {
        if let Some((call, approval, choices)) = self.approvals.next_to_show() {
            self.screen.ask(call, &approval, &choices);
        }
    }
}

fn fitting_ending(fitting: Fitting) -> Ending {
    Ending {
        outcome: Outcome::Done,
        detail: None,
        fitting: Some(fitting),
    }
}

/// A closed output ends quietly; any other failure of it is an error.
pub(crate) fn output_ending(error: io::Error) -> Result<Ending, Error> {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Ok(Ending::plain(Outcome::OutputClosed)),
        _ => Err(Error::Output(error)),
    }
}

/// Waits so long; for ever without a limit.
async fn after_some(limit: Option<Duration>) {
    match limit {
        Some(limit) => tokio::time::sleep(limit).await,
        None => std::future::pending().await,
    }
}
