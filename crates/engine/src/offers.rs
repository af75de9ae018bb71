//! What servers offer whose tools come and go.

use std::sync::Arc;

use quire_kernel::{Offer, Session};
use quire_protocol::{Policy, Prefix, ToolServers, ToolSet, ToolSpec, USE_TOOL};
use tokio::sync::{mpsc, oneshot};

use crate::actor::Message;

/// Whether servers were heard. They are heard once for each request to the model: one that offers something else
/// again and again would fill the journal with what no model was ever told.
#[derive(Default)]
pub(crate) struct Heard {
    /// Since the last request.
    heard: bool,
    /// Something was offered since they were heard. Whoever listens to them waits until this is dropped.
    missed: Option<oneshot::Sender<()>>,
}

impl Heard {
    /// What is offered is to be heard now, until which whoever listens waits; otherwise it is noted.
    pub(crate) fn unless_again(
        &mut self,
        waits: oneshot::Sender<()>,
    ) -> Option<oneshot::Sender<()>> {
        if !self.heard {
            return Some(waits);
        }
        self.missed = Some(waits);
        None
    }

    /// Whether they have something to say that was not heard.
    pub(crate) fn is_missing_something(&self) -> bool {
        self.missed.is_some()
    }

    /// Whether that is heard now.
    pub(crate) fn is_due(&self) -> bool {
        self.is_missing_something() && !self.heard
    }

    /// They were heard.
    pub(crate) fn everything(&mut self) {
        *self = Self {
            heard: true,
            missed: None,
        };
    }

    /// The model was asked.
    pub(crate) fn asked(&mut self) {
        self.heard = false;
    }
}

/// What the servers of a tool set offer by now; nothing where it has none.
pub(crate) fn offer(tools: &dyn ToolSet) -> Option<Offer> {
    let servers = tools.servers()?;
    let by_name = tools.specs().into_iter();
    let by_name = by_name.filter(|spec| spec.name == USE_TOOL);
    let (specs, absent) = servers.offer();
    Some(Offer {
        tools: by_name.chain(specs).collect(),
        absent,
    })
}

/// What opens requests with other tools of this program, for another model: those of servers stay, as
/// far as there is room.
pub(crate) fn with_tools(prefix: &Prefix, tools: &dyn ToolSet, policy: &Policy) -> Prefix {
    let own = tools.specs();
    let is_servers = |spec: &&ToolSpec| {
        let servers = tools.servers();
        servers.is_some_and(|servers| servers.find(&spec.name, policy).is_some())
    };
    let servers = prefix.tools.iter().chain(&prefix.late).filter(is_servers);
    let offer = Offer {
        tools: servers.cloned().collect(),
        absent: prefix.absent.clone(),
    };
    let opening = Prefix {
        tools: own,
        late: Vec::new(),
        ..prefix.clone()
    };
    Session::opening(opening, offer)
}

/// Tells a session whenever its servers offer something else.
pub(crate) async fn listen(servers: Arc<dyn ToolServers>, inbox: mpsc::WeakSender<Message>) {
    loop {
        servers.changed().await;
        let Some(inbox) = inbox.upgrade() else { return };
        let (heard, taken) = oneshot::channel();
        if inbox.send(Message::Offered(heard)).await.is_err() {
            return;
        }
        // Until it has asked them, they say something else than before.
        let _ = taken.await;
    }
}
