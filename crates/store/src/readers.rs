//! Reads. Each has a thread and a connection to itself, so that neither a long search nor a slow
//! disk holds up an append or another read; connections are kept for the next one.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use futures_core::future::BoxFuture;
use quire_protocol::StoreError;
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::fault::{self, Fault};
use crate::schema;

/// So many idle connections are kept; each has at most a megabyte of cache.
const IDLE: usize = 2;

/// The reading side of a store.
pub(crate) struct Readers {
    directory: PathBuf,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    pub(crate) fn new(directory: &Path) -> Arc<Self> {
        Arc::new(Self {
            directory: directory.to_owned(),
            idle: Mutex::default(),
        })
    }

    /// Starts work on a thread of its own. If nobody waits for its result any more, `undo` gets it.
    pub(crate) fn run<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Connection, &Path) -> Result<T, Fault> + Send + 'static,
        undo: impl FnOnce(T) + Send + 'static,
    ) -> BoxFuture<'static, Result<T, StoreError>> {
        let (answer, answered) = oneshot::channel();
        let readers = Arc::clone(self);
        let thread = thread::Builder::new().name("quire-store-read".to_owned());
        let started = thread.spawn(move || {
            let result = readers.with_connection(work);
            let result = result.map_err(|fault| fault.tell(&readers.directory));
            drop(readers);
            if let Err(Ok(value)) = answer.send(result) {
                undo(value);
            }
        });
        let directory = self.directory.clone();
        Box::pin(async move {
            started.map_err(|error| Fault::io(&directory)(error).tell(&directory))?;
            answered
                .await
                .unwrap_or_else(|_| Err(fault::stopped(&directory)))
        })
    }

    fn with_connection<T>(
        &self,
        work: impl FnOnce(&Connection, &Path) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let idle = self.lock().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => schema::open_reader(&self.directory)?,
        };
        let value = work(&connection, &self.directory)?;
        let mut idle = self.lock();
        if idle.len() < IDLE {
            idle.push(connection);
        }
        Ok(value)
    }

    /// Closes the connections that nobody uses.
    pub(crate) fn close(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
