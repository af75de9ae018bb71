//! The shell tool (`bash` or `shell`): a command line in the sandbox, to its end or as a job.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use quire_protocol::{
    ApprovalMode, CallId, Command, CommandEnd, Delta, JobId, Phase, Policy, Process, ProcessEnd,
    ProcessLimits, Sandbox, SandboxMode, SessionId, Streams, ToolInput, ToolOutcome, ToolSpec,
    ToolStatus, Verdict,
};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::arguments::Arguments;
use crate::calls::{Stop, lock};
use crate::drive::{Ending, Live, drive};
use crate::jobs::Jobs;
use crate::place::Place;
use crate::spool::{Blobs, Shown, Spool};
use crate::{names, verdict};

const SHAPE: &str = "{command: string, directory?: string, timeout_s?: int, background?: bool, \
                     outside_sandbox?: string}";
const DEFAULT_TIMEOUT_S: u64 = 120;
const MOST_TIMEOUT_S: u64 = 3600;
/// A command that ran at least so long says how long.
const LONG: Duration = Duration::from_secs(10);

pub(crate) fn spec(name: &str) -> ToolSpec {
    ToolSpec {
        name: name.to_owned(),
        description: "Run a command line, confined as the system prompt says. Each call is a new \
                      shell with empty stdin; what it leaves running is killed when it returns: \
                      use background. Long output is cut in the middle and kept whole."
            .to_owned(),
        input: ToolInput::Json(json!({
            "type": "object",
            "properties": {
                "command": {"type": "string"},
                "directory": {"type": "string", "description": "Default: the workspace"},
                "timeout_s": {"type": "integer", "description": "Default 120, at most 3600"},
                "background": {"type": "boolean", "description":
                    "Start it as a job and return at once: servers, watchers. See the job tool"},
                "outside_sandbox": {"type": "string", "description":
                    "Why it must run unconfined. A person is asked; only where the sandbox stands in the way"},
            },
            "required": ["command"],
        })),
    }
}

/// What a call asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ShellRequest {
    pub(crate) command: String,
    pub(crate) directory: Option<String>,
    timeout: Option<Duration>,
    start: Start,
    outside: Option<String>,
}

/// Whether to wait for the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    Waiting,
    Background,
}

impl ShellRequest {
    pub(crate) fn parse(arguments: &str) -> Result<Self, String> {
        let arguments = Arguments::parse(arguments, SHAPE)?;
        let command = match arguments.value(&["command", "cmd"]) {
            Some(Value::Array(words)) => from_words(words),
            _ => None,
        };
        let command = match command {
            Some(command) => command,
            None => arguments.text(&["command", "cmd"])?,
        };
        if command.contains('\0') {
            return Err("a command cannot hold a NUL character".to_owned());
        }
        let directory = arguments.optional_text(&["directory", "workdir"])?;
        let seconds = arguments.count("timeout_s")?;
        let start = if arguments.flag(&["background", "run_in_background"])? {
            Start::Background
        } else {
            Start::Waiting
        };
        Ok(Self {
            command,
            directory: directory.filter(|directory| !directory.is_empty()),
            timeout: seconds.map(|seconds| Duration::from_secs(seconds.clamp(1, MOST_TIMEOUT_S))),
            start,
            outside: arguments
                .optional_text(&["outside_sandbox"])?
                .filter(|reason| !reason.trim().is_empty()),
        })
    }

    /// Why it is to run outside the sandbox, if it is and there is one.
    pub(crate) fn outside(&self, policy: &Policy) -> Option<&str> {
        self.outside
            .as_deref()
            .filter(|_| policy.sandbox != SandboxMode::Off)
    }
}

/// A command that was written as words, as some models do.
fn from_words(words: &[Value]) -> Option<String> {
    let words: Vec<&str> = words.iter().map(Value::as_str).collect::<Option<_>>()?;
    if let [shell, option, script] = words.as_slice()
        && shell.ends_with("sh")
        && option.starts_with('-')
        && option.ends_with('c')
    {
        return Some((*script).to_owned());
    }
    let quoted: Vec<String> = words
        .iter()
        .map(|word| format!("'{}'", word.replace('\'', r"'\''")))
        .collect();
    Some(quoted.join(" "))
}

/// Runs commands for one toolbox.
pub(crate) struct Shell {
    program: &'static str,
    sandbox: Arc<dyn Sandbox>,
    pub(crate) blobs: Blobs,
    pub(crate) jobs: Jobs,
}

