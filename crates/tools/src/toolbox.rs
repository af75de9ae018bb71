//! The tools of a session as the engine knows them: their specs, and calls sent to the right one.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use quire_protocol::{
    CallId, CallPlan, JobEnd, Lane, Policy, Sandbox, ServerTool, Store, ToolCall, ToolContext,
    ToolOutcome, ToolServers, ToolSet, ToolSpec, ToolStatus, USE_TOOL, Verdict,
};

use serde_json::json;

use crate::calls::{Calls, Guard, Stop};
use crate::jobs::JobRequest;
use crate::place::{self, Place};
use crate::proposal::Proposal;
use crate::read::ReadRequest;
use crate::search::SearchRequest;
use crate::shell::{Shell, ShellCall, ShellRequest};
use crate::spool::Blobs;
use crate::{
    agent, apply_patch, edit, jobs, list, note, plan, read, recall, search, servers, shell,
    verdict, write,
};

/// Which tools a family of models works best with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToolDialect {
    /// Exact-replace edits and `bash`.
    ClaudeLike,
    /// `apply_patch` and `shell`.
    GptLike,
}

/// A tool of this crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tool {
    Shell,
    Job,
    Read,
    Write,
    Edit,
    ApplyPatch,
    Search,
    List,
    Plan,
    Note,
    Recall,
    Agent,
}

impl ToolDialect {
    fn tools(self) -> &'static [Tool] {
        match self {
            Self::ClaudeLike => &[
                Tool::Shell,
                Tool::Job,
                Tool::Read,
                Tool::Write,
                Tool::Edit,
                Tool::Search,
                Tool::List,
                Tool::Plan,
                Tool::Note,
                Tool::Recall,
                Tool::Agent,
            ],
            Self::GptLike => &[
                Tool::Shell,
                Tool::Job,
                Tool::Read,
                Tool::ApplyPatch,
                Tool::Search,
                Tool::List,
                Tool::Plan,
                Tool::Note,
                Tool::Recall,
                Tool::Agent,
            ],
        }
    }

    fn tool(self, name: &str) -> Option<Tool> {
        self.tools()
            .iter()
            .copied()
            .find(|tool| tool.name(self) == name)
    }
}

impl Tool {
    fn name(self, dialect: ToolDialect) -> &'static str {
        match self {
            Self::Shell if dialect == ToolDialect::ClaudeLike => "bash",
            Self::Shell => "shell",
            Self::Job => "job",
            Self::Read => "read",
            Self::Write => "write",
            Self::Edit => "edit",
            Self::ApplyPatch => "apply_patch",
            Self::Search => "search",
            Self::List => "list",
            Self::Plan => "plan",
            Self::Note => "note",
            Self::Recall => "recall",
            Self::Agent => "agent",
        }
    }

    fn spec(self, dialect: ToolDialect) -> ToolSpec {
        match self {
            Self::Shell => shell::spec(self.name(dialect)),
            Self::Job => jobs::spec(),
            Self::Read => read::spec(),
            Self::Write => write::spec(),
            Self::Edit => edit::spec(),
            Self::ApplyPatch => apply_patch::spec(),
            Self::Search => search::spec(),
            Self::List => list::spec(),
            Self::Plan => plan::spec(),
            Self::Note => note::spec(),
            Self::Recall => recall::spec(),
            Self::Agent => agent::spec(),
        }
    }

    /// The changes of files that a call asks for; none if its arguments cannot be read.
    pub(crate) fn proposals(self, arguments: &str) -> Vec<Proposal> {
        match self {
            Self::Write => write::proposals(arguments),
            Self::Edit => edit::proposals(arguments),
            Self::ApplyPatch => apply_patch::proposals(arguments),
            _ => Ok(Vec::new()),
        }
        .unwrap_or_default()
    }

    /// What it does, for a person who is asked.
    pub(crate) fn verb(self) -> &'static str {
        match self {
            Self::Write => "write",
            Self::Edit => "edit",
            _ => "patch",
        }
    }
}

/// What a toolbox may be told besides what it needs.
#[derive(Clone, Default)]
pub struct ToolboxOptions {
    /// Files and folders, absolute, that file tools never show or change (unless the policy's
    /// sandbox is off): the person's secrets, and the data folder of Quire itself.
    pub hidden: Vec<PathBuf>,
    /// The servers whose tools come and go, where there are any.
    pub servers: Option<Arc<dyn ToolServers>>,
}

