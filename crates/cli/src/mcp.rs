//! Servers of tools: from settings to parts, and `quire mcp`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use quire_config::{Layer, McpServer, McpTransport, Resolved, Secret, Source};
use quire_mcp::{Address, Begin, Confinement, Ground, Program, Server, Servers, Transport};
use quire_protocol::{ToolServers, clean};

use crate::surroundings::Surroundings;
use crate::{assemble, terminal, usage, warnings};

/// The servers of the settings that are enabled.
pub(crate) fn described(resolved: &Resolved, folder: &Path) -> Vec<Server> {
    let servers = resolved.mcp_servers().iter();
    let enabled = servers.filter(|(_, server)| server.enabled);
    enabled
        .map(|(name, described)| server(name, described, folder))
        .collect()
}

fn server(name: &str, described: &McpServer, folder: &Path) -> Server {
    let of_folder = matches!(
        described.source,
        Source::File {
            layer: Layer::Project,
            ..
        }
    );
    let exposed = |(name, value): (&String, &Secret)| (name.clone(), value.expose().to_owned());
    let transport = match &described.transport {
        McpTransport::Process(process) => Transport::Process(Program {
            argv: process.command.clone(),
            directory: process.directory.clone(),
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
        folder: of_folder.then(|| folder.to_owned()),
        transport,
        tools: described.tools.clone(),
        start_timeout: described.start,
        call_timeout: described.timeout,
    }
}

/// The servers of a session, none where there are none: what a folder describes is for that folder.
pub(crate) fn servers(
    described: &[Server],
    ground: Ground,
    begin: Begin,
    patience: Duration,
) -> Option<Arc<dyn ToolServers>> {
    let is_for = |folder: &PathBuf| *folder == ground.workspace;
    let here = described.iter();
    let here = here.filter(|server| server.folder.as_ref().is_none_or(is_for));
    let servers: Vec<Server> = here.cloned().collect();
    (!servers.is_empty()).then(|| Servers::new(servers, ground, begin, patience) as Arc<_>)
}

/// Starts the servers, or one of them, and says how that went.
pub(crate) async fn mcp(
    name: Option<&str>,
    surroundings: &Surroundings,
) -> anyhow::Result<ExitCode> {
    let resolved = surroundings.settings([])?;
    warnings::of_settings(&resolved);
    let all = described(&resolved, &surroundings.workspace).into_iter();
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
    Ok(match servers.offer().1[..] {
        [] => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}