/// A call of the shell and what it is given.
pub(crate) struct ShellCall<'a> {
    pub(crate) session: &'a SessionId,
    pub(crate) call: CallId,
    pub(crate) request: ShellRequest,
    pub(crate) place: &'a Place,
    pub(crate) progress: Arc<dyn Fn(Delta) + Send + Sync>,
    pub(crate) stop: &'a Stop,
}

impl Shell {
    pub(crate) fn new(sandbox: Arc<dyn Sandbox>, blobs: Blobs) -> Self {
        let program = ["/bin/bash", "/usr/bin/bash", "/usr/local/bin/bash"]
            .into_iter()
            .find(|program| Path::new(program).exists())
            .unwrap_or("/bin/sh");
        Self {
            program,
            sandbox,
            blobs,
            jobs: Jobs::default(),
        }
    }

    /// Runs a call whose question, if there was one, has been answered with yes.
    pub(crate) async fn run(&self, call: ShellCall<'_>) -> Result<ToolOutcome, String> {
        if let Verdict::Refuse { reason } = verdict::command_verdict(&call.request, call.place) {
            return Ok(ToolOutcome::text(ToolStatus::Denied, reason));
        }
        if call.request.start == Start::Background {
            self.jobs.check_room()?;
        }
        let command = self.command(&call.request, call.place)?;
        let process = self
            .sandbox
            .spawn(command)
            .await
            .map_err(|error| format!("nothing was run: {error}"))?;
        if call.request.start == Start::Background {
            if call.stop.is_stopped() {
                process.kill().await;
                return Err("stopped before it began".to_owned());
            }
            return Ok(self.begin_job(&call, process));
        }
        Ok(self.follow(call, &*process).await)
    }

    fn command(&self, request: &ShellRequest, place: &Place) -> Result<Command, String> {
        let directory = match &request.directory {
            Some(directory) => place.absolute(directory),
            None => place.workspace.clone(),
        };
        if !directory.exists() {
            return Err(names::missing(place, &directory));
        }
        if !directory.is_dir() {
            return Err(format!("{} is not a folder", directory.display()));
        }
        let mut policy = place.policy.clone();
        let mut distrusted = Vec::new();
        if request.outside(&policy).is_some() {
            // What was approved is a name; the program must not be one that a confined command made.
            distrusted.push(place.workspace.clone());
            distrusted.extend(policy.writable.iter().cloned());
            policy.sandbox = SandboxMode::Off;
        }
        Ok(Command {
            argv: vec![
                self.program.to_owned(),
                "-c".to_owned(),
                request.command.clone(),
            ],
            directory,
            workspace: place.workspace.clone(),
            policy,
            limits: ProcessLimits::default(),
            distrusted,
            variables: Vec::new(),
            streams: Streams::Merged,
        })
    }

    fn begin_job(&self, call: &ShellCall<'_>, process: Arc<dyn Process>) -> ToolOutcome {
        let job = JobId(call.call.0);
        let deadline = call.request.timeout.map(|timeout| Instant::now() + timeout);
        self.jobs
            .begin(job, &call.request.command, process, deadline);
        let mut outcome = ToolOutcome::text(
            ToolStatus::Done,
            format!("Started as job {job}. You are told when it ends; poll it with the job tool."),
        );
        outcome.job = Some(job);
        outcome
    }

    async fn follow(&self, call: ShellCall<'_>, process: &dyn Process) -> ToolOutcome {
        let begun = Instant::now();
        let timeout = call
            .request
            .timeout
            .unwrap_or(Duration::from_secs(DEFAULT_TIMEOUT_S));
        let spool = Mutex::new(Spool::default());
        let live = Live::to(call.call, Arc::clone(&call.progress));
        let ending = drive(process, &spool, live, Some(begun + timeout), call.stop).await;
        let spool = std::mem::take(&mut *lock(&spool));
        let Shown { mut text, lines } = spool.shown(self.blobs.of(call.session)).await;
        let confined = call.request.outside(&call.place.policy).is_none();
        if confined && let Some(hint) = sandbox_hint(ending, &text, &call.place.policy) {
            text.push_str(hint);
        }
        let (status, end) = match ending {
            Ending::Own(end) => (ToolStatus::Done, Some(end.into())),
            Ending::TimedOut => {
                let after_s = timeout.as_secs();
                (ToolStatus::Failed, Some(CommandEnd::TimedOut { after_s }))
            }
            Ending::Stopped => (ToolStatus::Cancelled, None),
        };
        text.push_str(&closing(end, begun.elapsed(), text.is_empty()));
        ToolOutcome {
            end,
            lines: Some(lines),
            ..ToolOutcome::text(status, text.trim_end())
        }
    }
}

