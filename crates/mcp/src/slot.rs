//! One described server: whether it runs, and the tools that it told last.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quire_protocol::{Policy, ServerTool, ToolOutcome, ToolSpec, duration, first_line};
use rmcp::model::{JsonObject, Tool};
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

use crate::answer::failed;
use crate::connection::{Connection, tools};
use crate::described::{Ground, Server, ServerReport, ServerState, Transport};
use crate::far::dismissed;
use crate::listed::{Listed, listed};
use crate::names::nearest;
use crate::starting::{Fault, Handshake, Started, start};

/// How long nothing is asked after a server said that it has other tools: it may say so many times.
const QUIET: Duration = Duration::from_millis(100);
/// What `ended` is once nothing is started any more.
const CLOSED: u64 = u64::MAX;

/// A described server.
pub(crate) struct Slot {
    server: Server,
    ground: Arc<Ground>,
    /// What the names of its tools begin with.
    prefix: String,
    state: Mutex<State>,
    /// One task at a time starts or ends it.
    gate: tokio::sync::Mutex<()>,
    /// Changes when what is being started is to be given up.
    ended: watch::Sender<u64>,
    /// Changes when something of any server does.
    news: watch::Sender<u64>,
}

struct State {
    stage: Stage,
    /// Kept after it ended.
    tools: Vec<Listed>,
    /// It has told its tools at some time.
    has_told: bool,
    /// The handshake that it took last.
    handshake: Handshake,
    /// It is to be started by itself, and has neither told its tools nor failed.
    is_awaited: bool,
}

enum Stage {
    Idle,
    Starting,
    There(Arc<Connection>),
    Failed(String),
}

/// Why a server failed, without what it printed, which is in lines of its own behind a colon.
fn in_a_line(why: &str) -> String {
    let (line, _) = first_line(why);
    match line
        .strip_suffix(':')
        .and_then(|line| line.rsplit_once("; "))
    {
        Some((why, _)) => format!("{why} (`quire mcp` shows what it printed)"),
        None => line,
    }
}

impl Slot {
    pub(crate) fn new(
        server: Server,
        ground: Arc<Ground>,
        prefix: String,
        news: watch::Sender<u64>,
        is_awaited: bool,
    ) -> Self {
        Self {
            server,
            ground,
            prefix,
            state: Mutex::new(State {
                stage: Stage::Idle,
                tools: Vec::new(),
                has_told: false,
                handshake: Handshake::default(),
                is_awaited,
            }),
            gate: tokio::sync::Mutex::default(),
            ended: watch::Sender::new(0),
            news,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell_news(&self) {
        self.news
            .send_modify(|count| *count = count.wrapping_add(1));
    }

    pub(crate) fn is_awaited(&self) -> bool {
        self.state().is_awaited
    }

    pub(crate) fn specs(&self) -> Vec<ToolSpec> {
        let state = self.state();
        state.tools.iter().map(|tool| tool.spec.clone()).collect()
    }

    /// Why its tools cannot be had, where they cannot: in a line that begins with its name.
    pub(crate) fn absent(&self) -> Option<String> {
        match &self.state().stage {
            Stage::Failed(why) => Some(format!("{}: {}", self.server.name, in_a_line(why))),
            Stage::Idle | Stage::Starting | Stage::There(_) => None,
        }
    }

    /// Whether this may be one of its tools: it has it, or has not told its tools yet.
    pub(crate) fn find(&self, name: &str, policy: &Policy) -> Option<ServerTool> {
        let state = self.state();
        let tool = self.part(name)?;
        let known = state.tools.iter().any(|tool| tool.spec.name == name);
        (known || !state.has_told).then(|| ServerTool {
            server: self.server.word(),
            tool: tool.to_owned(),
            reaches: self.server.reaches(policy),
        })
    }

    /// What the server reaches that commands under this policy do not.
    pub(crate) fn reaches(&self, policy: &Policy) -> Vec<String> {
        self.server.reaches(policy)
    }

    /// What a name says besides that it is one of this server.
    pub(crate) fn part<'a>(&self, name: &'a str) -> Option<&'a str> {
        name.strip_prefix(&self.prefix)
            .filter(|part| !part.is_empty())
    }

