//! The work in flight outside the session: what really runs, whatever the session believes.

use std::collections::BTreeSet;

use quire_kernel::Effect;
use quire_protocol::{CallId, JobId, RequestId};

/// Work that was wished for and has not been answered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flight {
    pub(crate) requests: BTreeSet<RequestId>,
    pub(crate) calls: BTreeSet<CallId>,
    /// Jobs that the session was told of and that have not been reported ended.
    pub(crate) jobs: BTreeSet<JobId>,
    /// Whether the running work was told to stop; it may still come to its own end.
    pub(crate) cancelled: bool,
}

impl Flight {
    /// Performs an effect. Starting anything twice at once is an error.
    pub(crate) fn perform(&mut self, effect: Effect) -> Result<(), String> {
        let ok = match effect {
            Effect::CallModel(request) => {
                self.cancelled = false;
                self.requests.insert(request)
            }
            Effect::RunTool(call) => {
                self.cancelled = false;
                self.calls.insert(call)
            }
            Effect::CancelModel(request) => {
                self.cancelled = true;
                self.requests.contains(&request)
            }
            Effect::CancelTool(call) => {
                self.cancelled = true;
                self.calls.contains(&call)
            }
            Effect::StopJobs => !self.jobs.is_empty(),
        };
        if ok {
            Ok(())
        } else {
            Err(format!("{effect:?} makes no sense with {self:?} in flight"))
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.requests.is_empty() && self.calls.is_empty() && self.jobs.is_empty()
    }
}
