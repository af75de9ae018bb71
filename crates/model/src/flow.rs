//! A stream of model events made from a future that talks while it runs. Nothing is spawned: the
//! future advances only when the reader asks, so a slow reader slows the network down, and
//! dropping the stream drops everything that hangs on it.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use quire_protocol::{Delta, ModelEvent, Money, Usage};

type Queue = Arc<Mutex<VecDeque<ModelEvent>>>;

/// Where the future puts live fragments.
pub(crate) struct Outlet {
    queue: Queue,
}

impl Outlet {
    /// Says what the request has used so far, without waiting for the reader.
    pub(crate) fn used(&self, usage: Usage, cost: Option<Money>) {
        lock(&self.queue).push_back(ModelEvent::Used { usage, cost });
    }

    /// Hands fragments over; returns when the reader has taken them and wants more.
    pub(crate) async fn send(&self, deltas: impl IntoIterator<Item = Delta>) {
        lock(&self.queue).extend(deltas.into_iter().map(ModelEvent::Delta));
        // The reader polls again once the queue is empty; no waker is needed for that, because a
        // poll that finds something queued is answered with it and not left pending.
        poll_fn(|_| {
            if lock(&self.queue).is_empty() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }
}

struct Flow {
    queue: Queue,
    running: Option<BoxFuture<'static, ModelEvent>>,
}

impl Stream for Flow {
    type Item = ModelEvent;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<ModelEvent>> {
        if let Some(event) = self.take() {
            return Poll::Ready(Some(event));
        }
        let Some(running) = &mut self.running else {
            return Poll::Ready(None);
        };
        match running.as_mut().poll(context) {
            Poll::Ready(last) => {
                self.running = None;
                // The last word says all that was used.
                lock(&self.queue).clear();
                Poll::Ready(Some(last))
            }
            Poll::Pending => match self.take() {
                Some(event) => Poll::Ready(Some(event)),
                None => Poll::Pending,
            },
        }
    }
}

impl Flow {
    fn take(&self) -> Option<ModelEvent> {
        lock(&self.queue).pop_front()
    }
}

fn lock(queue: &Queue) -> std::sync::MutexGuard<'_, VecDeque<ModelEvent>> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes a stream of what `run` sends and, last, what it returns.
pub(crate) fn flow<Run, Running>(run: Run) -> BoxStream<'static, ModelEvent>
where
    Run: FnOnce(Outlet) -> Running,
    Running: Future<Output = ModelEvent> + Send + 'static,
{
    let queue = Queue::default();
    let outlet = Outlet {
        queue: Arc::clone(&queue),
    };
    let running: BoxFuture<'static, ModelEvent> = Box::pin(run(outlet));
    Box::pin(Flow {
        queue,
        running: Some(running),
    })
}

/// A stream of one event.
pub(crate) fn only(event: ModelEvent) -> BoxStream<'static, ModelEvent> {
    flow(|_| async { event })
}
