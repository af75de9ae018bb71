//! A workspace with servers, and the words of those that are shell scripts.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use quire_mcp::{Begin, Confinement, Ground, Program, Server, ServerState, Servers, Transport};
use quire_protocol::*;
use tokio::time::timeout;

use crate::bare::Bare;

/// What a test waits for at most, far beyond what anything takes.
pub(crate) const LONG: Duration = Duration::from_mins(1);

/// A server reads requests, and answers each by its method. `$id` is the request's.
const HEAD: &str = r#"
    say() { printf '%s\n' "$1"; }
    ok() { say "{\"jsonrpc\":\"2.0\",\"id\":$id,\"result\":$1}"; }
    text() { ok "{\"content\":[{\"type\":\"text\",\"text\":\"$1\"}]}"; }
    bad() { say "{\"jsonrpc\":\"2.0\",\"id\":$id,\"error\":{\"code\":$1,\"message\":\"$2\"}}"; }
    log() { printf '%s\n' "$1" >> log; }
    log start
"#;
const LOOP: &str = r#"
    while IFS= read -r line; do
        method=${line#*\"method\":\"}; method=${method%%\"*}
        id=${line#*\"id\":}; id=${id%%[,\}]*}
        case "$method $line" in
"#;
const OLD: &str = r#"
            server/discover*) bad -32601 'no such method' ;;
            initialize*) ok '{"protocolVersion":"2025-06-18","capabilities":{"tools":{"listChanged":true}},"serverInfo":{"name":"shell","version":"1.2"}}' ;;
"#;
const NEW: &str = r#"
            server/discover*) ok '{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{"listChanged":true}},"ttlMs":0,"cacheScope":"private","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"shell","version":"2"}}}' ;;
"#;
const TAIL: &str = r"
            tools/list*) ok '{\u0022tools\u0022:[]}' ;;
        esac
    done
";

/// A server of the old protocol that answers so besides.
pub(crate) fn old(cases: &str) -> String {
    format!("{HEAD}{LOOP}{cases}{OLD}{}", tail())
}

/// A server of the new protocol that answers so besides.
pub(crate) fn new(cases: &str) -> String {
    format!("{HEAD}{LOOP}{cases}{NEW}{}", tail())
}

/// A server that does this first, then is one of the old protocol.
pub(crate) fn old_after(first: &str, cases: &str) -> String {
    format!("{HEAD}{first}{LOOP}{cases}{OLD}{}", tail())
}

fn tail() -> String {
    TAIL.replace("\\u0022", "\"")
}

/// A case for the list of these tools.
pub(crate) fn lists(tools: &[&str]) -> String {
    format!("tools/list*) {} ;;\n", listing(tools))
}

/// Answers with a list of these tools.
pub(crate) fn listing(tools: &[&str]) -> String {
    let tools: Vec<String> = tools.iter().map(|tool| told(tool)).collect();
    format!("ok '{{\"tools\":[{}]}}'", tools.join(","))
}

/// A tool as a server tells it.
pub(crate) fn told(name: &str) -> String {
    format!(
        r#"{{"name":"{name}","description":"Does {name}.","inputSchema":{{"$schema":"x","properties":{{"b":{{}},"a":{{}}}}}}}}"#
    )
}

pub(crate) fn policy(sandbox: SandboxMode) -> Policy {
    Policy {
        sandbox,
        approvals: ApprovalMode::Auto,
        rules: Vec::new(),
        domains: Vec::new(),
        writable: Vec::new(),
        environment: Vec::new(),
        phase: Phase::Work,
    }
}

/// A described server that is this script.
pub(crate) fn server(name: &str, script: impl Into<String>) -> Server {
    Server {
        name: name.to_owned(),
        folder: None,
        transport: Transport::Process(Program {
            directory: None,
            argv: vec!["sh".to_owned(), "-c".to_owned(), script.into()],
            environment: Vec::new(),
            variables: Vec::new(),
            domains: Vec::new(),
            writable: Vec::new(),
            confinement: Confinement::Session,
        }),
        tools: None,
        start_timeout: LONG,
        call_timeout: LONG,
    }
}

