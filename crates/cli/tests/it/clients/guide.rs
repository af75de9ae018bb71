//! The page of the guide about clients, tried as it is written: its config, its commands, its programs.

use std::path::Path;
use std::process::Command;

use super::agents::{self, Task};
use super::{Platform, client, installed};

const PAGE: &str = include_str!("../../../../../docs/guide/platform-clients.md");

/// Where the page says that the server is.
const ADDRESS: &str = "http://127.0.0.1:8787";

/// What the mock says to every prompt without a script.
const SAID: &str = "ok";

/// The code of a language that contains a word.
fn code(language: &str, word: &str) -> String {
    let opening = format!("```{language}\n");
    let mut blocks = PAGE.split(&opening).skip(1);
    let block = blocks.find_map(|rest| {
        let (block, _) = rest.split_once("\n```").unwrap();
        block.contains(word).then(|| block.to_owned())
    });
    block.unwrap_or_else(|| panic!("no {language} with `{word}` on the page"))
}

fn platform() -> Platform {
    Platform::with(|mock| {
        let config = code("toml", "[upstreams.local]")
            .replace("https://api.anthropic.com", mock)
            .replace("https://api.openai.com/v1", &format!("{mock}/v1"))
            .replace("http://127.0.0.1:8080/v1", &format!("{mock}/v1"));
        format!("listen = \"127.0.0.1:0\"\n{config}")
    })
}

/// Runs a program of the page at the platform; so many lines of its output end with what the model said, or have it as
/// a text in JSON.
fn tried(mut command: Command, platform: &Platform, times: usize) {
    let output = command.env("QUIRE_KEY", &platform.key).output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    let complaints = String::from_utf8_lossy(&output.stderr);
    let said = told
        .lines()
        .filter(|line| line.ends_with(SAID) || line.contains("\"content\":\"ok\""));
    assert!(
        output.status.success() && said.count() == times,
        "{}\n{told}\n{complaints}",
        output.status
    );
}

fn of_python(word: &str, times: usize) {
    if let Some(mut command) = client(&installed().join("newest-py/bin/python")) {
        let platform = platform();
        let code = code("python", word).replace(ADDRESS, &platform.url);
        command.args(["-c", &code]);
        tried(command, &platform, times);
    }
}

fn of_typescript(word: &str) {
    let place = installed().join("newest-js");
    if let Some(mut command) = client(&place.join("node_modules/node/bin/node")) {
        let platform = platform();
        let code = code("js", word).replace(ADDRESS, &platform.url);
        command
            .args(["--input-type=module", "--eval", &code])
            .current_dir(place);
        tried(command, &platform, 1);
    }
}

#[test]
fn the_pages_python() {
    of_python("import anthropic", 1);
    of_python("import openai", 2);
}

#[test]
fn the_pages_typescript() {
    of_typescript("@anthropic-ai/sdk");
    of_typescript("import OpenAI");
}

#[test]
fn the_pages_first_commands() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join(".config/quire");
    std::fs::create_dir_all(&folder).unwrap();
    let config = code("toml", "[upstreams.local]");
    std::fs::write(folder.join("platform.toml"), config).unwrap();
    let binary = Path::new(env!("CARGO_BIN_EXE_quire")).parent().unwrap();
    let output = client(Path::new("/bin/sh"))
        .unwrap()
        .args(["-e", "-c", &code("sh", "platform check")])
        .env("PATH", binary)
        .env("HOME", home.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let told = String::from_utf8_lossy(&output.stdout);
    let key = told.lines().last().unwrap_or_default();
    assert!(key.len() > 20 && !key.contains(' '), "{told}");
}

#[test]
fn the_pages_curl() {
    if let Some(mut command) = client(Path::new("/usr/bin/curl")).and(client(Path::new("/bin/sh")))
    {
        let platform = platform();
        let code = code("sh", "curl ").replace(ADDRESS, &platform.url);
        command.args(["-e", "-c", &code]).env("PATH", "/usr/bin");
        tried(command, &platform, 1);
    }
}

#[test]
fn the_pages_claude_code() {
    let task = Task::new();
    let platform = platform();
    let code = code("sh", "claude ").replace(ADDRESS, &platform.url);
    if let Some(command) = agents::shell("claude", &task, &code) {
        tried(command, &platform, 1);
    }
}

#[test]
fn the_pages_codex() {
    let task = Task::new();
    let platform = platform();
    let folder = task.home().join(".codex");
    std::fs::create_dir(&folder).unwrap();
    let config = code("toml", "model_providers").replace(ADDRESS, &platform.url);
    std::fs::write(folder.join("config.toml"), config).unwrap();
    // It works in a repository, or wants to be told that it need not be one.
    let code = format!("git init --quiet .\n{}", code("sh", "codex exec"));
    if let Some(command) = agents::shell("codex", &task, &code) {
        tried(command, &platform, 1);
    }
}
