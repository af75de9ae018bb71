//! What a face has besides its session: the person's machine, other sessions, and what ends it all.

use std::path::PathBuf;
use std::sync::Arc;

use quire_protocol::{Op, Record, joined_text};

use crate::app::App;
use crate::errands::{Done, Errands};
use crate::link::Link;
use crate::machine::Machine;
use crate::notify::Alerts;
use crate::others::{Found, Others};
use crate::paths::Paths;
use crate::setup::{Branch, Check};
use crate::shell::{self, Shell};
use crate::signals::{Sign, Signals};

/// What a face has besides its session.
pub(crate) struct World {
    pub(crate) machine: Arc<dyn Machine>,
    pub(crate) shell: Shell,
    pub(crate) errands: Errands,
    /// Other sessions.
    pub(crate) others: Others,
    pub(crate) alerts: Alerts,
    /// The workspace that the machine is at.
    pub(crate) folder: PathBuf,
    pub(crate) signals: Signals,
    pub(crate) branch: Branch,
    pub(crate) check: Check,
}

/// What comes from beside the session.
pub(crate) enum Beside {
    /// An errand is done.
    Done(Done),
    /// The person's command goes on, or is over.
    Own(shell::News),
    /// Other sessions were looked for.
    Found(Found),
    /// The process was stopped, and goes on.
    GoesOn,
    /// The process is to end.
    Over,
}

impl World {
    /// Waits for what comes from beside the session.
    pub(crate) async fn next(&mut self) -> Beside {
        tokio::select! {
            biased;
            done = self.errands.next() => Beside::Done(done),
            news = self.shell.next() => Beside::Own(news),
            found = self.others.next() => Beside::Found(found),
            sign = self.signals.next() => match sign {
                Sign::GoesOn => Beside::GoesOn,
                Sign::Interrupted | Sign::Over(_) => Beside::Over,
            },
        }
    }

    /// Takes in what was recorded, and has done what comes of it.
    pub(crate) fn take_in(&self, app: &mut App, link: &Link, record: &Record) {
        app.conversation.record(record);
        for op in app.settle() {
            link.ask(op);
        }
        if let Some(prefix) = app.take_rule(&record.event) {
            self.errands.allow(prefix);
        }
    }

    /// Goes to where the session works: the person's commands run there, and the paths are those.
    pub(crate) fn follow(&mut self, app: &mut App) {
        let Some(settings) = &app.conversation.settings else {
            return;
        };
        if self.folder != settings.workspace {
            self.folder.clone_from(&settings.workspace);
            self.machine = self.machine.at(&self.folder);
            self.errands = Errands::new(Arc::clone(&self.machine));
            app.paths = Paths::default();
        }
        app.branch = (self.branch)(&self.folder);
    }

    /// Keeps what is said, to be found again.
    pub(crate) fn keep(&self, op: &Op) {
        if let Op::Say { content, .. } = op {
            self.keep_text(joined_text(content));
        }
    }

    pub(crate) fn keep_text(&self, text: String) {
        self.errands.run(move |machine| {
            machine.keep(&text);
            Done::Kept
        });
    }
}
