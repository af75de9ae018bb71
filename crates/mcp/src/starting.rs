//! How a server is started and greeted.

use std::time::Duration;

use quire_protocol::{Policy, duration};
use rmcp::model::{ProtocolVersion, Tool};
use rmcp::service::{
    ClientCacheConfig, ClientInitializeError, ClientLifecycleMode, RoleClient, RunningService,
    ServiceError, serve_client_with_lifecycle,
};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::answer::{line, protocol_error};
use crate::connection::{Connection, Host, tools};
use crate::described::{Ground, Server, Walls};
use crate::link::{Ends, Link};
use crate::wire::Wire;

/// A server that was started, its tools, and the handshake that it takes.
pub(crate) struct Started {
    pub(crate) connection: Connection,
    pub(crate) tools: Vec<Tool>,
    pub(crate) handshake: Handshake,
}

/// Why a server does not run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    /// It was ended on purpose before it was there.
    #[error("it was ended")]
    Ended,
    /// It did not start.
    #[error("{0}")]
    Failed(String),
}

/// Which handshakes are tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Handshake {
    #[default]
    /// That of the new protocol, then that of the old one.
    Any,
    /// That of the new protocol.
    New,
    /// That of the old protocol.
    Old,
}

impl Handshake {
    fn mode(self) -> ClientLifecycleMode {
        let preferred_versions = vec![ProtocolVersion::V_2026_07_28];
        match self {
            Self::Any => ClientLifecycleMode::Auto {
                preferred_versions,
                legacy_version: Some(ProtocolVersion::LATEST_WITH_INITIALIZE),
            },
            Self::New => ClientLifecycleMode::Discover { preferred_versions },
            Self::Old => ClientLifecycleMode::Initialize,
        }
    }
}

/// A try that came to nothing.
struct Miss {
    fault: Fault,
    /// What may do better.
    next: Option<Handshake>,
}

/// A handshake that came to nothing.
enum Unmet {
    Handshake(Box<ClientInitializeError>),
    Tools(ServiceError),
    TooLate(Duration),
    Ended,
}

/// Starts a server under the session's policy, unless `ended` changes first, with the handshake that it
/// took last. One that breaks when it is asked whether it speaks the new protocol is started once more
/// and not asked.
pub(crate) async fn start(
    server: &Server,
    ground: &Ground,
    session: &Policy,
    ended: &mut watch::Receiver<u64>,
    first: Handshake,
) -> Result<Started, Fault> {
    let deadline = Instant::now() + server.start_timeout;
    let missed = match attempt(server, ground, session, ended, (first, deadline)).await {
        Ok(started) => return Ok(started),
        Err(missed) => missed,
    };
    let Some(next) = missed.next else {
        return Err(missed.fault);
    };
    let tried = attempt(server, ground, session, ended, (next, deadline)).await;
    tried.map_err(|missed| missed.fault)
}

async fn attempt(
    server: &Server,
    ground: &Ground,
    session: &Policy,
    ended: &mut watch::Receiver<u64>,
    (handshake, deadline): (Handshake, Instant),
) -> Result<Started, Miss> {
    let miss = |fault| Miss { fault, next: None };
    let command = server.command(ground, session);
    let walls = Walls::of(&command.policy);
    let late = Unmet::TooLate(server.start_timeout);
    let process = match timeout_at(deadline, ground.sandbox.spawn(command)).await {
        Err(_) => return Err(miss(Fault::Failed(late.told()))),
        Ok(Err(error)) => return Err(miss(Fault::Failed(error.to_string()))),
        Ok(Ok(process)) => process,
    };
    let (link, ends) = Link::to(process);
    let met = tokio::select! {
        biased;
        _ = ended.changed() => Err(Unmet::Ended),
        met = timeout_at(deadline, greet(ends, handshake)) => met.unwrap_or(Err(late)),
    };
    match met {
        Ok((service, tools)) => Ok(Started {
            handshake: taken(&service),
            connection: Connection {
                link,
                service,
                walls,
            },
            tools,
        }),
        Err(unmet) => {
            if unmet.is_broken() && !link.seen().late {
                // Its end is near, and says more than that it was ended.
                link.over().await;
            }
            link.end().await;
            Err(missed(&unmet, handshake, &link))
        }
    }
}

