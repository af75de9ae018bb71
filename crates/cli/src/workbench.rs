//! What each session works with: its tools and what it is told first.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use quire_catalogue::Catalogue;
use quire_engine::Workbench;
use quire_instructions::{Place, compose, instruction_files};
use quire_mcp::{Begin, Ground, Server};
use quire_net::Proxies;
use quire_protocol::{Day, Sandbox, SessionId, Settings, Store, ToolServers, ToolSet};
use quire_tools::{ToolDialect, Toolbox, ToolboxOptions};

use crate::mcp;
use crate::surroundings::now_ms;

/// Makes tools over the sandbox and the store.
pub(crate) struct Bench {
    pub(crate) sandbox: Arc<dyn Sandbox>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) catalogue: Arc<Catalogue>,
    /// What the reading tools refuse to read.
    pub(crate) hidden: Vec<PathBuf>,
    /// The folder of the person's own instructions; none when instruction files are not read.
    pub(crate) personal: Option<PathBuf>,
    /// The servers of tools of the settings.
    pub(crate) servers: Vec<Server>,
    /// How long a new session waits for its servers.
    pub(crate) patience: Duration,
    pub(crate) proxies: Proxies,
}

impl Workbench for Bench {
    fn tools(&self, session: &SessionId, settings: &Settings) -> Result<Arc<dyn ToolSet>, String> {
        if !settings.workspace.is_dir() {
            return Err(format!(
                "the folder {} is not there: make it again, or start a new session elsewhere",
                quire_protocol::spelled(&settings.workspace)
            ));
        }
        let (provider, name) = settings
            .model
            .split_once('/')
            .unwrap_or(("", &settings.model));
        let dialect = match self.catalogue.facts(provider, name).family {
            quire_catalogue::ToolDialect::ClaudeLike => ToolDialect::ClaudeLike,
            quire_catalogue::ToolDialect::GptLike => ToolDialect::GptLike,
        };
        Ok(Arc::new(Toolbox::with_options(
            dialect,
            settings.workspace.clone(),
            Arc::clone(&self.sandbox),
            Arc::clone(&self.store),
            ToolboxOptions {
                hidden: self.hidden.clone(),
                servers: self.servers(session, settings),
            },
        )))
    }

    fn instructions(&self, settings: &Settings) -> String {
        let files = match &self.personal {
            Some(personal) => instruction_files(Some(personal), &settings.workspace),
            None => Vec::new(),
        };
        let place = Place {
            workspace: settings.workspace.clone(),
            system: std::env::consts::OS.to_owned(),
            date: Day::of(now_ms()).to_string(),
            confinement: quire_tools::confinement(&settings.policy),
        };
        compose(&place, &files)
    }
}

impl Bench {
    /// The servers of a session. Those of an agent that works for another start when they are needed:
    /// what they offer is known from its lead.
    fn servers(&self, session: &SessionId, settings: &Settings) -> Option<Arc<dyn ToolServers>> {
        let ground = Ground {
            workspace: settings.workspace.clone(),
            policy: settings.policy.clone(),
            sandbox: Arc::clone(&self.sandbox),
            proxies: self.proxies.clone(),
        };
        let begin = match session.lead() {
            None => Begin::Now,
            Some(_) => Begin::WhenNeeded,
        };
        mcp::servers(&self.servers, ground, begin, self.patience)
    }
}

/// Makes nothing: for commands that only look at sessions.
pub(crate) struct Closed;

impl Workbench for Closed {
    fn tools(&self, _: &SessionId, _: &Settings) -> Result<Arc<dyn ToolSet>, String> {
        Err("this command only looks at sessions".to_owned())
    }

    fn instructions(&self, _: &Settings) -> String {
        String::new()
    }
}
