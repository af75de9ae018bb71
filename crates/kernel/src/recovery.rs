//! What to record about work that was in flight when a process died. Nothing starts here.

use quire_protocol::{
    CallId, Event, JobEnd, ModelError, ModelErrorKind, Pause, RequestId, ToolStatus, Usage,
};

use crate::budget::Limit;
use crate::draft::Draft;

const LOST: &str = "The process ended while this ran. It may have run in part, and will not be \
                    run again by itself: check what it did before you do it again.";

impl Draft<'_> {
    /// Gives everything that was in flight its end, so that each call has its result and each
    /// request its answer. A turn that was being stopped ends, one that was to pause does; any other lies
    /// dormant.
    pub(crate) fn recover(&mut self) {
        let calls: Vec<CallId> = self.state.step.running().collect();
        let request = self.state.turn.request();
        if self.state.turn.id().is_some() && !self.state.turn.is_dormant() {
            self.record(Event::Recovered {
                lost_calls: calls.clone(),
                lost_request: request,
            });
        }
        for call in calls {
            self.settle(call, ToolStatus::Lost, LOST);
        }
        self.lose_jobs();
        if let Some(request) = request {
            self.lose_request(request);
        }
        if self.state.turn.is_stopping() {
            self.cancel_unstarted();
            self.end_stopped();
        }
        if self.state.turn.pause() == Some(Pause::Asked) {
            self.stop_at(Limit::Asked);
        }
    }

    fn lose_jobs(&mut self) {
        let jobs: Vec<_> = self.state.jobs.running().collect();
        for job in jobs {
            let outcome = "lost when the process ended".to_owned();
            self.record(Event::JobEnded {
                end: JobEnd { job, outcome },
            });
        }
    }

    fn lose_request(&mut self, request: RequestId) {
        self.record(Event::ModelFailed {
            request,
            error: ModelError {
                kind: ModelErrorKind::Lost,
                message: "the process ended while the model was answering".to_owned(),
                hint: "resume the session to ask again".to_owned(),
                status: None,
            },
            usage: Usage::default(),
            cost: None,
            retries: Vec::new(),
        });
    }
}
