//! Background jobs: they outlive their call and their turn, but not a stop.

use std::collections::BTreeSet;

use quire_protocol::{CallId, Event, JobEnd, JobId};

use crate::Effect;
use crate::draft::Draft;

/// The jobs that run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Jobs {
    running: BTreeSet<JobId>,
}

impl Jobs {
    pub(crate) fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    pub(crate) fn running(&self) -> impl Iterator<Item = JobId> {
        self.running.iter().copied()
    }

    pub(crate) fn started(&mut self, job: JobId) {
        self.running.insert(job);
    }

    /// A job ended; what the model is to be told of that.
    pub(crate) fn ended(&mut self, end: &JobEnd) -> Option<String> {
        let ran = self.running.remove(&end.job);
        ran.then(|| format!("Background job {} ended: {}.", end.job, end.outcome))
    }

    /// None of them is this session's.
    pub(crate) fn forked(&mut self) {
        self.running.clear();
    }
}

impl Draft<'_> {
    /// A call started a job. While the turn is being stopped, the job has to go too.
    pub(crate) fn job_started(&mut self, job: JobId, call: CallId) {
        self.record(Event::JobStarted { job, call });
        if self.state.turn.is_stopping() {
            self.wish(Effect::StopJobs);
        }
    }

    /// A job ended. One that ends before the call that started it has told of it is taken down
    /// as started first, so that its end is not lost.
    pub(crate) fn job_ended(&mut self, end: JobEnd) {
        if let Some(call) = self.parent_of(end.job) {
            self.record(Event::JobStarted { job: end.job, call });
        }
        if self.state.jobs.running.contains(&end.job) {
            self.record(Event::JobEnded { end });
            self.finish_stopping();
        }
    }

    pub(crate) fn stop_jobs(&mut self) {
        if !self.state.jobs.is_empty() {
            self.wish(Effect::StopJobs);
        }
    }
}
