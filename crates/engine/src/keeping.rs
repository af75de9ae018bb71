//! Checkpoints around calls: what changes in the workspace while a call runs, by whatever means, is
//! recorded with it, before its end is.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use quire_protocol::{
    CallId, CheckpointError, Checkpoints, FileStep, JobId, Looked, SessionId, TravelStep, Whose,
};
use tokio::sync::{mpsc, oneshot};

use crate::actor::Message;

/// A call that took longer may have run beside a person who changed files.
const LONG: Duration = Duration::from_secs(5);
/// How long a call, or whoever opens or closes a session, waits for a look at its workspace.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long the end of a call waits for what it changed: reading that may take its time.
const LONG_PATIENCE: Duration = Duration::from_mins(2);

/// What keeps the files of one session.
#[derive(Clone)]
pub(crate) struct Keeping {
    pub(crate) checkpoints: Arc<dyn Checkpoints>,
    pub(crate) session: SessionId,
    pub(crate) workspace: PathBuf,
    pub(crate) inbox: mpsc::WeakSender<Message>,
    /// Whether the journal says already that files are not kept.
    pub(crate) is_missed: Arc<AtomicBool>,
}

impl Keeping {
    /// Takes note of the files while the model writes a call.
    pub(crate) fn prepare(&self) {
        drop(tokio::spawn(self.checkpoints.prepare(&self.workspace)));
    }

    /// Takes note of the files before a call runs. What changed while a job was at work is its doing.
    pub(crate) async fn before(&self, call: CallId, job: Option<JobId>) {
        if let Some(JobId(job)) = job {
            self.found(CallId(job), Whose::Unclear).await;
        }
        let settled = self.checkpoints.settle(&self.session, &self.workspace);
        if let Err(CheckpointError(why)) = within(PATIENCE, settled).await {
            self.missed(call, why).await;
        }
    }

    /// A call is stopped before it runs. It is not at work any more for those beside it, and what changed
    /// is not its doing; nobody waits.
    pub(crate) fn never_ran(&self) {
        let keeping = self.clone();
        drop(tokio::spawn(async move {
            let looked = keeping
                .checkpoints
                .look(&keeping.session, &keeping.workspace);
            let _ = looked.await;
            noted(&*keeping.checkpoints, &keeping.session, &keeping.workspace).await;
        }));
    }

    /// Records what changed while a call ran that began then.
    pub(crate) async fn after(&self, call: CallId, began: Instant) {
        let whose = if began.elapsed() > LONG {
            Whose::Unclear
        } else {
            Whose::Agent
        };
        self.found(call, whose).await;
    }

    /// Records what a job changed that ended.
    pub(crate) async fn after_job(&self, JobId(job): JobId) {
        self.found(CallId(job), Whose::Unclear).await;
    }

    async fn found(&self, call: CallId, whose: Whose) {
        let looked = self.checkpoints.look(&self.session, &self.workspace);
        match within(LONG_PATIENCE, looked).await {
            Ok(Looked { files, .. }) if files.is_empty() => {}
            Ok(Looked {
                files,
                whose: found,
            }) => {
                let whose = if found == Whose::Unclear {
                    found
                } else {
                    whose
                };
                if !self.record(TravelStep::Kept { call, files, whose }).await {
                    // The next look finds it again.
                    return;
                }
            }
            Err(CheckpointError(why)) => return self.missed(call, why).await,
        }
        let noted = self.checkpoints.note(&self.session, &self.workspace);
        if let Err(CheckpointError(why)) = within(PATIENCE, noted).await {
            self.missed(call, why).await;
        }
    }

    async fn missed(&self, call: CallId, reason: String) {
        if !self.is_missed.swap(true, Ordering::Relaxed) {
            self.record(TravelStep::Missed { call, reason }).await;
        }
    }

    /// Whether it was recorded: not in a session that is over.
    async fn record(&self, step: TravelStep) -> bool {
        let Some(inbox) = self.inbox.upgrade() else {
            return false;
        };
        let (done, recorded) = oneshot::channel();
        inbox.send(Message::Travelled(step, done)).await.is_ok() && recorded.await.is_ok()
    }
}

/// What changed while calls or jobs ran that were cut short, by a crash or because the session is closed.
pub(crate) async fn found_lost(
    checkpoints: &dyn Checkpoints,
    session: &SessionId,
    workspace: &std::path::Path,
) -> Vec<FileStep> {
    // A folder that cannot be looked at now is told with the next call.
    let looked = within(PATIENCE, checkpoints.look(session, workspace)).await;
    looked.map_or_else(|_| Vec::new(), |looked| looked.files)
}

/// What a look found is recorded. Where that cannot be noted, it is found and recorded once more.
pub(crate) async fn noted(
    checkpoints: &dyn Checkpoints,
    session: &SessionId,
    workspace: &std::path::Path,
) {
    let _ = within(PATIENCE, checkpoints.note(session, workspace)).await;
}

/// Waits no longer than that: a folder on a disk that hangs must not hold a session up.
async fn within<T>(
    patience: Duration,
    looking: impl Future<Output = Result<T, CheckpointError>>,
) -> Result<T, CheckpointError> {
    let looked = tokio::time::timeout(patience, looking).await;
    looked.unwrap_or_else(|_| {
        let seconds = patience.as_secs();
        let why = format!("looking at the folder takes longer than {seconds} s");
        Err(CheckpointError(why))
    })
}