/// Where a person's secrets usually are, beneath their home folder.
#[must_use]
pub fn well_known_secrets(home: &Path) -> Vec<PathBuf> {
    [
        ".ssh",
        ".aws",
        ".azure",
        ".gnupg",
        ".kube",
        ".netrc",
        ".npmrc",
        ".pypirc",
        ".git-credentials",
        ".docker/config.json",
        ".cargo/credentials",
        ".cargo/credentials.toml",
        ".config/gcloud",
        ".config/gh",
        ".config/git/credentials",
        ".local/share/keyrings",
        ".password-store",
        "Library/Keychains",
    ]
    .iter()
    .map(|secret| home.join(secret))
    .collect()
}

/// The built-in tools of one session. Dropping it stops its calls and jobs.
pub struct Toolbox {
    shared: Arc<Shared>,
}

/// What calls need while they run.
struct Shared {
    dialect: ToolDialect,
    workspace: PathBuf,
    hidden: Arc<[PathBuf]>,
    servers: Option<Arc<dyn ToolServers>>,
    shell: Shell,
    calls: Calls,
}

impl Toolbox {
    /// Tools that work in `workspace`, start processes in `sandbox` and keep large output in
    /// `store`.
    pub fn new(
        dialect: ToolDialect,
        workspace: PathBuf,
        sandbox: Arc<dyn Sandbox>,
        store: Arc<dyn Store>,
    ) -> Self {
        Self::with_options(
            dialect,
            workspace,
            sandbox,
            store,
            ToolboxOptions::default(),
        )
    }

    /// Like [`Toolbox::new`], with options.
    pub fn with_options(
        dialect: ToolDialect,
        workspace: PathBuf,
        sandbox: Arc<dyn Sandbox>,
        store: Arc<dyn Store>,
        options: ToolboxOptions,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                dialect,
                workspace: std::fs::canonicalize(&workspace).unwrap_or(workspace),
                hidden: options.hidden.into_iter().map(place::real).collect(),
                servers: options.servers,
                shell: Shell::new(sandbox, Blobs::new(store)),
                calls: Calls::default(),
            }),
        }
    }
}

impl Drop for Toolbox {
    fn drop(&mut self) {
        self.shared.calls.stop_all();
        self.shared.shell.jobs.stop_all();
    }
}

impl ToolSet for Toolbox {
    fn specs(&self) -> Vec<ToolSpec> {
        let dialect = self.shared.dialect;
        let own = dialect.tools().iter().map(|tool| tool.spec(dialect));
        let by_name = self.shared.servers.iter().map(|_| servers::spec());
        own.chain(by_name).collect()
    }

    fn plan(&self, call: &ToolCall, policy: &Policy) -> CallPlan {
        let meant = self.shared.meant(call);
        let tool = self.shared.dialect.tool(&meant.name);
        let place = self.shared.place(policy);
        if let Some((_, found)) = self.shared.server_tool(&meant, policy) {
            let asks = servers::asks_what_it_takes(call, &meant);
            return CallPlan {
                call: call.call,
                lane: if asks { Lane::Shared } else { Lane::Exclusive },
                verdict: if asks {
                    Verdict::Run
                } else {
                    servers::verdict(&found, &meant, &place)
                },
            };
        }
        let call = &*meant;
        let mut plan = verdict::plan(tool, call, &place);
        if matches!(plan.verdict, Verdict::Ask { .. })
            && tool.is_some_and(|tool| place.refuses(&tool.proposals(&call.arguments)))
        {
            // A yes would change nothing: what the tool says reaches the model at once.
            plan.verdict = Verdict::Run;
        }
        plan
    }

