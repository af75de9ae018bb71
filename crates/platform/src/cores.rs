//! Cores: a thread for each processor, with a runtime of its own, on which a connection is served from its first byte
//! to its last. Threads that share one runtime wake each other for every request; these do not. What takes long at
//! once must not hold up the others of its core, and goes aside to the runtime that all share.

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// The threads that connections are served on.
pub(crate) struct Cores {
    cores: Vec<Core>,
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
    let common = HERE.with_borrow(|here| here.as_ref().map(|here| here.common.clone()));
    let Some(common) = common else {
        return work.await;
    };
    let mut task = JoinSet::new();
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
        let cores = (0..processors()).map(|number| {
            let here = Here {
                number,
                common: common.clone(),
            };
            Core::start(here)
        });
        Ok(Self {
            cores: cores.collect::<io::Result<_>>()?,
        })
    }

    /// Cuts off the connections that are left. When it returns, all that was done for them has been let go of, and
    /// charged.
    pub(crate) async fn end(self) {
        let _ = tokio::task::spawn_blocking(|| self.cores.into_iter().for_each(Core::end)).await;
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
