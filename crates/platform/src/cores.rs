//! Cores: a thread for each processor, with a runtime of its own, on which a connection is served from its first byte
//! to its last. Threads that share one runtime wake each other for every request; these do not. What takes long at
//! once must not hold up the others of its core, and goes aside to the runtime that all share.

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

/// Bytes from which on reading or writing them would hold up the others of a core.
pub(crate) const LARGE: u64 = 64 << 10;
/// How long what is cut off on the shared runtime may take to let go of what it holds.
const LETTING_GO: Duration = Duration::from_secs(1);

/// The threads that connections are served on.
pub(crate) struct Cores {
    cores: Vec<Core>,
    /// Closes when nothing is done aside any more.
    aside: mpsc::Receiver<()>,
}

struct Core {
    runtime: Handle,
    /// Connections that are served there now.
    connections: Arc<AtomicUsize>,
    /// Dropped, the thread ends.
    end: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

/// Where a thread stands.
struct Here {
    number: usize,
    common: Handle,
    /// Held by all that is done aside.
    aside: mpsc::Sender<()>,
}

thread_local! {
    static HERE: RefCell<Option<Here>> = const { RefCell::new(None) };
}

/// How many places there are that something can be kept for: one for each core, and the first for all other threads.
pub(crate) fn places() -> usize {
    1 + processors()
}

/// The place of the thread that asks.
pub(crate) fn place() -> usize {
    HERE.with_borrow(|here| here.as_ref().map_or(0, |here| 1 + here.number))
}

/// Does work on the runtime that all share, if the thread that asks is a core's; it ends when this is dropped.
pub(crate) async fn aside<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    let shared = HERE.with_borrow(|here| {
        here.as_ref()
            .map(|here| (here.common.clone(), here.aside.clone()))
    });
    let Some((common, held)) = shared else {
        return work.await;
    };
    let mut task = JoinSet::new();
    let work = async move {
        let done = work.await;
        drop(held);
        done
    };
    task.spawn_on(work, &common);
    match task.join_next().await {
        Some(Ok(done)) => done,
        Some(Err(error)) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // The shared runtime has ended, and this one is about to.
        Some(Err(_)) | None => std::future::pending().await,
    }
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

impl Cores {
    /// Starts them. The runtime in which it is called is the one that all share.
    pub(crate) fn start() -> io::Result<Self> {
        let common = Handle::current();
        let (held, aside) = mpsc::channel(1);
        let cores = (0..processors()).map(|number| {
            let here = Here {
                number,
                common: common.clone(),
                aside: held.clone(),
            };
            Core::start(here)
        });
        Ok(Self {
            cores: cores.collect::<io::Result<_>>()?,
            aside,
        })
    }

    /// Cuts off the connections that are left. When it returns, all that was done for them has been let go of, and
    /// charged.
    pub(crate) async fn end(self) {
        let Self { cores, mut aside } = self;
        let _ = tokio::task::spawn_blocking(|| cores.into_iter().for_each(Core::end)).await;
        // What is aside ends at its next step, which may be far inside something large.
        let _ = tokio::time::timeout(LETTING_GO, aside.recv()).await;
    }

    /// Serves a connection on the core that has the fewest.
    pub(crate) fn serve(&self, connection: impl Future<Output = ()> + Send + 'static) {
        let core = self
            .cores
            .iter()
            .min_by_key(|core| core.connections.load(Ordering::Relaxed));
        let Some(core) = core else {
            return;
        };
        let counted = Counted::one_more(&core.connections);
        core.runtime.spawn(async move {
            let _counted = counted;
            connection.await;
        });
    }
}

impl Core {
    /// Ends it, and waits until it has.
    fn end(self) {
        drop(self.end);
        // A panic was told where it happened.
        let _ = self.thread.join();
    }

    fn start(here: Here) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (end, ended) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name(format!("core-{}", here.number))
            .spawn(move || {
                HERE.set(Some(here));
                let _ = runtime.block_on(ended);
                runtime.shutdown_background();
            })?;
        Ok(Self {
            runtime: handle,
            connections: Arc::default(),
            end,
            thread,
        })
    }
}

/// A connection that counts, until it is dropped.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn one_more(connections: &Arc<AtomicUsize>) -> Self {
        connections.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(connections))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tells when it is dropped.
    struct Held(Arc<AtomicUsize>);

    impl Drop for Held {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn what_is_served_stays_on_its_core_and_what_is_aside_does_not() {
        let cores = Cores::start().unwrap();
        let (tell, mut told) = mpsc::channel(2);
        for _ in 0..2 {
            let tell = tell.clone();
            cores.serve(async move {
                let here = place();
                let there = aside(async { place() }).await;
                tell.send((here, there, place())).await.unwrap();
                std::future::pending::<()>().await;
            });
        }
        let (first, second) = (told.recv().await.unwrap(), told.recv().await.unwrap());
        for (before, aside, after) in [first, second] {
            assert!((1..places()).contains(&before));
            assert_eq!((aside, after), (0, before));
        }
        assert!(
            first.0 != second.0 || processors() == 1,
            "the one with the fewest is taken"
        );
        assert_eq!(aside(async { place() }).await, 0, "from anywhere");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn at_the_end_all_is_let_go_of() {
        let cores = Cores::start().unwrap();
        let dropped = Arc::new(AtomicUsize::new(0));
        let (begun, mut begins) = mpsc::channel(1);
        let (on_core, beside) = (Held(Arc::clone(&dropped)), Held(Arc::clone(&dropped)));
        cores.serve(async move {
            let _held = on_core;
            aside(async move {
                let _held = beside;
                begun.send(()).await.unwrap();
                std::future::pending::<()>().await;
            })
            .await;
        });
        begins.recv().await.unwrap();
        cores.end().await;
        assert_eq!(dropped.load(Ordering::SeqCst), 2);
    }
}
