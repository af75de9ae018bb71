//! How a server is started and greeted.

use std::future::Future;
use std::time::Duration;

use quire_protocol::{Command, Policy, duration};
use rmcp::model::{ProtocolVersion, Tool};
use rmcp::service::{
    ClientCacheConfig, ClientInitializeError, ClientLifecycleMode, RoleClient, RunningService,
    ServiceError, serve_client_with_lifecycle,
};
use rmcp::transport::{DynamicTransportError, IntoTransport};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::address::Address;
use crate::answer::{line, protocol_error};
use crate::connection::{Connection, Host, tools};
use crate::described::{Ground, Server, Transport};
use crate::far::Far;
use crate::link::Link;
use crate::program::Walls;
use crate::remote::Remote;
use crate::secrets::Secrets;
use crate::trouble::{Kind, Trouble};
use crate::wire::Wire;

/// A server that was started, its tools, and the handshake that it takes.
pub(crate) struct Started {
    pub(crate) connection: Connection,
    pub(crate) tools: Vec<Tool>,
    pub(crate) handshake: Handshake,
}

impl Started {
    fn with(far: Far, service: RunningService<RoleClient, Host>, tools: Vec<Tool>) -> Self {
        Self {
            handshake: taken(&service),
            connection: Connection { far, service },
            tools,
        }
    }
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
    let limit = server.start_timeout;
    match &server.transport {
        Transport::Process(program) => {
            let command = program.command(ground, session);
            process(ground, command, ended, handshake, (deadline, limit)).await
        }
        Transport::Http(address) => {
            remote(ground, address, ended, handshake, (deadline, limit)).await
        }
    }
}

fn failed(why: String) -> Miss {
    let fault = Fault::Failed(why);
    Miss { fault, next: None }
}

async fn process(
    ground: &Ground,
    command: Command,
    ended: &mut watch::Receiver<u64>,
    handshake: Handshake,
    (deadline, limit): (Instant, Duration),
) -> Result<Started, Miss> {
    let walls = Walls::of(&command.policy);
    let secrets = command.variables.iter().map(|(_, value)| value.clone());
    let secrets = Secrets::new(secrets);
    let process = match timeout_at(deadline, ground.sandbox.spawn(command)).await {
        Err(_) => return Err(failed(Unmet::TooLate(limit).told())),
        Ok(Err(error)) => return Err(failed(error.to_string())),
        Ok(Ok(process)) => process,
    };
    let (link, ends) = Link::to(process, secrets);
    let greeting = greet(Wire::over(ends), handshake);
    match meet(greeting, ended, (deadline, limit)).await {
        Ok((service, tools)) => {
            let far = Far::Process { link, walls };
            Ok(Started::with(far, service, tools))
        }
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

async fn remote(
    ground: &Ground,
    address: &Address,
    ended: &mut watch::Receiver<u64>,
    handshake: Handshake,
    (deadline, limit): (Instant, Duration),
) -> Result<Started, Miss> {
    let (remote, wire) = Remote::at(address, &ground.proxies).map_err(failed)?;
    match meet(greet(wire, handshake), ended, (deadline, limit)).await {
        Ok((service, tools)) => Ok(Started::with(Far::Elsewhere(remote), service, tools)),
        Err(unmet) => {
            let why = remote.told();
            remote.stop();
            Err(unmet.missed_elsewhere(handshake, &why, remote.is_late()))
        }
    }
}

type Greeted = (RunningService<RoleClient, Host>, Vec<Tool>);

/// Greets a server unless it is too late for that or ended before.
async fn meet(
    greeting: impl Future<Output = Result<Greeted, Unmet>>,
    ended: &mut watch::Receiver<u64>,
    (deadline, limit): (Instant, Duration),
) -> Result<Greeted, Unmet> {
    tokio::select! {
        biased;
        _ = ended.changed() => Err(Unmet::Ended),
        met = timeout_at(deadline, greeting) => met.unwrap_or(Err(Unmet::TooLate(limit))),
    }
}

/// Shakes hands and asks for the tools.
async fn greet<E, A>(
    wire: impl IntoTransport<RoleClient, E, A>,
    handshake: Handshake,
) -> Result<Greeted, Unmet>
where
    E: std::error::Error + Send + Sync + 'static,
{
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
    /// What is said of a server that runs elsewhere. `why` is how a stream of it broke.
    fn missed_elsewhere(&self, handshake: Handshake, why: &str, is_late: bool) -> Miss {
        let trouble = self.sent().map(Trouble::of);
        let is_settled = trouble.as_ref().is_some_and(|it| it.kind == Kind::Settled);
        let next = match self {
            Self::Handshake(_) if is_settled => None,
            Self::Handshake(_) if handshake != Handshake::Any => Some(Handshake::Any),
            Self::Handshake(_) if is_late => Some(Handshake::New),
            Self::Handshake(error) => match **error {
                // Both were tried.
                ClientInitializeError::LegacyFallbackFailed { .. } => None,
                ref error => broke(error).then_some(Handshake::Old),
            },
            Self::Tools(_) | Self::TooLate(_) | Self::Ended => None,
        };
        let fault = match (self, trouble) {
            (Self::Ended, _) => Fault::Ended,
            (_, Some(trouble)) => Fault::Failed(trouble.why),
            (_, None) if self.is_broken() && !why.is_empty() => Fault::Failed(why.to_owned()),
            (_, None) => Fault::Failed(self.told()),
        };
        Miss { fault, next }
    }

    /// What the transport said of what was sent last.
    fn sent(&self) -> Option<&DynamicTransportError> {
        match self {
            Self::Handshake(error) => match innermost(error) {
                ClientInitializeError::TransportError { error, .. } => Some(error),
                _ => None,
            },
            Self::Tools(ServiceError::TransportSend(error)) => Some(error),
            _ => None,
        }
    }

    /// Whether the process was found to hear or say nothing more.
    fn is_broken(&self) -> bool {
        let Self::Handshake(error) = self else {
            return matches!(
                self,
                Self::Tools(ServiceError::TransportClosed | ServiceError::TransportSend(_))
            );
        };
        matches!(
            innermost(error),
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

/// What went wrong with the handshake that was tried last.
fn innermost(error: &ClientInitializeError) -> &ClientInitializeError {
    match error {
        ClientInitializeError::LegacyFallbackFailed { fallback, .. } => innermost(fallback),
        error => error,
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
