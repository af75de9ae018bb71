//! The spawner as a program of its own, for programs that embed this crate and cannot start
//! themselves again. With `try` it attempts one escape, so that tests can see that it fails; with
//! `hold` it is a main process that a test can kill.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
mod escapes;
#[cfg(target_os = "linux")]
mod hold;

fn main() -> ExitCode {
    quire_sandbox::run_if_spawner();
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.split_first() {
        #[cfg(target_os = "linux")]
        Some((word, rest)) if word == "try" => escapes::attempt(rest),
        #[cfg(target_os = "linux")]
        Some((word, [workspace, seconds])) if word == "hold" => hold::hold(workspace, seconds),
        _ => ExitCode::from(2),
    }
}