/// Shakes hands and asks for the tools.
async fn greet(
    ends: Ends,
    handshake: Handshake,
) -> Result<(RunningService<RoleClient, Host>, Vec<Tool>), Unmet> {
    let wire = Wire::over(ends);
    let service = serve_client_with_lifecycle(Host::new(), wire, handshake.mode())
        .await
        .map_err(|error| Unmet::Handshake(Box::new(error)))?;
    let peer = service.peer();
    // A list that is asked for again is to be the one that the server has now.
    peer.set_response_cache_config(ClientCacheConfig::disabled())
        .await;
    let has_tools = peer
        .peer_info()
        .is_some_and(|info| info.capabilities.tools.is_some());
    let tools = match tools(peer).await {
        Err(ServiceError::McpError(_)) if !has_tools => Vec::new(),
        told => told.map_err(Unmet::Tools)?,
    };
    Ok((service, tools))
}

fn taken(service: &RunningService<RoleClient, Host>) -> Handshake {
    match service.peer().peer_info() {
        Some(info) if !info.protocol_version.has_initialize() => Handshake::New,
        _ => Handshake::Old,
    }
}

fn missed(unmet: &Unmet, handshake: Handshake, link: &Link) -> Miss {
    let seen = link.seen();
    let next = match unmet {
        Unmet::Handshake(_) if handshake != Handshake::Any => Some(Handshake::Any),
        Unmet::Handshake(_) if seen.late => Some(Handshake::New),
        Unmet::Handshake(error) if broke(error) => Some(Handshake::Old),
        _ => None,
    };
    if matches!(unmet, Unmet::Ended) {
        let fault = Fault::Ended;
        return Miss { fault, next };
    }
    let mut why = unmet.told();
    let seen = seen.told();
    if !seen.is_empty() {
        why = format!("{why}; {seen}");
    }
    let fault = Fault::Failed(why);
    Miss { fault, next }
}

/// Whether the server may do better where it is not asked for the new protocol.
fn broke(error: &ClientInitializeError) -> bool {
    match error {
        ClientInitializeError::LegacyFallbackFailed { fallback, .. } => broke(fallback),
        ClientInitializeError::JsonRpcError(_) | ClientInitializeError::Cancelled => false,
        _ => true,
    }
}

impl Unmet {
    /// Whether the process was found to hear or say nothing more.
    fn is_broken(&self) -> bool {
        let Self::Handshake(error) = self else {
            return matches!(
                self,
                Self::Tools(ServiceError::TransportClosed | ServiceError::TransportSend(_))
            );
        };
        let mut error: &ClientInitializeError = error;
        while let ClientInitializeError::LegacyFallbackFailed { fallback, .. } = error {
            error = fallback;
        }
        matches!(
            error,
            ClientInitializeError::ConnectionClosed(_)
                | ClientInitializeError::TransportError { .. }
        )
    }

    fn told(&self) -> String {
        match self {
            Self::Handshake(error) => greeting(error),
            Self::Tools(ServiceError::McpError(error)) => {
                format!("it does not tell its tools: {}", protocol_error(error))
            }
            Self::Tools(ServiceError::TransportClosed | ServiceError::TransportSend(_)) => {
                "it ended when it was asked for its tools".to_owned()
            }
            Self::Tools(error) => {
                format!("it does not tell its tools: {}", line(&error.to_string()))
            }
            Self::TooLate(after) => {
                let ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
                format!("it was not there within {}", duration(ms))
            }
            Self::Ended => Fault::Ended.to_string(),
        }
    }
}

/// What went wrong in a handshake.
fn greeting(error: &ClientInitializeError) -> String {
    match error {
        ClientInitializeError::ConnectionClosed(_)
        | ClientInitializeError::TransportError { .. } => "it ended in the handshake".to_owned(),
        ClientInitializeError::JsonRpcError(error) => {
            format!("it refuses the handshake: {}", protocol_error(error))
        }
        ClientInitializeError::LegacyFallbackFailed { fallback, .. } => greeting(fallback),
        other => format!("the handshake failed: {}", line(&other.to_string())),
    }
}
