//! What a screen has done on its machine beside it, so that no key waits for it.

use std::sync::Arc;

use quire_protocol::Content;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::machine::Machine;

/// Something that was done.
#[derive(Debug)]
pub(crate) enum Done {
    /// The workspace was looked at.
    Walked(Vec<String>),
    /// What was said in this folder was found out.
    Recalled(Vec<String>),
    /// An image was read.
    Attached {
        name: String,
        image: Result<Content, String>,
        pasted: Option<String>,
    },
    /// A rule was kept, or why it could not be.
    Allowed(Result<(), String>),
    /// Nothing that matters here.
    Kept,
}

/// Errands on their way.
pub(crate) struct Errands {
    machine: Arc<dyn Machine>,
    tell: UnboundedSender<Done>,
    done: UnboundedReceiver<Done>,
}

impl Errands {
    pub(crate) fn new(machine: Arc<dyn Machine>) -> Self {
        let (tell, done) = unbounded_channel();
        Self {
            machine,
            tell,
            done,
        }
    }

    /// Begins one.
    pub(crate) fn run(&self, errand: impl FnOnce(&dyn Machine) -> Done + Send + 'static) {
        let (machine, tell) = (Arc::clone(&self.machine), self.tell.clone());
        tokio::task::spawn_blocking(move || {
            // A screen that has left wants it no more.
            let _ = tell.send(errand(&*machine));
        });
    }

    /// Waits for the next one that is done.
    pub(crate) async fn next(&mut self) -> Done {
        match self.done.recv().await {
            Some(done) => done,
            None => std::future::pending().await,
        }
    }
}
