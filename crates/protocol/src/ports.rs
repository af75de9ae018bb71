//! What the engine needs (`Model`, `ToolSet`), and what faces need (`Client`).

use std::path::PathBuf;
use std::sync::Arc;

use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use serde::{Deserialize, Serialize};

use crate::{
    Agent, CallPlan, CheckpointError, Conflicts, Delta, FileChange, Frame, Hit, JobEnd, MessageId,
    ModelEvent, ModelRequest, Op, Pause, Point, Policy, Record, Seq, SessionHead, SessionId,
    SessionQuery, Settings, StoreError, TakenBack, Team, ToolCall, ToolOutcome, ToolServers,
    ToolSpec,
};

/// Answers requests. Retries are its own business; a request it gave up on is `Failed`.
pub trait Model: Send + Sync {
    /// Sends a request. Dropping the stream cancels it.
    fn respond(&self, request: ModelRequest) -> BoxStream<'static, ModelEvent>;
}

/// The tools of one session.
pub trait ToolSet: Send + Sync {
    /// What the model is told of them, in a fixed order.
    fn specs(&self) -> Vec<ToolSpec>;

    /// What is to happen to a call under a policy. Touches nothing but may look at paths.
    fn plan(&self, call: &ToolCall, policy: &Policy) -> CallPlan;

    /// Runs a call to its end. The future must be driven to completion; to stop it early use
    /// [`ToolSet::cancel`].
    fn run(&self, call: ToolCall, context: ToolContext) -> BoxFuture<'static, ToolOutcome>;

    /// Runs a command for the harness rather than for the model, in the sandbox and to its end: a
    /// check of the goal. It goes by the number 0, which no call of a model has: [`ToolSet::cancel`]
    /// with it stops all that run so. One whose future is dropped is stopped as well, without a wait.
    fn check(&self, command: &str, context: ToolContext) -> BoxFuture<'static, ToolOutcome>;

    /// Stops a running call and returns once nothing of it runs. Its `run` future then ends with
    /// [`crate::ToolStatus::Cancelled`].
    fn cancel(&self, call: crate::CallId) -> BoxFuture<'static, ()>;

    /// Kills every background job and returns once they are dead, with how each ended.
    fn stop_jobs(&self) -> BoxFuture<'static, Vec<JobEnd>>;

    /// Waits for the next background job to end by itself.
    fn job_ended(&self) -> BoxFuture<'static, JobEnd>;

    /// The servers whose tools come and go; calls of those go through this tool set as all others.
    fn servers(&self) -> Option<Arc<dyn ToolServers>> {
        None
    }
}

/// What a running call is given.
#[derive(Clone)]
pub struct ToolContext {
    /// The session.
    pub session: SessionId,
    /// The folder it works in, absolute.
    pub workspace: PathBuf,
    /// The policy in force.
    pub policy: Policy,
    /// Takes live output; cheap and never blocks.
    pub progress: Arc<dyn Fn(Delta) + Send + Sync>,
    /// The session's journal.
    pub journal: Arc<dyn Journal>,
    /// Those who may work for it; none for what the harness runs itself.
    pub team: Option<Arc<dyn Team>>,
}

/// What has happened in a session, to be read back.
pub trait Journal: Send + Sync {
    /// The records after `after`, in order, at most `limit`; none at the end.
    fn read(&self, after: Seq, limit: usize) -> BoxFuture<'_, Result<Vec<Record>, StoreError>>;
}

/// What a face needs: sessions that can be opened, asked and watched.
pub trait Client: Send + Sync {
    /// Starts a session.
    fn start(&self, settings: Settings) -> BoxFuture<'_, Result<SessionId, ClientError>>;

    /// Opens an existing session, leasing it to this process and recovering it if need be; one that is
    /// open already is told as it is. What a crash left unfinished goes on with [`Op::Resume`].
    fn open(&self, session: &SessionId) -> BoxFuture<'_, Result<Opened, ClientError>>;

    /// Asks something of an open session. When it returns, the op is recorded.
    fn submit(&self, session: &SessionId, op: Op) -> BoxFuture<'_, Result<(), ClientError>>;

    /// Everything recorded after `after`, then what happens live. Ends when the session closes.
    fn watch(&self, session: &SessionId, after: Seq) -> BoxStream<'static, Frame>;

    /// Stops what runs, gives the lease back and makes all of it survive a power cut.
    fn close(&self, session: &SessionId) -> BoxFuture<'_, Result<(), ClientError>>;

    /// Lists sessions, newest activity first.
    fn sessions(&self, query: SessionQuery)
    -> BoxFuture<'_, Result<Vec<SessionHead>, ClientError>>;

    /// What sessions need: those that are open, and those in which something happened last. Newest
    /// activity first.
    fn agents(&self) -> BoxFuture<'_, Result<Vec<Agent>, ClientError>>;

    /// Searches all sessions.
    fn search(&self, text: &str, limit: usize) -> BoxFuture<'_, Result<Vec<Hit>, ClientError>>;

    /// Begins a session with what this one has, or had before a message. The files of the workspace stay
    /// as they are.
    fn fork(
        &self,
        session: &SessionId,
        before: Option<MessageId>,
    ) -> BoxFuture<'_, Result<SessionId, ClientError>>;

    /// What the session made of files since a point: how they are against how they were.
    fn changes(
        &self,
        session: &SessionId,
        since: Point,
    ) -> BoxFuture<'_, Result<Vec<FileChange>, ClientError>>;

    /// Takes the session's changes of files back to a point. Only while nothing of the session runs.
    fn take_back(
        &self,
        session: &SessionId,
        to: Point,
        conflicts: Conflicts,
    ) -> BoxFuture<'_, Result<TakenBack, ClientError>>;

    /// Removes a session for good.
    fn remove(&self, session: &SessionId) -> BoxFuture<'_, Result<(), ClientError>>;
}

/// A session that was opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    /// Its settings.
    pub settings: Settings,
    /// The last place in its journal as it was found. What follows it up to `last` was recorded by
    /// opening the session: how that which a crash cut short ended.
    pub found: Seq,
    /// The last place in its journal.
    pub last: Seq,
    /// Whether a turn is open that a crash cut short, or that waits; [`Op::Resume`] goes on with it.
    pub unfinished: bool,
    /// What keeps that turn, if anything does. What is said to it at a limit is heard once that is raised.
    pub pause: Option<Pause>,
    /// Whether the session works for a goal; [`Op::Resume`] goes on with that too.
    pub has_goal: bool,
    /// What a damaged journal lost, in words for the person.
    pub repaired: Option<String>,
}

/// What can go wrong for a face.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientError {
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The session is not open in this process.
    #[error("session {0} is not open")]
    NotOpen(SessionId),
    /// The session's task died; its journal is intact.
    #[error("session {session} stopped working: {reason}. Its journal is intact: resume it")]
    Died {
        /// The session.
        session: SessionId,
        /// What killed it.
        reason: String,
    },
    /// The settings cannot work.
    #[error("{0}")]
    Settings(String),
    /// What is asked cannot be done as the session stands.
    #[error("{0}")]
    Refused(String),
    /// Files could not be looked at or taken back.
    #[error(transparent)]
    Files(#[from] CheckpointError),
    /// The process that hosts the session cannot be reached.
    #[error("{0}")]
    Unreachable(String),
}
