//! `quire serve`, the process that hosts sessions, and `quire agents`, which looks at what it hosts.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use quire_checkpoints::Keeper;
use quire_headless::{FindError, Supervise};
use quire_model::Renewed;
use quire_protocol::{Answer, Client, Delivery, Model, Store};
use quire_sandbox::Spawner;
use quire_server::{Daemon, Hosts, Origin, Remote, ServeError, Summon, Token, background};

use crate::args::{AgentsCommand, ServeArgs};
use crate::surroundings::{Surroundings, now_ms};
use crate::{assemble, exec, mcp, talk, terminal, usage, warnings};

const NAME: &str = concat!("quire ", env!("CARGO_PKG_VERSION"));
/// How long tools may still run when the host is told to end.
const PATIENCE: Duration = Duration::from_secs(10);
/// Engines for different surroundings that are kept at hand.
const ENGINES: usize = 16;

fn place(surroundings: &Surroundings) -> PathBuf {
    surroundings.paths.data.join("host")
}

/// The host's sessions, for a face in this process: the host at that address, or this person's own,
/// which is started where it is not there; what a person has to know of it is told.
pub(crate) async fn remote(
    surroundings: &Surroundings,
    url: Option<&str>,
) -> anyhow::Result<Remote> {
    if let Some(url) = url {
        let token = match surroundings.variable("QUIRE_HOST_TOKEN") {
            Some(token) => Token::new(token),
            None => Token::read(&place(surroundings)).map_err(|error| {
                usage(format!(
                    "set QUIRE_HOST_TOKEN to the token of {url}: there is none here ({error})"
                ))
            })?,
        };
        let folder = surroundings.workspace.clone();
        return Remote::at(url, token, NAME, folder).map_err(usage);
    }
    let (program, variables) = (&surroundings.program, &surroundings.variables);
    let summon = background(program, &["serve", "--background"], variables);
    let remote = reach(surroundings, Some(summon));
    remote.arrive(terminal::complain).await?;
    Ok(remote)
}

/// The same, where only a host that is there already is looked at.
pub(crate) async fn lookout(
    surroundings: &Surroundings,
    url: Option<&str>,
) -> anyhow::Result<Remote> {
    match url {
        Some(_) => remote(surroundings, url).await,
        None => Ok(reach(surroundings, None)),
    }
}

fn reach(surroundings: &Surroundings, summon: Option<Summon>) -> Remote {
    Remote::new(place(surroundings), NAME, surroundings.origin(), summon)
}

