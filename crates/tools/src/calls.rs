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

/// All running calls.
#[derive(Clone, Default)]
pub(crate) struct Calls {
    running: Arc<Mutex<HashMap<CallId, Arc<Running>>>>,
}

impl Calls {
    /// Notes that a call runs, until the guard is dropped.
    pub(crate) fn begin(&self, call: CallId) -> Guard {
        let running = Arc::new(Running {
            stop: Arc::new(Stop::new()),
            over: watch::Sender::new(false),
        });
        lock(&self.running).insert(call, Arc::clone(&running));
        Guard {
            calls: self.clone(),
            call,
            running,
        }
    }

    /// Stops a call now; the future waits until nothing of it runs. A call that does not run is no
    /// matter.
    pub(crate) fn cancel(&self, call: CallId) -> impl Future<Output = ()> + Send + use<> {
        let running = lock(&self.running).get(&call).cloned();
        if let Some(running) = &running {
            running.stop.stop();
        }
        async move {
            if let Some(running) = running {
                let mut over = running.over.subscribe();
                over.wait_for(|over| *over)
                    .await
                    .expect("the sender lives as long as `running`");
            }
        }
    }

    /// Stops all without waiting.
    pub(crate) fn stop_all(&self) {
        for running in lock(&self.running).values() {
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
        if running
            .get(&self.call)
            .is_some_and(|current| Arc::ptr_eq(current, &self.running))
        {
            running.remove(&self.call);
        }
        drop(running);
        self.running.over.send_replace(true);
    }
}

/// Locks; what a panicking holder left behind is still usable here.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
