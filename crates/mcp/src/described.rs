//! Servers as they are described, and what is told of them.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use quire_net::Proxies;
use quire_protocol::{Policy, Sandbox, SandboxMode, counted, spelled};

use crate::address::Address;
use crate::program::{Program, Walls};

/// A server as it is described.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Its name, unique among those described.
    pub name: String,
    /// The folder whose own file describes it, where one does: what a person always allows of it counts there
    /// alone.
    pub folder: Option<PathBuf>,
    /// How it is reached.
    pub transport: Transport,
    /// Which of its tools there are; `*` at the end of a pattern stands for anything. None means all.
    pub tools: Option<Vec<String>>,
    /// How long it may take until it has told its tools.
    pub start_timeout: Duration,
    /// How long a call may take.
    pub call_timeout: Duration,
}

/// How a server is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Over its stdin and stdout, as a process that is started for the session.
    Process(Program),
    /// By (streamable) HTTP, wherever it runs.
    Http(Address),
}

/// When servers are started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// At once, in the background.
    Now,
    /// At the first call of one of their tools.
    WhenNeeded,
}

/// What servers run on.
#[derive(Clone)]
pub struct Ground {
    /// The workspace, absolute.
    pub workspace: PathBuf,
    /// What confines those that are started at once.
    pub policy: Policy,
    /// What starts processes.
    pub sandbox: Arc<dyn Sandbox>,
    /// The proxies between this machine and servers that are reached by HTTP.
    pub proxies: Proxies,
}

/// How it stands with a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerReport {
    /// The name by which it is described.
    pub name: String,
    /// How it stands.
    pub state: ServerState,
}

/// How it stands with a server. Its own words are cleaned and of a sane size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerState {
    /// Nothing of it runs and nothing went wrong.
    NotStarted,
    /// It is being started.
    Starting,
    /// It runs and has told its tools.
    There {
        /// Its own name and version.
        title: String,
        /// The version of the protocol that is spoken with it.
        protocol: String,
        /// The names of its tools as models see them.
        tools: Vec<String>,
    },
    /// It did not start, or ended by itself.
    Failed {
        /// Why, with the end of what it printed.
        why: String,
    },
}

impl fmt::Display for ServerReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.name)?;
        match &self.state {
            ServerState::NotStarted => f.write_str("not started"),
            ServerState::Starting => f.write_str("still starting"),
            ServerState::There {
                title,
                protocol,
                tools,
            } => {
                let tools = counted(tools.len() as u64, "tool");
                write!(f, "{tools}, {title}, protocol {protocol}")
            }
            ServerState::Failed { why } => write!(f, "not there: {why}"),
        }
    }
}

impl Server {
    /// What rules call it: those for a server of a folder are for that folder.
    pub(crate) fn word(&self) -> String {
        match &self.folder {
            Some(folder) => format!("{}@{}", self.name, spelled(folder)),
            None => self.name.clone(),
        }
    }

    /// What it reaches that commands under this policy do not, in short lines.
    pub(crate) fn reaches(&self, session: &Policy) -> Vec<String> {
        match &self.transport {
            Transport::Process(program) => program.reaches(session),
            // What is sent there commands may send too.
            Transport::Http(_) if session.in_force().sandbox == SandboxMode::Off => Vec::new(),
            Transport::Http(address) => {
                vec![format!("sends what it is given to {}", address.host())]
            }
        }
    }

    /// What confines it under the session's policy; nothing that is ours does where it runs elsewhere.
    pub(crate) fn walls(&self, session: &Policy) -> Option<Walls> {
        match &self.transport {
            Transport::Process(program) => Some(Walls::of(&program.policy(session))),
            Transport::Http(_) => None,
        }
    }
}
