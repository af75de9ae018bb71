//! Claude Code and Codex, unmodified, do a task through the platform: they read a file with a command of their own,
//! and make another of what they read. The model is the mock's script; the commands really run.
//!
//! `cargo xtask test clients` installs them. Their settings are those of `docs/guide/platform-clients.md`.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

use super::{Platform, client, installed};

/// A clean home and a folder with a file whose contents nobody can guess.
pub(crate) struct Task {
    root: tempfile::TempDir,
    word: String,
}

impl Task {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        // The folder's own name is random.
        let name = root.path().file_name().unwrap().to_string_lossy();
        let word = format!("word{}", name.trim_start_matches('.'));
        std::fs::create_dir(root.path().join("home")).unwrap();
        std::fs::create_dir(root.path().join("work")).unwrap();
        let text = format!("The last line counts.\n{word}\n");
        std::fs::write(root.path().join("work/notes.txt"), text).unwrap();
        Self { root, word }
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.root.path().join("home")
    }

    fn work(&self) -> PathBuf {
        self.root.path().join("work")
    }

    /// The prompt, with what the model says to it: two calls of a tool, one after the other, and a word at the end.
    fn prompt(&self, tool: &str, input: impl Fn(&str) -> Value) -> String {
        let run = |command: &str| json!({"call": tool, "input": input(command)});
        let turns = json!([
            [{"think": "First I look."}, {"text": "I read it."}, run("cat notes.txt")],
            [run("echo {result} | tr a-z A-Z > made.txt")],
            [{"text": "Made it."}],
        ]);
        let script = json!({"tag": self.word, "turns": turns});
        format!("Write the last line of notes.txt in capitals to made.txt. script:{script}")
    }

    /// The agent ran both commands, the second with what the first one showed, and said so in the end.
    fn check(&self, output: &Output, platform: &Platform, steps: usize) {
        let told = String::from_utf8_lossy(&output.stdout);
        let complaints = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success() && told.contains("Made it."),
            "{}\n{told}\n{complaints}",
            output.status
        );
        let made = std::fs::read_to_string(self.work().join("made.txt")).unwrap();
        assert_eq!(made.trim(), self.word.to_uppercase());
        let seen = platform.mock.seen(&self.word);
        assert_eq!(seen.as_array().map(Vec::len), Some(steps), "{seen:#}");
        let last = seen[steps - 1]["body"].to_string();
        assert!(last.contains(&self.word), "{last}");
    }
}

/// An agent where it is installed, with nothing of this machine's and no way to anything but loopback.
fn agent(name: &str, task: &Task) -> Option<Command> {
    client(&programs().join(name)).map(|command| confined(command, task))
}

/// A shell that finds the agent, where it is installed.
pub(crate) fn shell(name: &str, task: &Task, code: &str) -> Option<Command> {
    client(&programs().join(name))?;
    let mut command = confined(client(Path::new("/bin/sh"))?, task);
    command.args(["-e", "-c", code]);
    Some(command)
}

fn programs() -> PathBuf {
    installed().join("agents/node_modules/.bin")
}

fn confined(mut command: Command, task: &Task) -> Command {
    let node = installed().join("newest-js/node_modules/node/bin");
    let path = format!("{}:{}:/usr/bin:/bin", node.display(), programs().display());
    command
        .current_dir(task.work())
        .env("PATH", path)
        .env("HOME", task.home())
        .env("HTTPS_PROXY", "http://127.0.0.1:9")
        .env("HTTP_PROXY", "http://127.0.0.1:9")
        .env("NO_PROXY", "127.0.0.1");
    command
}

fn claude_code(model: &str) {
    let task = Task::new();
    let Some(mut command) = agent("claude", &task) else {
        return;
    };
    let platform = Platform::start();
    let output = command
        .env("ANTHROPIC_BASE_URL", &platform.url)
        .env("ANTHROPIC_AUTH_TOKEN", &platform.key)
        .env("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1")
        .args([
            "-p",
            &task.prompt("Bash", |command| json!({"command": command})),
        ])
        .args(["--model", model, "--allowedTools", "Bash"])
        .output()
        .unwrap();
    task.check(&output, &platform, 3);
}

fn codex(model: &str, tool: &str, input: impl Fn(&str) -> Value) {
    let task = Task::new();
    let Some(mut command) = agent("codex", &task) else {
        return;
    };
    let platform = Platform::start();
    let folder = task.home().join(".codex");
    std::fs::create_dir(&folder).unwrap();
    let config = format!(
        "model = \"{model}\"\n\
         model_provider = \"quire\"\n\
         [model_providers.quire]\n\
         name = \"Quire\"\n\
         base_url = \"{}/v1\"\n\
         env_key = \"QUIRE_KEY\"\n\
         wire_api = \"responses\"\n",
        platform.url
    );
    std::fs::write(folder.join("config.toml"), config).unwrap();
    let output = command
        .env("QUIRE_KEY", &platform.key)
        .args(["exec", "--skip-git-repo-check"])
        .arg("--dangerously-bypass-approvals-and-sandbox")
        .arg(task.prompt(tool, input))
        .output()
        .unwrap();
    task.check(&output, &platform, 3);
}

#[test]
fn claude_code_over_messages() {
    claude_code("via-messages");
}

#[test]
fn claude_code_over_responses() {
    claude_code("via-responses");
}

#[test]
fn claude_code_over_chat() {
    claude_code("via-chat");
}

fn shell_command(command: &str) -> Value {
    json!({"cmd": command})
}

#[test]
fn codex_over_responses() {
    codex("via-responses", "exec_command", shell_command);
}

#[test]
fn codex_over_messages() {
    codex("via-messages", "exec_command", shell_command);
}

#[test]
fn codex_over_chat() {
    codex("via-chat", "exec_command", shell_command);
}

/// Codex gives models that it knows a tool of OpenAI's own kind: free text, in a namespace, here a program.
fn program(command: &str) -> Value {
    let command = json!(command);
    let program = format!(
        "const run = await tools.exec_command({{cmd: {command}}}); text(run.output.trim());"
    );
    json!({"input": program})
}

#[test]
fn codex_with_a_tool_of_free_text_over_messages() {
    codex("gpt-6-sol", "functions__exec", program);
}

#[test]
fn codex_with_a_tool_of_free_text_over_chat() {
    codex("gpt-6-luna", "functions__exec", program);
}
