//! What a screen has done on its machine beside it, so that no key waits for it.

use std::sync::Arc;

use quire_protocol::Content;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::images;
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

    /// Reads an image; what was pasted for it is written where it is none.
    pub(crate) fn attach(&self, path: String, pasted: Option<String>) {
        self.run(move |machine| Done::Attached {
            name: images::name(&path).to_owned(),
            image: machine.image(&path),
            pasted,
        });
    }

    /// Reads the image in the clipboard.
    pub(crate) fn attach_copied(&self) {
        self.run(|machine| Done::Attached {
            name: "clipboard".to_owned(),
            image: machine.clipboard(),
            pasted: None,
        });
    }

    /// Keeps a rule that lets commands of a prefix run.
    pub(crate) fn allow(&self, prefix: Vec<String>) {
        self.run(move |machine| Done::Allowed(machine.allow(&prefix)));
    }

    /// Looks at the workspace.
    pub(crate) fn walk(&self) {
        self.run(|machine| Done::Walked(machine.paths()));
    }

    /// Finds out what was said in this folder before.
    pub(crate) fn recall(&self) {
        self.run(|machine| Done::Recalled(machine.said()));
    }

    /// Waits for the next one that is done.
    pub(crate) async fn next(&mut self) -> Done {
        match self.done.recv().await {
            Some(done) => done,
            None => std::future::pending().await,
        }
    }
}