/// The last line: how it ended, or that someone stopped it. Nothing for a success that printed
/// something quickly.
fn closing(end: Option<CommandEnd>, took: Duration, silent: bool) -> String {
    let mut line = match end {
        Some(CommandEnd::Exited { code: 0 }) if silent => "(no output)".to_owned(),
        Some(CommandEnd::Exited { code: 0 }) => String::new(),
        Some(end @ CommandEnd::TimedOut { .. }) => {
            return format!(
                "[{end} and was killed; give a larger timeout_s, or background for what does not end]"
            );
        }
        Some(end) => format!("[{end}]"),
        None => "[stopped; it may have run in part]".to_owned(),
    };
    if took >= LONG {
        let _ = write!(line, "[took {} s]", took.as_secs());
    }
    line
}

/// What the sandbox may have to do with a failure.
fn sandbox_hint(ending: Ending, text: &str, policy: &Policy) -> Option<&'static str> {
    const SIGNS: [&str; 7] = [
        "Read-only file system",
        "Permission denied",
        "Operation not permitted",
        "Could not resolve host",
        "Temporary failure in name resolution",
        "Network is unreachable",
        "failed to lookup address",
    ];
    let failed = matches!(ending, Ending::Own(ProcessEnd::Exited(code)) if code != 0);
    if !failed
        || policy.sandbox == SandboxMode::Off
        || !SIGNS.iter().any(|sign| text.contains(sign))
    {
        return None;
    }
    match policy.phase {
        Phase::Plan => {
            return Some(
                "[plan mode: commands read and write only /tmp until the plan is accepted]\n",
            );
        }
        Phase::Look => return Some("[you may only look: commands read and write only /tmp]\n"),
        Phase::Work => {}
    }
    Some(if policy.approvals == ApprovalMode::Never {
        "[perhaps the sandbox: commands write the workspace only and have no network unless allowed]\n"
    } else {
        "[perhaps the sandbox: if the command needs more, call again with outside_sandbox and why]\n"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_in_every_form() {
        for (arguments, command) in [
            (r#"{"command":"ls -l"}"#, "ls -l"),
            (r#"{"cmd":"ls"}"#, "ls"),
            (r#"{"command":["bash","-lc","ls | wc"]}"#, "ls | wc"),
            (r#"{"command":["echo","it's"]}"#, r"'echo' 'it'\''s'"),
        ] {
            assert_eq!(ShellRequest::parse(arguments).unwrap().command, command);
        }
        let request =
            ShellRequest::parse(r#"{"command":"x","timeout_s":"99999","background":"true"}"#)
                .unwrap();
        assert_eq!(request.timeout, Some(Duration::from_secs(MOST_TIMEOUT_S)));
        assert_eq!(request.start, Start::Background);
        assert!(ShellRequest::parse(r#"{"command":"a\u0000b"}"#).is_err());
        assert!(
            ShellRequest::parse("{}")
                .unwrap_err()
                .contains("`command` is missing")
        );
    }

    #[test]
    fn endings_in_words() {
        let second = Duration::from_secs(1);
        let exited = |code| Some(CommandEnd::Exited { code });
        for (end, took, silent, line) in [
            (exited(0), second, false, ""),
            (exited(0), second, true, "(no output)"),
            (exited(2), second, false, "[exit code 2]"),
            (exited(0), 12 * second, false, "[took 12 s]"),
            (exited(2), 12 * second, false, "[exit code 2][took 12 s]"),
            (
                Some(CommandEnd::Signalled { signal: 9 }),
                second,
                true,
                "[killed by signal 9 (SIGKILL)]",
            ),
            (
                Some(CommandEnd::TimedOut { after_s: 20 }),
                20 * second,
                false,
                "[timed out after 20 s and was killed; give a larger timeout_s, or background for what does not end]",
            ),
            (None, second, false, "[stopped; it may have run in part]"),
        ] {
            assert_eq!(closing(end, took, silent), line);
        }
    }
}
