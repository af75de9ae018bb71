//! The public Open Responses suite, unmodified, against the platform over an upstream of each API. It is no part of this
//! repository: `cargo xtask test open-responses --suite PATH` says where it lies, and installs what runs it.

use std::path::PathBuf;

use super::{Platform, client, installed};

/// The variable with the suite's folder.
const SUITE: &str = "OPEN_RESPONSES_SUITE";

/// Every case of the suite, over HTTP and over a WebSocket, through one model.
#[expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "the suite's folder is named from outside, and its verdicts are what is wanted"
)]
fn suite(model: &str) {
    let Some(suite) = std::env::var_os(SUITE).map(PathBuf::from) else {
        println!(
            "SKIPPED: {SUITE} is not set; `cargo xtask test open-responses --suite PATH` sets it"
        );
        return;
    };
    let Some(mut bun) = client(&installed().join("bun/node_modules/.bin/bun")) else {
        return;
    };
    let platform = Platform::start();
    let home = tempfile::tempdir().unwrap();
    let output = bun
        .args(["run", "bin/compliance-test.ts", "--model", model])
        .args(["--base-url", &format!("{}/v1", platform.url)])
        .args(["--api-key", &platform.key])
        .current_dir(suite)
        .env("HOME", home.path())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    println!("{told}");
    assert!(
        output.status.success() && told.contains("passed"),
        "{model}: {}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn over_an_upstream_of_responses() {
    suite("via-responses");
}

#[test]
fn over_an_upstream_of_chat_completions() {
    suite("via-chat");
}

#[test]
fn over_an_upstream_of_messages() {
    suite("via-messages");
}
