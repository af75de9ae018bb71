//! The questions of a session that works for another one's call: that one asks them in its place, and passes the
//! answers on.

use std::collections::{HashMap, VecDeque};
use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use quire_kernel::Input;
use quire_protocol::{Answer, Approval, CallId, MemberName, Op};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use crate::actor::Message;
use crate::effects::locked;

/// The ways by which the answers to questions of running calls reach those who asked.
#[derive(Clone, Default)]
pub(crate) struct Answers(Arc<Mutex<HashMap<CallId, Line>>>);

/// The way of one call. A question's answer takes the way that was there when it was asked, and no later one.
#[derive(Default)]
struct Line {
    /// For the question that is to be asked next.
    next: Option<oneshot::Sender<Answer>>,
    /// For the question that is open.
    open: Option<oneshot::Sender<Answer>>,
}

impl Answers {
    /// A question is about to be asked; its answer comes by what comes back.
    fn expected(&self, call: CallId) -> oneshot::Receiver<Answer> {
        let (sender, answer) = oneshot::channel();
        locked(&self.0).entry(call).or_default().next = Some(sender);
        answer
    }

    /// The question is recorded.
    pub(crate) fn asked(&self, call: CallId) {
        if let Some(line) = locked(&self.0).get_mut(&call) {
            line.open = line.next.take();
        }
    }

    /// Its answer is recorded.
    pub(crate) fn answered(&self, call: CallId, answer: &Answer) {
        let mut lines = locked(&self.0);
        if let Some(open) = lines.get_mut(&call).and_then(|line| line.open.take()) {
            // Who asked may be over by now.
            let _ = open.send(answer.clone());
        }
    }

    /// Nothing is asked for a call any more.
    pub(crate) fn forget(&self, call: CallId) {
        locked(&self.0).remove(&call);
    }
}

/// What lies between two questions of one call. Whoever answers the first one at the same moment as another person
/// must not have answered the second one, which is about the same call.
const PAUSE: Duration = Duration::from_secs(1);

/// A member's open questions, which its lead asks in its place, one after another.
pub(crate) struct Questions {
    /// The lead's call.
    call: CallId,
    lead: mpsc::WeakSender<Message>,
    answers: Answers,
    name: String,
    /// Not asked yet, in the order in which they came up.
    waiting: VecDeque<(CallId, Approval)>,
    /// The member's call that the lead asks about now.
    open: Option<(CallId, oneshot::Receiver<Answer>)>,
    /// Before this, nothing more is asked.
    next_at: Instant,
}

/// What there is to do about a member's questions.
pub(crate) enum Next {
    /// The lead was answered about this call of the member.
    Answered(CallId, Answer),
    /// The next one may be asked.
    Due,
}

impl Questions {
    /// Those of the member that works for this call.
    pub(crate) fn new(
        call: CallId,
        name: &MemberName,
        lead: mpsc::WeakSender<Message>,
        answers: Answers,
    ) -> Self {
        Self {
            call,
            lead,
            answers,
            name: name.to_string(),
            waiting: VecDeque::new(),
            open: None,
            next_at: Instant::now(),
        }
    }

    /// A question came up, or has been there before.
    pub(crate) fn came_up(&mut self, asking: CallId, approval: Approval) {
        let is_open = self.open.as_ref().is_some_and(|(open, _)| *open == asking);
        if !is_open && self.waiting.iter().all(|(waiting, _)| *waiting != asking) {
            self.waiting.push_back((asking, approval));
        }
    }

    /// Waits until there is something to do about them.
    pub(crate) async fn next(&mut self) -> Next {
        if let Some((call, answer)) = &mut self.open {
            let (call, answer) = (*call, answer.await);
            self.close();
            return match answer {
                Ok(answer) => Next::Answered(call, answer),
                // The lead's call is over, and the member with it.
                Err(_) => pending().await,
            };
        }
        if self.waiting.is_empty() {
            return pending().await;
        }
        sleep_until(self.next_at).await;
        Next::Due
    }

    pub(crate) async fn ask_next(&mut self) {
        let Some((asking, approval)) = self.waiting.pop_front() else {
            return;
        };
        let call = self.call;
        self.open = Some((asking, self.answers.expected(call)));
        let reason = format!("agent `{}`: {}", self.name, approval.reason);
        let approval = Approval { reason, ..approval };
        self.tell(Message::Input(Input::Asks { call, approval }))
            .await;
    }

    /// A question is one no more: it was answered where it was asked, or what asked it is over.
    pub(crate) async fn settled(&mut self, asking: CallId, answer: Option<&Answer>) {
        self.waiting.retain(|(waiting, _)| *waiting != asking);
        if self.open.as_ref().is_none_or(|(open, _)| *open != asking) {
            return;
        }
        self.close();
        let answer = match answer {
            Some(Answer::AllowOnce | Answer::AllowAlways) => Answer::AllowOnce,
            Some(denied @ Answer::Deny { .. }) => denied.clone(),
            None => Answer::Deny {
                reason: "what asked this is over".to_owned(),
            },
        };
        let call = self.call;
        let (sender, _) = oneshot::channel();
        self.tell(Message::Op(Op::Answer { call, answer }, sender))
            .await;
    }

    fn close(&mut self) {
        self.open = None;
        self.next_at = Instant::now() + PAUSE;
    }

    /// A lead that is closed asks nothing any more.
    async fn tell(&self, message: Message) {
        if let Some(lead) = self.lead.upgrade() {
            let _ = lead.send(message).await;
        }
    }
}
