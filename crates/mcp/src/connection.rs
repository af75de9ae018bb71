//! A server that runs and has told its tools.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use quire_protocol::ToolOutcome;
use rmcp::model::{
    CallToolRequestParams, ClientCapabilities, ClientConfig, ErrorCode, ErrorData, Implementation,
    JsonObject, PaginatedRequestParams, ProtocolVersion, ServerNotification, SubscriptionFilter,
    Tool,
};
use rmcp::service::{
    NotificationContext, Peer, RequestContext, RoleClient, RunningService, ServiceError,
};
use rmcp::{ClientHandler, model};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use crate::answer::{answer, failed, line, protocol_error};
use crate::far::Far;

/// The shortest and the longest wait before a server is asked again to say when it has other tools.
const AGAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));
/// Pages of a list of tools that are asked for.
const MOST_PAGES: usize = 100;

/// A server that runs. Dropping it ends its process, or lets go of it.
pub(crate) struct Connection {
    pub(crate) far: Far,
    pub(crate) service: RunningService<RoleClient, Host>,
}

/// The client as servers see it: it answers no questions.
pub(crate) struct Host {
    /// Told when the server says that it has other tools.
    changed: Arc<Notify>,
}

impl Host {
    pub(crate) fn new() -> Self {
        Self {
            changed: Arc::default(),
        }
    }
}

fn refused(what: &str) -> ErrorData {
    let message = format!("this client does not answer {what}");
    ErrorData::new(ErrorCode::METHOD_NOT_FOUND, message, None)
}

impl ClientHandler for Host {
    #[expect(deprecated, reason = "servers of the older protocol ask so")]
    async fn create_message(
        &self,
        _: model::CreateMessageRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<model::CreateMessageResult, ErrorData> {
        Err(refused("requests for sampling"))
    }

    #[expect(deprecated, reason = "servers of the older protocol ask so")]
    async fn list_roots(
        &self,
        _: RequestContext<RoleClient>,
    ) -> Result<model::ListRootsResult, ErrorData> {
        Err(refused("requests for roots"))
    }

    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.changed.notify_one();
    }

    fn get_info(&self) -> ClientConfig {
        let implementation = Implementation::new("quire", env!("CARGO_PKG_VERSION"));
        ClientConfig::new(ClientCapabilities::default(), implementation)
            .with_protocol_version(ProtocolVersion::LATEST_WITH_INITIALIZE)
    }
}

impl Connection {
    /// Whether it can be asked nothing more.
    pub(crate) fn is_over(&self) -> bool {
        self.far.is_over() || self.service.is_closed()
    }

    /// Its own name and version.
    pub(crate) fn title(&self) -> String {
        let info = self.service.peer().peer_info();
        let own = info.as_ref().and_then(|info| info.server_info.as_ref());
        own.map_or_else(String::new, |own| {
            line(&format!("{} {}", own.name, own.version))
        })
    }

    /// The version of the protocol that is spoken.
    pub(crate) fn protocol(&self) -> String {
        let info = self.service.peer().peer_info();
        info.map_or_else(String::new, |info| line(info.protocol_version.as_str()))
    }

    /// Calls a tool once.
    pub(crate) async fn call(&self, tool: String, arguments: JsonObject) -> ToolOutcome {
        let params = CallToolRequestParams::new(tool).with_arguments(arguments);
        let called = tokio::select! {
            called = self.service.call_tool(params) => called,
            () = self.far.let_go() => Err(ServiceError::TransportClosed),
        };
        match called {
            Ok(result) => answer(result),
            Err(ServiceError::McpError(error)) => failed(protocol_error(&error)),
            Err(ServiceError::UnexpectedResponse) => {
                failed("the server answered with something that is no result of a tool")
            }
            Err(ServiceError::InputRequiredRoundsExceeded { max_rounds }) => failed(format!(
                "the server asked {max_rounds} times for what nobody answers here"
            )),
            Err(ServiceError::TransportClosed) => self.far.lost().await,
            Err(ServiceError::TransportSend(error)) => self.far.unsent(&error).await,
            Err(error) => failed(format!("the call failed: {}", line(&error.to_string()))),
        }
    }

    /// Waits until it says that it has other tools; whether it still runs then.
    pub(crate) fn changed(&self) -> impl Future<Output = bool> + Send + use<> {
        let changed = Arc::clone(&self.service.service().changed);
        let over = self.far.over();
        async move {
            tokio::select! {
                () = changed.notified() => true,
                () = over => false,
            }
        }
    }

    /// Asks a server of the new protocol to say when it has other tools; others say it unasked.
    pub(crate) fn subscribe(&self) {
        let peer = self.service.peer().clone();
        let info = peer.peer_info();
        let says = info.is_some_and(|info| {
            let tools = info.capabilities.tools.as_ref();
            !info.protocol_version.has_initialize()
                && tools.is_some_and(|tools| tools.list_changed == Some(true))
        });
        if !says {
            return;
        }
        let changed = Arc::clone(&self.service.service().changed);
        let over = self.far.over();
        tokio::spawn(async move {
            tokio::select! {
                () = over => {}
                () = heed(&peer, &changed) => {}
            }
        });
    }
}

/// Passes on what a server of the new protocol says of its tools, for as long as it says it. What ended is asked
/// for again: there are proxies that end what is silent.
async fn heed(peer: &Peer<RoleClient>, changed: &Notify) {
    let (soonest, latest) = AGAIN;
    let mut wait = soonest;
    loop {
        let filter = SubscriptionFilter::builder().tools_list_changed().build();
        let begun = Instant::now();
        match peer.listen(filter).await {
            Err(ServiceError::McpError(_)) => return,
            Err(_) => {}
            Ok(mut subscription) => {
                while let Ok(Some(said)) = subscription.next().await {
                    if matches!(said, ServerNotification::ToolListChangedNotification(_)) {
                        changed.notify_one();
                    }
                }
            }
        }
        if begun.elapsed() > latest {
            wait = soonest;
        }
        sleep(wait).await;
        wait = latest.min(wait * 2);
        // Nobody was told what changed meanwhile.
        changed.notify_one();
    }
}

/// All tools that a server has, page after page.
pub(crate) async fn tools(peer: &Peer<RoleClient>) -> Result<Vec<Tool>, ServiceError> {
    let mut tools = Vec::new();
    let mut cursor = None;
    for _ in 0..MOST_PAGES {
        let params = PaginatedRequestParams::default().with_cursor(cursor.clone());
        let page = peer.list_tools(Some(params)).await?;
        tools.extend(page.tools);
        if page.next_cursor.is_none() || page.next_cursor == cursor {
            break;
        }
        cursor = page.next_cursor;
    }
    Ok(tools)
}