    pub(crate) fn report(&self) -> ServerReport {
        let state = self.state();
        let ended = |why: String| match why.as_str() {
            "" => "it ended".to_owned(),
            why => format!("it ended: {why}"),
        };
        let state = match &state.stage {
            Stage::Idle => ServerState::NotStarted,
            Stage::Starting => ServerState::Starting,
            Stage::Failed(why) => ServerState::Failed { why: why.clone() },
            Stage::There(connection) if connection.is_over() => ServerState::Failed {
                why: ended(connection.far.told()),
            },
            Stage::There(connection) => ServerState::There {
                title: connection.title(),
                protocol: connection.protocol(),
                tools: state
                    .tools
                    .iter()
                    .map(|tool| tool.spec.name.clone())
                    .collect(),
            },
        };
        ServerReport {
            name: self.server.name.clone(),
            state,
        }
    }

    /// Calls a tool, on a server that this policy confines.
    pub(crate) async fn call(
        self: Arc<Self>,
        name: String,
        arguments: JsonObject,
        session: Policy,
    ) -> ToolOutcome {
        let server = &self.server.name;
        let connection = match self.connected(session).await {
            Ok(connection) => connection,
            Err(Fault::Ended) => return dismissed(),
            Err(Fault::Failed(why)) => {
                return failed(format!(
                    "the server `{server}` does not run: {why}\n\
                     `quire mcp` lists servers and says what they lack."
                ));
            }
        };
        let Some(tool) = self.own(&name) else {
            return failed(self.unknown(&name));
        };
        let limit = self.server.call_timeout;
        if let Ok(answer) = timeout(limit, connection.call(tool, arguments)).await {
            return answer;
        }
        let ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        let why = format!("it did not answer a call within {}", duration(ms));
        if matches!(self.server.transport, Transport::Http(_)) {
            return failed(format!(
                "the server `{server}` is no longer waited for: {why}. What the call did is not known."
            ));
        }
        self.give_up(&connection, &why).await;
        failed(format!(
            "the server `{server}` was ended, since {why}. What the call did is not known. \
             The next call starts the server again."
        ))
    }

    /// What the server calls the tool of this name.
    fn own(&self, name: &str) -> Option<String> {
        let state = self.state();
        let mut tools = state.tools.iter();
        let tool = tools.find(|tool| tool.spec.name == name)?;
        Some(tool.own.clone())
    }

    fn unknown(&self, name: &str) -> String {
        let state = self.state();
        let known = state.tools.iter().map(|tool| tool.spec.name.as_str());
        let server = &self.server.name;
        match nearest(name, known)[..] {
            [] => format!("the server `{server}` has no tools"),
            ref near => format!(
                "the server `{server}` has no tool `{name}`; the nearest: {}",
                near.join(", ")
            ),
        }
    }

    /// The server, running under this policy: started, or started anew where it is not. What is being
    /// started is not left half-way when nobody waits for it any more.
    pub(crate) async fn connected(
        self: &Arc<Self>,
        session: Policy,
    ) -> Result<Arc<Connection>, Fault> {
        let (mut send, wait) = oneshot::channel();
        let slot = Arc::clone(self);
        let mut ended = self.ended.subscribe();
        tokio::spawn(async move {
            let open = tokio::select! {
                biased;
                _ = ended.changed() => None,
                () = send.closed() => None,
                open = slot.gate.lock() => Some(open),
            };
            let connected = match open {
                None => Err(Fault::Ended),
                Some(_open) => slot.connect(&session, &mut ended).await,
            };
            // Nobody may be waiting any more.
            let _ = send.send(connected);
        });
        wait.await.unwrap_or(Err(Fault::Ended))
    }

