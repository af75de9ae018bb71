//! The calls that run now, so that any of them can be stopped and waited for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quire_protocol::CallId;
use tokio::sync::watch;

/// A wish that something stops; it cannot be taken back.
#[derive(Debug)]
pub(crate) struct Stop {
    wanted: watch::Sender<bool>,
}

impl Stop {
    pub(crate) fn new() -> Self {
        Self {
            wanted: watch::Sender::new(false),
        }
    }

    pub(crate) fn stop(&self) {
        self.wanted.send_replace(true);
    }

    pub(crate) fn is_stopped(&self) -> bool {
        *self.wanted.borrow()
    }

    /// Waits until it is wanted.
    pub(crate) async fn stopped(&self) {
        let mut wanted = self.wanted.subscribe();
        wanted
            .wait_for(|wanted| *wanted)
            .await
            .expect("the sender lives as long as `self`");
    }
}

/// A running call.
struct Running {
    stop: Arc<Stop>,
    over: watch::Sender<bool>,
}

/// All running calls. Those of the harness have one number between them.
#[derive(Clone, Default)]
pub(crate) struct Calls {
    running: Arc<Mutex<HashMap<CallId, Vec<Arc<Running>>>>>,
}

impl Calls {
    /// Notes that a call runs, until the guard is dropped.
    pub(crate) fn begin(&self, call: CallId) -> Guard {
        let running = Arc::new(Running {
            stop: Arc::new(Stop::new()),
            over: watch::Sender::new(false),
        });
        let alike = Arc::clone(&running);
        lock(&self.running).entry(call).or_default().push(alike);
        Guard {
            calls: self.clone(),
            call,
            running,
        }
    }

    /// Stops a call now; the future waits until nothing of it runs. A call that does not run is no
    /// matter.
    pub(crate) fn cancel(&self, call: CallId) -> impl Future<Output = ()> + Send + use<> {
        let running = lock(&self.running).get(&call).cloned().unwrap_or_default();
        for running in &running {
            running.stop.stop();
        }
        async move {
            for running in running {
                let mut over = running.over.subscribe();
                over.wait_for(|over| *over)
                    .await
                    .expect("the sender lives as long as `running`");
            }
        }
    }

    /// Stops all without waiting.
    pub(crate) fn stop_all(&self) {
        for running in lock(&self.running).values().flatten() {
            running.stop.stop();
        }
    }
}

/// Dropped when the call is over.
pub(crate) struct Guard {
    calls: Calls,
    call: CallId,
    running: Arc<Running>,
}

impl Guard {
    pub(crate) fn stop(&self) -> Arc<Stop> {
        Arc::clone(&self.running.stop)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let mut running = lock(&self.calls.running);
        if let Some(alike) = running.get_mut(&self.call) {
            alike.retain(|other| !Arc::ptr_eq(other, &self.running));
            if alike.is_empty() {
                running.remove(&self.call);
            }
        }
        drop(running);
        self.running.over.send_replace(true);
    }
}

/// Locks; what a panicking holder left behind is still usable here.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_call_is_stopped_though_one_of_the_same_number_came_and_went() {
        let calls = Calls::default();
        let first = calls.begin(CallId(0));
        drop(calls.begin(CallId(0)));
        let stopped = calls.cancel(CallId(0));
        assert!(first.stop().is_stopped());
        drop(first);
        stopped.await;
        assert!(lock(&calls.running).is_empty());
    }
}
