//! A link as the library's transport.

use std::future::Future;
use std::io;
use std::time::Duration;

use rmcp::RoleClient;
use rmcp::model::{
    ClientJsonRpcMessage, ClientRequest, JsonRpcMessage, RequestId, ServerJsonRpcMessage,
    ServerResult,
};
use rmcp::transport::Transport;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use crate::link::{Ends, Outgoing};

/// How long a server may be silent when it is asked for the new protocol before it is nudged.
const SILENT: Duration = Duration::from_millis(1500);
/// Says nothing. Some servers of old that read a request they do not know are stuck, and end when they read
/// another line; others have not read the first one yet, and pass over this.
const NUDGE: &[u8] =
    b"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":\"none\"}}\n";

/// The client's side of a link.
pub(crate) struct Wire {
    ends: Ends,
    /// The request that asks whether the server speaks the new protocol.
    probe: Option<RequestId>,
    /// That request, once the old handshake was begun without an answer to it.
    given_up: Option<RequestId>,
    /// When the server is nudged, if it is silent until then.
    nudge: Option<Instant>,
}

impl Wire {
    pub(crate) fn over(ends: Ends) -> Self {
        Self {
            ends,
            probe: None,
            given_up: None,
            nudge: None,
        }
    }

    fn note(&mut self, message: &ClientJsonRpcMessage) {
        let JsonRpcMessage::Request(sent) = message else {
            return;
        };
        match &sent.request {
            ClientRequest::DiscoverRequest(_) => {
                self.probe = Some(sent.id.clone());
                self.nudge = Some(Instant::now() + SILENT);
            }
            ClientRequest::InitializeRequest(_) => self.given_up = self.probe.take(),
            _ => {}
        }
    }

    /// Whether this answers a question that is asked no more: the library would take it for a
    /// wrong answer to the next one. `None` ends the handshake, for it was answered well, too late.
    fn is_stale(&self, message: &ServerJsonRpcMessage) -> Option<bool> {
        let Some(given_up) = &self.given_up else {
            return Some(false);
        };
        match message {
            JsonRpcMessage::Response(response) if response.id == *given_up => {
                if matches!(response.result, ServerResult::DiscoverResult(_)) {
                    self.ends.shared.seen().late = true;
                    return None;
                }
                Some(true)
            }
            JsonRpcMessage::Error(error) => Some(error.id.as_ref() == Some(given_up)),
            _ => Some(false),
        }
    }

    fn hand_over(
        &self,
        message: &ClientJsonRpcMessage,
    ) -> io::Result<oneshot::Receiver<io::Result<()>>> {
        let mut line = serde_json::to_vec(message)?;
        line.push(b'\n');
        self.write(line)
    }

    fn write(&self, line: Vec<u8>) -> io::Result<oneshot::Receiver<io::Result<()>>> {
        let (written, done) = oneshot::channel();
        match self.ends.outgoing.try_send(Outgoing { line, written }) {
            Ok(()) => Ok(done),
            Err(TrySendError::Closed(_)) => Err(io::ErrorKind::BrokenPipe.into()),
            Err(TrySendError::Full(_)) => {
                self.ends.shared.stop("it does not read what it is sent");
                Err(io::ErrorKind::BrokenPipe.into())
            }
        }
    }
}

impl Transport<RoleClient> for Wire {
    type Error = io::Error;

    /// What is sent is in line before this returns, so that the order is that of the calls.
    fn send(
        &mut self,
        message: ClientJsonRpcMessage,
    ) -> impl Future<Output = io::Result<()>> + Send + 'static {
        self.note(&message);
        let done = self.hand_over(&message);
        async move {
            match done?.await {
                Ok(written) => written,
                Err(_) => Err(io::ErrorKind::BrokenPipe.into()),
            }
        }
    }

    async fn receive(&mut self) -> Option<ServerJsonRpcMessage> {
        loop {
            let nudge = self.nudge;
            let message = tokio::select! {
                message = self.ends.incoming.recv() => message?,
                () = sleep_until(nudge.unwrap_or_else(Instant::now)), if nudge.is_some() => {
                    self.nudge = None;
                    // Whether it was written shows in what follows.
                    let _ = self.write(NUDGE.to_vec());
                    continue;
                }
            };
            self.nudge = None;
            if !self.is_stale(&message)? {
                return Some(message);
            }
        }
    }

    async fn close(&mut self) -> io::Result<()> {
        self.ends.incoming.close();
        Ok(())
    }
}
