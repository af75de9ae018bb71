//! What clients ask about the past of a session: forks, what became of files, and the way back.

use quire_kernel::{ForkPlace, Input, Session};
use quire_protocol::{
    ClientError, Conflicts, Event, FileChange, MessageId, Point, Record, Seq, SessionHead,
    SessionId, Settings, Spending, Store, StoreError, TakenBack, TravelStep,
};
use tokio::sync::oneshot;

use crate::actor::{Actor, now_ms};
use crate::branch::Words;
use crate::changes::Since;
use crate::engine::{Engine, Ready};
use crate::journal::{decode_entry, encode_entry};
use crate::travel::FileHistory;

/// Records read from a journal at a time.
const PAGE: usize = 1024;

/// Hands every record of a journal on, in order.
pub(crate) async fn read_all(
    store: &dyn Store,
    session: &SessionId,
    mut each: impl FnMut(Record),
) -> Result<(), StoreError> {
    let mut last = Seq(0);
    loop {
        let entries = store.read(session, last, PAGE).await?;
        let Some(end) = entries.last() else {
            return Ok(());
        };
        last = end.seq;
        for entry in &entries {
            each(decode_entry(entry)?);
        }
    }
}

/// What a journal tells of the past.
struct Past {
    history: FileHistory,
    /// The place that a point means.
    place: Option<Seq>,
    /// Where a fork begins that is made before the message that the point names, or of all there is.
    fork: Option<Seq>,
    settings: Option<Settings>,
}

impl Past {
    async fn read(
        store: &dyn Store,
        session: &SessionId,
        point: &Point,
    ) -> Result<Self, StoreError> {
        let before = match point {
            Point::Before(message) => Some(message),
            Point::Start | Point::LastChange | Point::LastBack => None,
        };
        let mut fork = ForkPlace::new(before);
        let (mut history, mut settings) = (FileHistory::default(), None);
        read_all(store, session, |record| {
            fork.follow(&record);
            match record.event {
                Event::Travel(step) => history.follow(record.seq, &step),
                Event::Configured { settings: set } => settings = Some(set),
                _ => {}
            }
        })
        .await?;
        let place = match point {
            Point::Start => Some(Seq(0)),
            Point::LastChange => history.before_last(),
            Point::LastBack => None,
            Point::Before(_) => fork.place(),
        };
        Ok(Self {
            history,
            place,
            fork: fork.place(),
            settings,
        })
    }

    fn place(&self, point: &Point) -> Result<Seq, ClientError> {
        self.place.ok_or_else(|| no_such(point))
    }
}

fn off() -> ClientError {
    ClientError::Refused(
        "files are not kept here: checkpoints are off (`checkpoints` in the settings)".to_owned(),
    )
}

impl Engine {
    pub(crate) async fn fork_session(
        &self,
        session: &SessionId,
        before: Option<MessageId>,
    ) -> Result<SessionId, ClientError> {
        let store = &self.parts().store;
        let point = before.clone().map_or(Point::Start, Point::Before);
        let past = Past::read(&**store, session, &point).await?;
        let at = past.fork.ok_or_else(|| no_such(&point))?;
        let ahead = past.history.back_to(at).into_iter();
        let ahead = ahead.map(|goal| goal.path).collect();
        let (mut kernel, mut since) = (Session::default(), Since::default());
        let mut words = Words::default();
        read_all(&**store, session, |record| {
            words.follow(&record);
            if record.seq <= at {
                since.follow(&record.event, record.at_ms);
                kernel.apply(&record.event);
            }
        })
        .await?;
        let from = session.clone();
        let forked = TravelStep::Forked { from, at, ahead };
        let events = kernel.decide(Input::Travelled(forked)).events;
        for event in &events {
            kernel.apply(event);
        }
        let Some(settings) = kernel.settings().cloned() else {
            return Err(ClientError::Refused(format!(
                "session {session} has not begun yet"
            )));
        };
        let title = words.title(at, before.as_ref());
        let head = fork_head(session, &settings, title);
        let fork = head.session.clone();
        let tools = self.parts().workbench.tools(&fork, &settings);
        let tools = tools.map_err(ClientError::Settings)?;
        let at_ms = now_ms();
        let own = (at.0 + 1..)
            .zip(&events)
            .map(|(seq, event)| encode_entry(Seq(seq), at_ms, event))
            .collect();
        let lease = store.fork(head, session, at, own).await?;
        let last = lease.last;
        let ready = Ready {
            lease,
            last,
            kernel,
            tools,
            since,
            spent: Spending::default(),
        };
        let tree = self.tree(&fork).await?;
        self.launch(ready, tree);
        Ok(fork)
    }

