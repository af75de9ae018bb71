//! Servers of tools: from settings to parts, and `quire mcp`.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use quire_config::{Layer, McpServer, McpTransport, Resolved, Secret, Source};
use quire_mcp::{Address, Begin, Confinement, Ground, Program, Server, Servers, Transport};
use quire_protocol::{ToolServers, clean};

use crate::surroundings::Surroundings;
use crate::{assemble, terminal, usage, warnings};

/// A server that a session of this folder starts.
#[derive(Clone)]
pub(crate) struct Described {
    server: Server,
    /// Whether the folder's own file describes it.
    of_folder: bool,
}

/// The servers of the settings that are enabled.
pub(crate) fn described(resolved: &Resolved) -> Vec<Described> {
    let servers = resolved.mcp_servers().iter();
    let enabled = servers.filter(|(_, server)| server.enabled);
    let of_folder = |source: &Source| {
        let layer = Layer::Project;
        matches!(source, Source::File { layer: found, .. } if *found == layer)
    };
    enabled
        .map(|(name, described)| Described {
            server: server(name, described),
            of_folder: of_folder(&described.source),
        })
        .collect()
}

fn server(name: &str, described: &McpServer) -> Server {
    let exposed = |(name, value): (&String, &Secret)| (name.clone(), value.expose().to_owned());
    let transport = match &described.transport {
        McpTransport::Process(process) => Transport::Process(Program {
            argv: process.command.clone(),
            environment: process.environment.clone(),
            variables: process.variables.iter().map(exposed).collect(),
            domains: process.domains.clone(),
            writable: process.writable.clone(),
            confinement: if process.confined {
                Confinement::Session
            } else {
                Confinement::Off
            },
        }),
        McpTransport::Http(far) => {
            let key = far.key.as_ref().map(|key| key.value.expose());
            let key = key.map(|key| ("Authorization".to_owned(), format!("Bearer {key}")));
            Transport::Http(Address {
                url: far.url.clone(),
                headers: far.headers.iter().map(exposed).chain(key).collect(),
            })
        }
    };
    Server {
        name: name.to_owned(),
        transport,
        tools: described.tools.clone(),
        start_timeout: described.start,
        call_timeout: described.timeout,
    }
}

/// The servers of a session in a folder, which is the settings' own or another one: what a folder
/// describes is for itself. None where there are none.
pub(crate) fn servers(
    described: &[Described],
    is_own_folder: bool,
    ground: Ground,
    begin: Begin,
    patience: Duration,
) -> Option<Arc<dyn ToolServers>> {
    let here = described.iter();
    let here = here.filter(|described| is_own_folder || !described.of_folder);
    let servers: Vec<Server> = here.map(|described| described.server.clone()).collect();
    (!servers.is_empty()).then(|| Servers::new(servers, ground, begin, patience) as Arc<_>)
}

/// Starts the servers, or one of them, and says how that went.
pub(crate) async fn mcp(
    name: Option<&str>,
    surroundings: &Surroundings,
) -> anyhow::Result<ExitCode> {
    let resolved = surroundings.settings([])?;
    warnings::of_settings(&resolved);
    let all = described(&resolved).into_iter().map(|one| one.server);
    let wanted: Vec<Server> = all
        .filter(|one| name.is_none_or(|name| one.name == name))
        .collect();
    if wanted.is_empty() {
        return Err(usage(match name {
            Some(name) => {
                format!("no server `{name}` is described and enabled: see docs/guide/mcp.md")
            }
            None => "no server is described: docs/guide/mcp.md says how".to_owned(),
        }));
    }
    let patience = wanted.iter().map(|one| one.start_timeout).max();
    let ground = Ground {
        workspace: surroundings.workspace.clone(),
        policy: resolved.policy(),
        sandbox: assemble::sandbox(surroundings)?,
        proxies: assemble::proxies(surroundings),
    };
    let policy = ground.policy.clone();
    // One that is late is ended before it is told of.
    let patience = patience.unwrap_or_default() + Duration::from_secs(10);
    let servers = Servers::new(wanted, ground, Begin::Now, patience);
    servers.settled().await;
    let told = match name {
        Some(_) => servers.in_full(&policy),
        None => servers.in_short(),
    };
    terminal::print(&clean(&told))?;
    Ok(match servers.absent()[..] {
        [] => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}