    async fn connect(
        self: &Arc<Self>,
        session: &Policy,
        ended: &mut watch::Receiver<u64>,
    ) -> Result<Arc<Connection>, Fault> {
        if *ended.borrow() == CLOSED {
            return Err(Fault::Ended);
        }
        let walls = self.server.walls(session);
        if let Some(running) = self.running() {
            if !running.is_over() && running.far.is_within(walls.as_ref()) {
                return Ok(running);
            }
            running.far.end().await;
        }
        let handshake = {
            let mut state = self.state();
            state.stage = Stage::Starting;
            state.handshake
        };
        let started = start(&self.server, &self.ground, session, ended, handshake).await;
        let connected = match started {
            Ok(started) => self.there(started, ended),
            Err(fault) => {
                self.state().stage = match &fault {
                    Fault::Ended => Stage::Idle,
                    Fault::Failed(why) => Stage::Failed(why.clone()),
                };
                Err(fault)
            }
        };
        self.state().is_awaited = false;
        self.tell_news();
        if let Ok(connection) = &connected {
            connection.subscribe();
            self.follow(connection);
        }
        connected
    }

    fn there(
        &self,
        started: Started,
        ended: &watch::Receiver<u64>,
    ) -> Result<Arc<Connection>, Fault> {
        let Started {
            connection,
            tools,
            handshake,
        } = started;
        let mut state = self.state();
        // Whoever ends it looks here after the change.
        if ended.has_changed().unwrap_or(true) {
            state.stage = Stage::Idle;
            return Err(Fault::Ended);
        }
        let connection = Arc::new(connection);
        state.tools = listed(&self.prefix, self.server.tools.as_deref(), tools);
        state.has_told = true;
        state.handshake = handshake;
        state.stage = Stage::There(Arc::clone(&connection));
        Ok(connection)
    }

    fn running(&self) -> Option<Arc<Connection>> {
        match &self.state().stage {
            Stage::There(connection) => Some(Arc::clone(connection)),
            _ => None,
        }
    }

    /// Asks for the tools again whenever the server says that it has others.
    fn follow(self: &Arc<Self>, connection: &Arc<Connection>) {
        let slot = Arc::downgrade(self);
        let watched = Arc::downgrade(connection);
        let mut changed = connection.changed();
        let limit = self.server.start_timeout;
        tokio::spawn(async move {
            while changed.await {
                tokio::time::sleep(QUIET).await;
                let Some(peer) = watched.upgrade().map(|it| it.service.peer().clone()) else {
                    return;
                };
                let told = timeout(limit, tools(&peer)).await;
                let (Some(slot), Some(connection)) = (slot.upgrade(), watched.upgrade()) else {
                    return;
                };
                if let Ok(Ok(told)) = told {
                    slot.told(&connection, told);
                }
                changed = connection.changed();
            }
        });
    }

    /// The server has these tools now.
    fn told(&self, connection: &Arc<Connection>, tools: Vec<Tool>) {
        {
            let mut state = self.state();
            if !matches!(&state.stage, Stage::There(current) if Arc::ptr_eq(current, connection)) {
                return;
            }
            state.tools = listed(&self.prefix, self.server.tools.as_deref(), tools);
        }
        self.tell_news();
    }

    /// Ends a server that does not do what it should.
    async fn give_up(&self, connection: &Arc<Connection>, why: &str) {
        {
            let mut state = self.state();
            if matches!(&state.stage, Stage::There(current) if Arc::ptr_eq(current, connection)) {
                state.stage = Stage::Failed(why.to_owned());
            }
        }
        connection.far.end().await;
    }

    /// Ends the server, and returns once nothing of it runs.
    pub(crate) async fn end(self: Arc<Self>) {
        self.ended.send_modify(|count| {
            if *count != CLOSED {
                *count += 1;
            }
        });
        let _open = self.gate.lock().await;
        if let Some(running) = self.running() {
            running.far.end().await;
            self.state().stage = Stage::Idle;
        }
        self.state().is_awaited = false;
        self.tell_news();
    }

    /// Ends the server in the background, for good.
    pub(crate) fn close(&self) {
        self.ended.send_replace(CLOSED);
        let stage = std::mem::replace(&mut self.state().stage, Stage::Idle);
        if let Stage::There(connection) = stage {
            connection.far.stop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn why_a_server_failed_is_a_line_that_ends_where_it_should() {
        for (why, line) in [
            ("cannot start `a`", "cannot start `a`"),
            (
                "it ended; it exited with code 3; the end of its stderr:\nno token",
                "it ended; it exited with code 3 (`quire mcp` shows what it printed)",
            ),
        ] {
            assert_eq!(in_a_line(why), line);
        }
    }
}