pub(crate) async fn serve(
    args: ServeArgs,
    surroundings: &Surroundings,
) -> anyhow::Result<ExitCode> {
    if args.stop || args.restart {
        let stopped = reach(surroundings, None).stop(PATIENCE).await?;
        terminal::complain(&format!("{stopped}"));
        if args.restart {
            remote(surroundings, None).await?;
            terminal::complain("the next host is there");
        }
        return Ok(ExitCode::SUCCESS);
    }
    quire_headless::outlive_terminal()?;
    if args.background {
        quire_server::leave_terminal();
    }
    let store = assemble::store(surroundings, &surroundings.settings([])?)? as Arc<dyn Store>;
    let hosting = Arc::new(Hosting {
        keeper: assemble::keeper(surroundings, Arc::clone(&store)),
        store,
        surroundings: surroundings.clone(),
        made: Mutex::default(),
    });
    let idle = Duration::from_secs(args.idle);
    let (folder, environment) = (place(surroundings), surroundings.origin().environment);
    let daemon = Daemon::listen(&folder, hosting, NAME.to_owned(), environment, idle);
    if args.background && matches!(daemon, Err(ServeError::Taken(_))) {
        // Two were started at once, or the last one is still ending.
        return Ok(ExitCode::SUCCESS);
    }
    let mut daemon = daemon?;
    if let Some(address) = args.listen {
        let bound = daemon.listen_at(address, args.allow_origin).await?;
        let token = Token::file(&folder).to_string_lossy().into_owned();
        terminal::complain(&format!("listening at ws://{bound}, token in {token}"));
        if !bound.ip().is_loopback() {
            terminal::complain(quire_server::NOT_ENCRYPTED);
        }
    }
    if args.background {
        quire_server::leave_starter()?;
    } else {
        terminal::complain("hosting sessions, without this terminal too; Ctrl-C hands over");
    }
    let mut interrupts = exec::interrupts()?;
    let mut second = interrupts.clone();
    let stop = async move {
        // The sender lives as long as the process.
        let _ = interrupts.wait_for(|count| *count >= 1).await;
        PATIENCE
    };
    tokio::select! {
        () = daemon.serve(stop) => {}
        _ = second.wait_for(|count| *count >= 2) => {}
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn agents(
    command: Option<AgentsCommand>,
    url: Option<&str>,
    surroundings: &Surroundings,
) -> anyhow::Result<ExitCode> {
    if command.is_none() && terminal::is_screen(surroundings) {
        return talk::agents(url, surroundings).await;
    }
    let remote = remote(surroundings, url).await?;
    let what = match command.unwrap_or(AgentsCommand::List { json: false }) {
        AgentsCommand::List { json } => {
            let agents = remote.agents().await?;
            let style = terminal::style(surroundings, std::io::stdout().is_terminal());
            terminal::print(&if json {
                serde_json::to_string(&agents)? + "\n"
            } else {
                quire_headless::agents(&agents, now_ms(), style)
            })?;
            return Ok(ExitCode::SUCCESS);
        }
        AgentsCommand::Start { prompt, model } => {
            let flag = model.map(|model| ("model", "--model", model));
            let resolved = surroundings.settings(flag)?;
            warnings::of_settings(&resolved);
            let (_, catalogue) = assemble::models(surroundings, &resolved);
            let model = resolved.model_name().map_err(usage)?;
            let settings = assemble::session_settings(surroundings, &resolved, &catalogue, model);
            Supervise::Start(Box::new(settings), prompt)
        }
        AgentsCommand::Say {
            id,
            text,
            queue: true,
        } => Supervise::Say(id, text, Delivery::Queue),
        AgentsCommand::Say { id, text, .. } => Supervise::Say(id, text, Delivery::Steer),
        AgentsCommand::Allow { id, always: true } => Supervise::Answer(id, Answer::AllowAlways),
        AgentsCommand::Allow { id, .. } => Supervise::Answer(id, Answer::AllowOnce),
        AgentsCommand::Deny { id, reason } => Supervise::Answer(id, Answer::Deny { reason }),
        AgentsCommand::Stop { id } => Supervise::Stop(id),
        AgentsCommand::Pause { id } => Supervise::Pause(id),
        AgentsCommand::Resume { id } => Supervise::Resume(id),
    };
    match quire_headless::supervise(&remote, what).await {
        Ok(told) => terminal::print(&told)?,
        Err(FindError::Client(error)) => return Err(error.into()),
        Err(error) => return Err(usage(error)),
    }
    Ok(ExitCode::SUCCESS)
}

/// Makes an engine for each of the surroundings that faces come from.
struct Hosting {
    surroundings: Surroundings,
    store: Arc<dyn Store>,
    /// One for all engines: faces from different surroundings may work in one folder.
    keeper: Keeper,
    /// The newest last.
    made: Mutex<Vec<Made>>,
}

struct Made {
    origin: Origin,
    /// When the settings it was made from were written.
    written: Vec<Option<SystemTime>>,
    sandbox: Arc<Spawner>,
    client: Arc<dyn Client>,
}

impl Hosting {
    /// An engine for faces from there; its processes get their environment.
    fn make(&self, here: &Surroundings, made: &[Made]) -> anyhow::Result<Made> {
        let (origin, written) = (here.origin(), here.settings_written());
        let alike = made
            .iter()
            .find(|made| made.origin.environment == origin.environment);
        let sandbox = match alike {
            Some(made) => Arc::clone(&made.sandbox),
            None => assemble::sandbox(here)?,
        };
        // Nobody at a screen waits for servers: what comes after the first request is told of.
        let at_once = ("mcp_wait_s", "the host", "0".to_owned());
        let resolved = here.settings([at_once])?;
        let (router, catalogue) = assemble::models(here, &resolved);
        let (store, tools) = (Arc::clone(&self.store), Arc::clone(&sandbox));
        // A provider that is added, and a key that is mended, count from the next request on.
        let (look, again) = (here.clone(), here.clone());
        let router = Renewed::new(
            (written.clone(), router),
            move || look.settings_written(),
            move || {
                let resolved = again.settings([]).ok()?;
                Some(assemble::models(&again, &resolved).0)
            },
        );
        let (router, keeper) = (Arc::new(router), self.keeper.clone());
        let servers = mcp::described(&resolved, &here.workspace);
        let models = (router as Arc<dyn Model>, catalogue);
        let engine = assemble::engine(here, &resolved, store, models, tools, keeper, servers);
        Ok(Made {
            origin,
            written,
            sandbox,
            client: engine,
        })
    }
}

impl Hosts for Hosting {
    fn host(&self, origin: &Origin) -> Result<Arc<dyn Client>, String> {
        let here = self.surroundings.of(origin);
        let written = here.settings_written();
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |made: &&Made| made.origin == *origin && made.written == written;
        if let Some(made) = made.iter().find(same) {
            return Ok(Arc::clone(&made.client));
        }
        let new = self
            .make(&here, &made)
            .map_err(|error| format!("{error:#}"))?;
        let client = Arc::clone(&new.client);
        if made.len() >= ENGINES {
            made.remove(0);
        }
        made.push(new);
        Ok(client)
    }
}
