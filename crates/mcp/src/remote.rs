//! A server that is reached by HTTP, as long as it is talked to, and what is said to it at the end.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hyper::Method;
use hyper::header::HeaderValue;
use quire_net::{Options, Proxies};
use rmcp::model::RequestId;
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::common::client_side_sse::ExponentialBackoff;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::address::{Address, Target};
use crate::client::Client;
use crate::exchange::VERSION;

/// Messages that wait for their reader.
const INCOMING: usize = 4;
/// How long what is said at the end may take: that calls are given up, then that the session is.
const FAREWELL: [Duration; 2] = [Duration::from_secs(1); 2];
/// How often a stream that broke is asked for again, and the longest wait before that.
const AGAIN: (usize, Duration) = (8, Duration::from_secs(30));

/// A server that is reached by HTTP. Dropping it lets go of it.
pub(crate) struct Remote {
    shared: Arc<Shared>,
}

/// What the requests to a server share.
pub(crate) struct Shared {
    pub(crate) net: quire_net::Transport,
    pub(crate) target: Target,
    state: Mutex<State>,
    /// Nothing is said to it any more.
    over: watch::Sender<bool>,
}

/// What is known of the talk with a server.
#[derive(Default)]
pub(crate) struct State {
    /// It was ended on purpose.
    dismissed: bool,
    /// Why nothing more is said to it, the first reason.
    broke: Option<String>,
    /// How the stream broke that broke last.
    pub(crate) broken_stream: Option<String>,
    /// It was silent when it was asked for the new protocol.
    pub(crate) is_late: bool,
    /// The session that a server of the old protocol gave, and the version that is spoken in it.
    pub(crate) session: Option<Arc<str>>,
    pub(crate) version: Option<HeaderValue>,
    /// The calls that a server of the old protocol is at.
    pub(crate) running: Vec<RequestId>,
}

impl Remote {
    /// Talks to the server at this address, once its other end is used.
    pub(crate) fn at(
        address: &Address,
        proxies: &Proxies,
    ) -> Result<(Self, StreamableHttpClientTransport<Client>), String> {
        let target = address.target()?;
        let mut config = StreamableHttpClientTransportConfig::with_uri(target.origin());
        config.channel_buffer_capacity = INCOMING;
        let mut again = ExponentialBackoff::default();
        (again.max_times, again.max_delay) = (Some(AGAIN.0), Some(AGAIN.1));
        config.retry_config = Arc::new(again);
        let shared = Arc::new(Shared {
            net: quire_net::Transport::new(proxies, Options::default()),
            target,
            state: Mutex::default(),
            over: watch::Sender::new(false),
        });
        let client = Client::new(Arc::clone(&shared));
        let wire = StreamableHttpClientTransport::with_client(client, config);
        Ok((Self { shared }, wire))
    }

    /// Whether nothing is said to it any more.
    pub(crate) fn is_over(&self) -> bool {
        *self.shared.over.borrow()
    }

    /// Waits until nothing is said to it any more.
    pub(crate) fn over(&self) -> impl Future<Output = ()> + Send + use<> {
        self.shared.over()
    }

    /// Lets go of it on purpose. A server of the old protocol is told in the background.
    pub(crate) fn stop(&self) {
        {
            let mut state = self.shared.state();
            state.dismissed = state.dismissed || state.broke.is_none();
        }
        self.shared.leave();
    }

    /// Lets go of it for this reason.
    pub(crate) fn fail(&self, why: &str) {
        self.shared.fail(why);
    }

    pub(crate) fn is_dismissed(&self) -> bool {
        self.shared.state().dismissed
    }

    pub(crate) fn is_late(&self) -> bool {
        self.shared.state().is_late
    }

    /// Why nothing more is said to it, or how a stream of it broke.
    pub(crate) fn told(&self) -> String {
        let state = self.shared.state();
        let why = state.broke.as_ref().or(state.broken_stream.as_ref());
        why.cloned().unwrap_or_default()
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        self.shared.leave();
    }
}

impl Shared {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until nothing is said to it any more.
    pub(crate) fn over(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut over = self.over.subscribe();
        async move {
            // An error means that nobody can say anything.
            let _ = over.wait_for(|over| *over).await;
        }
    }

    /// Lets go of it for this reason.
    pub(crate) fn fail(self: &Arc<Self>, why: &str) {
        self.state().broke.get_or_insert_with(|| why.to_owned());
        self.leave();
    }

    /// Ends all that is under way, and says so to a server of the old protocol, once.
    pub(crate) fn leave(self: &Arc<Self>) {
        let (session, running) = {
            let mut state = self.state();
            (state.session.take(), std::mem::take(&mut state.running))
        };
        self.over.send_replace(true);
        if session.is_none() && running.is_empty() {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let shared = Arc::clone(self);
        runtime.spawn(async move {
            let [calls, end] = FAREWELL;
            let session = session.as_deref();
            let _ = timeout(calls, shared.give_up(&running, session)).await;
            if session.is_some() {
                let nothing = Bytes::new();
                let _ = timeout(end, shared.say(Method::DELETE, session, nothing)).await;
            }
        });
    }

    async fn give_up(&self, calls: &[RequestId], session: Option<&str>) {
        for call in calls {
            let message = json!({
                "jsonrpc": "2.0",
                "method": "notifications/cancelled",
                "params": {"requestId": call},
            });
            let body = Bytes::from(message.to_string());
            self.say(Method::POST, session, body).await;
        }
    }

    /// Says something whatever comes of it.
    async fn say(&self, method: Method, session: Option<&str>, body: Bytes) {
        let version = self.state().version.clone();
        let headers: HashMap<_, _> = version.map(|it| (VERSION, it)).into_iter().collect();
        let headers = self.headers(&method, headers, session, None);
        let _ = self.send(method, headers, body).await;
    }
}
