//! What servers offer whose tools come and go.

use std::sync::Arc;
use std::time::Duration;

use quire_kernel::Offer;
use quire_protocol::{Policy, Prefix, ToolServers, ToolSet, ToolSpec, USE_TOOL};
use tokio::sync::mpsc;

use crate::actor::Message;

/// Servers that change what they offer again and again are heard at most so often.
const PAUSE: Duration = Duration::from_secs(1);

/// What the servers of a tool set offer by now; nothing where it has none.
pub(crate) fn offer(tools: &dyn ToolSet) -> Option<Offer> {
    let servers = tools.servers()?;
    let by_name = tools.specs().into_iter();
    let by_name = by_name.filter(|spec| spec.name == USE_TOOL);
    Some(Offer {
        tools: by_name.chain(servers.specs()).collect(),
        absent: servers.absent(),
    })
}

/// What opens requests with other tools of this program, for another model: those of servers stay.
pub(crate) fn with_tools(prefix: &Prefix, tools: &dyn ToolSet, policy: &Policy) -> Prefix {
    let own = tools.specs();
    let is_servers = |spec: &&ToolSpec| {
        let servers = tools.servers();
        servers.is_some_and(|servers| servers.find(&spec.name, policy).is_some())
    };
    let servers = prefix.tools.iter().chain(&prefix.late).filter(is_servers);
    Prefix {
        tools: own.iter().chain(servers).cloned().collect(),
        late: Vec::new(),
        ..prefix.clone()
    }
}

/// Tells a session whenever its servers offer something else.
pub(crate) async fn listen(servers: Arc<dyn ToolServers>, inbox: mpsc::WeakSender<Message>) {
    loop {
        servers.changed().await;
        let Some(inbox) = inbox.upgrade() else { return };
        if inbox.send(Message::Offered).await.is_err() {
            return;
        }
        drop(inbox);
        tokio::time::sleep(PAUSE).await;
    }
}