    pub(crate) async fn changes_since(
        &self,
        session: &SessionId,
        since: Point,
    ) -> Result<Vec<FileChange>, ClientError> {
        let checkpoints = self.parts().checkpoints.as_ref().ok_or_else(off)?;
        let past = Past::read(&*self.parts().store, session, &since).await?;
        let (Ok(place), Some(settings)) = (past.place(&since), &past.settings) else {
            return Ok(Vec::new());
        };
        let goals = past.history.back_to(place);
        Ok(checkpoints.compare(&settings.workspace, goals).await?)
    }
}

fn fork_head(from: &SessionId, settings: &Settings, title: String) -> SessionHead {
    let at_ms = now_ms();
    SessionHead {
        session: SessionId::new(uuid::Uuid::now_v7().to_string()),
        created_ms: at_ms,
        updated_ms: at_ms,
        workspace: settings.workspace.to_string_lossy().into_owned(),
        title,
        events: 0,
        parent: Some(from.clone()),
    }
}

fn no_such(point: &Point) -> ClientError {
    ClientError::Refused(match point {
        Point::Before(message) => {
            format!("there is no message {message} in this session that was delivered")
        }
        Point::Start | Point::LastChange => "there is no change of files to take back".to_owned(),
        Point::LastBack => "nothing was taken back since the session changed files last".to_owned(),
    })
}

impl Actor {
    /// Takes changes of files back, while nothing of the session runs. The outer result is about the
    /// store.
    pub(crate) async fn take_back(
        &mut self,
        to: Point,
        conflicts: Conflicts,
        answer: oneshot::Sender<Result<TakenBack, ClientError>>,
    ) -> Result<(), StoreError> {
        let taken = self.taken_back(&to, conflicts).await;
        let (told, recorded) = match taken {
            Ok((taken, Some(step))) => {
                let recorded = self.take(Input::Travelled(step)).await;
                let told = recorded.clone().map(|()| taken).map_err(ClientError::Store);
                (told, recorded)
            }
            Ok((taken, None)) => (Ok(taken), Ok(())),
            Err(error) => (Err(error), Ok(())),
        };
        // Who stopped waiting finds it in the journal.
        let _ = answer.send(told);
        recorded
    }

    async fn taken_back(
        &self,
        point: &Point,
        conflicts: Conflicts,
    ) -> Result<(TakenBack, Option<TravelStep>), ClientError> {
        let checkpoints = self.parts.checkpoints.as_ref().ok_or_else(off)?;
        if !self.kernel.is_idle() {
            let words = "something of the session still runs, or waits for an answer: stop it first, \
                         then take files back";
            return Err(ClientError::Refused(words.to_owned()));
        }
        let session = &self.lease.session;
        let past = Past::read(&*self.parts.store, session, point).await?;
        let (to, goals) = if *point == Point::LastBack {
            let goals = past.history.forth().ok_or_else(|| no_such(point))?;
            (None, goals)
        } else {
            let to = past.place(point)?;
            (Some(to), past.history.back_to(to))
        };
        let workspace = self.workspace();
        let taken = checkpoints.take_back(session, &workspace, goals, conflicts);
        let (taken, files) = taken.await?;
        let failed = taken.failed().cloned().collect();
        // Where every file was back already, the changes are in force no more.
        let says_something = to.is_none_or(|to| past.history.has_after(to));
        let step = match to {
            Some(to) => TravelStep::TakenBack { to, files, failed },
            None => TravelStep::Redone { files, failed },
        };
        let step = (taken.done && says_something).then_some(step);
        Ok((taken, step))
    }
}