    fn run(&self, call: ToolCall, context: ToolContext) -> BoxFuture<'static, ToolOutcome> {
        let shared = Arc::clone(&self.shared);
        let guard = shared.calls.begin(call.call);
        async move {
            let mut driven = Driven {
                stop: guard.stop(),
                ended: false,
            };
            // On a task of its own, so that it can be cancelled while nobody polls this future.
            let outcome = tokio::spawn(async move { shared.perform(call, context, &guard).await })
                .await
                .unwrap_or_else(|error| ToolOutcome::failed(format!("the tool broke: {error}")));
            driven.ended = true;
            driven.marked(outcome)
        }
        .boxed()
    }

    fn check(&self, command: &str, context: ToolContext) -> BoxFuture<'static, ToolOutcome> {
        let call = ToolCall {
            call: CallId(0),
            provider_id: String::new(),
            name: Tool::Shell.name(self.shared.dialect).to_owned(),
            arguments: json!({"command": command, "timeout_s": CHECK_TIMEOUT_S}).to_string(),
        };
        self.run(call, context)
    }

    fn cancel(&self, call: CallId) -> BoxFuture<'static, ()> {
        self.shared.calls.cancel(call).boxed()
    }

    fn stop_jobs(&self) -> BoxFuture<'static, Vec<JobEnd>> {
        self.shared.shell.jobs.clone().kill_all().boxed()
    }

    fn job_ended(&self) -> BoxFuture<'static, JobEnd> {
        self.shared.shell.jobs.clone().ended().boxed()
    }

    fn servers(&self) -> Option<Arc<dyn ToolServers>> {
        self.shared.servers.clone()
    }
}

/// How long a check of the goal may take.
const CHECK_TIMEOUT_S: u64 = 1_800;

/// Stops the call when its future is dropped before it ended.
struct Driven {
    stop: Arc<Stop>,
    ended: bool,
}

impl Driven {
    /// A call that was stopped says so, whatever it had done until then.
    fn marked(&self, mut outcome: ToolOutcome) -> ToolOutcome {
        if self.stop.is_stopped() {
            outcome.status = ToolStatus::Cancelled;
        }
        outcome
    }
}

impl Drop for Driven {
    fn drop(&mut self) {
        if !self.ended {
            self.stop.stop();
        }
    }
}

impl Shared {
    fn place(&self, policy: &Policy) -> Place {
        Place {
            workspace: self.workspace.clone(),
            policy: policy.in_force(),
            hidden: Arc::clone(&self.hidden),
        }
    }

    async fn perform(&self, call: ToolCall, context: ToolContext, guard: &Guard) -> ToolOutcome {
        let stop = guard.stop();
        if stop.is_stopped() {
            return ToolOutcome::text(ToolStatus::Cancelled, "stopped before it began");
        }
        let asked = call;
        let call = self.meant(&asked).into_owned();
        let Some(tool) = self.dialect.tool(&call.name) else {
            return self.run_elsewhere(&asked, &call, &context, &stop).await;
        };
        let place = self.place(&context.policy);
        let ran = match tool {
            Tool::Shell => self.run_shell(&call, &context, &place, &stop).await,
            Tool::Job => match JobRequest::parse(&call.arguments) {
                Ok(request) => {
                    let shell = &self.shell;
                    let keeper = shell.blobs.of(&context.session);
                    shell.jobs.run(request, keeper, &stop).await
                }
                Err(reason) => Err(reason),
            },
            Tool::Read => self.run_read(call.arguments, place, stop).await,
            Tool::Write => blocking(move || write::run(&call.arguments, &place)).await,
            Tool::Edit => blocking(move || edit::run(&call.arguments, &place)).await,
            Tool::ApplyPatch => blocking(move || apply_patch::run(&call.arguments, &place)).await,
            Tool::Search => self.run_search(call.arguments, place, stop).await,
            Tool::List => {
                let asked = Arc::clone(&stop);
                looking(move || list::run(&call.arguments, &place, &asked), &stop).await
            }
            Tool::Plan => plan::run(&call.arguments),
            Tool::Note => note::run(&call.arguments),
            Tool::Recall => {
                let blobs = &self.shell.blobs;
                recall::run(&call.arguments, &context.journal, blobs, &stop).await
            }
            Tool::Agent => {
                agent::run(call.call, &call.arguments, context.team.as_ref(), stop).await
            }
        };
        ran.unwrap_or_else(ToolOutcome::failed)
    }