/// The program of a described server.
pub(crate) fn program(server: &mut Server) -> &mut Program {
    match &mut server.transport {
        Transport::Process(program) => program,
        other @ Transport::Http(_) => panic!("{other:?}"),
    }
}

/// A workspace with servers.
pub(crate) struct World {
    folder: tempfile::TempDir,
    pub(crate) sandbox: Arc<Bare>,
    pub(crate) servers: Arc<Servers>,
    pub(crate) policy: Policy,
}

impl World {
    pub(crate) fn begun(described: Vec<Server>, begin: Begin) -> Self {
        Self::on(quire_net::Proxies::default(), described, begin)
    }

    fn on(proxies: quire_net::Proxies, described: Vec<Server>, begin: Begin) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let sandbox: Arc<Bare> = Arc::default();
        let policy = policy(SandboxMode::WorkspaceWrite);
        let ground = Ground {
            workspace: folder.path().to_owned(),
            policy: policy.clone(),
            sandbox: Arc::clone(&sandbox) as Arc<dyn Sandbox>,
            proxies,
        };
        let servers = Servers::new(described, ground, begin, LONG);
        Self {
            folder,
            sandbox,
            servers,
            policy,
        }
    }

    /// A world with these servers, once they have told their tools or failed.
    pub(crate) async fn with(described: Vec<Server>) -> Self {
        Self::behind(quire_net::Proxies::default(), described).await
    }

    /// Such a world behind these proxies.
    pub(crate) async fn behind(proxies: quire_net::Proxies, described: Vec<Server>) -> Self {
        let world = Self::on(proxies, described, Begin::Now);
        timeout(LONG, world.servers.settled()).await.unwrap();
        world
    }

    /// A world with one server, `s`.
    pub(crate) async fn one(script: impl Into<String>) -> Self {
        Self::with(vec![server("s", script)]).await
    }

    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    /// The lines that servers wrote down.
    pub(crate) fn log(&self) -> Vec<String> {
        let log = std::fs::read_to_string(self.at("log")).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }

    pub(crate) fn starts(&self) -> usize {
        self.sandbox.spawned.lock().unwrap().len()
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let specs = self.servers.offer().0;
        specs.into_iter().map(|spec| spec.name).collect()
    }

    pub(crate) fn call(
        &self,
        name: &str,
        arguments: &str,
    ) -> impl Future<Output = (ToolStatus, String)> + use<> {
        let call = self.servers.call(name, arguments, &self.policy);
        async move {
            let answer = timeout(LONG, call).await.unwrap();
            (answer.status, joined_text(&answer.content))
        }
    }

    /// A call that fails; returns what it says.
    pub(crate) async fn fails(&self, name: &str, arguments: &str) -> String {
        let (status, text) = self.call(name, arguments).await;
        assert_eq!(status, ToolStatus::Failed, "{text}");
        text
    }

    /// A call that is done; returns what it says.
    pub(crate) async fn does(&self, name: &str, arguments: &str) -> String {
        let (status, text) = self.call(name, arguments).await;
        assert_eq!(status, ToolStatus::Done, "{text}");
        text
    }

    pub(crate) fn state(&self) -> ServerState {
        self.servers.report().remove(0).state
    }

    /// Why the first server failed.
    pub(crate) fn why(&self) -> String {
        match self.state() {
            ServerState::Failed { why } => why,
            other => panic!("{other:?}"),
        }
    }

    /// Waits until something holds that nobody tells.
    pub(crate) async fn until(&self, holds: impl Fn(&Self) -> bool) {
        let waiting = async {
            while !holds(self) {
                tokio::task::yield_now().await;
            }
        };
        timeout(LONG, waiting).await.unwrap();
    }

    /// Waits until nothing runs.
    pub(crate) async fn at_rest(&self) {
        let mut running = self.sandbox.running.subscribe();
        let rest = running.wait_for(|running| *running == 0);
        timeout(LONG, rest).await.unwrap().unwrap();
    }
}