    /// The call that one of the tool for late ones means, where there are servers.
    fn meant<'a>(&self, call: &'a ToolCall) -> Cow<'a, ToolCall> {
        match self.servers {
            Some(_) => call.meant(),
            None => Cow::Borrowed(call),
        }
    }

    /// The server's tool that a call is about. Tools of this crate come first.
    fn server_tool(
        &self,
        call: &ToolCall,
        policy: &Policy,
    ) -> Option<(&Arc<dyn ToolServers>, ServerTool)> {
        let servers = self.servers.as_ref()?;
        let is_own = self.dialect.tool(&call.name).is_some();
        let found = servers.find(&call.name, policy).filter(|_| !is_own)?;
        Some((servers, found))
    }

    /// Runs a call of no tool of this crate.
    async fn run_elsewhere(
        &self,
        asked: &ToolCall,
        call: &ToolCall,
        context: &ToolContext,
        stop: &Stop,
    ) -> ToolOutcome {
        let Some((servers, _)) = self.server_tool(call, &context.policy) else {
            if self.servers.is_some() && call.name == USE_TOOL {
                return ToolOutcome::failed(servers::TAKES);
            }
            return self.unknown(&call.name);
        };
        if servers::asks_what_it_takes(asked, call) {
            let told = servers::described(&call.name, &**servers);
            return told.unwrap_or_else(ToolOutcome::failed);
        }
        let keeper = self.shell.blobs.of(&context.session);
        servers::run(call, &**servers, &context.policy, keeper, stop).await
    }

    async fn run_shell(
        &self,
        call: &ToolCall,
        context: &ToolContext,
        place: &Place,
        stop: &Stop,
    ) -> Result<ToolOutcome, String> {
        let request = ShellRequest::parse(&call.arguments)?;
        let call = ShellCall {
            session: &context.session,
            call: call.call,
            request,
            place,
            progress: Arc::clone(&context.progress),
            stop,
        };
        self.shell.run(call).await
    }

    async fn run_read(
        &self,
        arguments: String,
        place: Place,
        stop: Arc<Stop>,
    ) -> Result<ToolOutcome, String> {
        let request = ReadRequest::parse(&arguments)?;
        if request.handle().is_some() {
            return request.run_on_blob(&self.shell.blobs).await;
        }
        let asked = Arc::clone(&stop);
        looking(move || request.run(&place, &asked), &stop).await
    }

    async fn run_search(
        &self,
        arguments: String,
        place: Place,
        stop: Arc<Stop>,
    ) -> Result<ToolOutcome, String> {
        let request = SearchRequest::parse(&arguments)?;
        if let Some(handle) = request.handle() {
            let output = self.shell.blobs.find(handle).await?;
            return looking(move || request.run_on_output(&output), &stop).await;
        }
        let asked = Arc::clone(&stop);
        looking(move || request.run(&place, &asked), &stop).await
    }

    fn unknown(&self, name: &str) -> ToolOutcome {
        let own = self.dialect.tools().iter();
        let own = own.map(|tool| tool.name(self.dialect).to_owned());
        let others = self.servers.iter().flat_map(|servers| servers.specs());
        let names: Vec<String> = own.chain(others.map(|spec| spec.name)).collect();
        let meant = names.iter().find(|known| name.contains(known.as_str()));
        let meant = meant.map_or(String::new(), |meant| {
            format!(", perhaps you mean `{meant}`")
        });
        ToolOutcome::failed(format!(
            "there is no tool `{name}`{meant}; there are: {}",
            names.join(", ")
        ))
    }
}

/// How long work that only reads has to notice that it is to stop.
const NOTICE: std::time::Duration = std::time::Duration::from_millis(500);

/// Runs work that only reads. A stop does not wait for what the system does not give back, such as
/// a file on a network that is gone; the work is then left to itself and can do no harm.
async fn looking(
    work: impl FnOnce() -> Result<ToolOutcome, String> + Send + 'static,
    stop: &Stop,
) -> Result<ToolOutcome, String> {
    let given_up = async {
        stop.stopped().await;
        tokio::time::sleep(NOTICE).await;
    };
    tokio::select! {
        ran = blocking(work) => ran,
        () = given_up => Err("stopped".to_owned()),
    }
}

/// Runs file work where it may block.
async fn blocking(
    work: impl FnOnce() -> Result<ToolOutcome, String> + Send + 'static,
) -> Result<ToolOutcome, String> {
    match tokio::task::spawn_blocking(work).await {
        Ok(ran) => ran,
        Err(error) => Err(format!("the tool broke: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stop_reaches_what_the_system_holds_up() {
        let (let_go, held) = std::sync::mpsc::channel::<()>();
        let stop = Stop::new();
        stop.stop();
        let work = move || {
            let _ = held.recv();
            Ok(ToolOutcome::text(ToolStatus::Done, "late"))
        };
        assert_eq!(looking(work, &stop).await, Err("stopped".to_owned()));
        drop(let_go);
    }
}
