//! A host that no terminal holds.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use crate::Summon;

/// Starts a host as a process that outlives this one. One that finds another at work ends at once.
#[expect(
    clippy::disallowed_methods,
    reason = "the host outlives whoever starts it, which no cell of the sandbox does"
)]
pub fn background(program: &Path, arguments: &[&str], environment: &[(String, String)]) -> Summon {
    let program = program.to_owned();
    let arguments: Vec<String> = arguments.iter().map(|&argument| argument.into()).collect();
    let environment = environment.to_vec();
    Arc::new(move || {
        let mut host = std::process::Command::new(&program);
        host.args(&arguments)
            .current_dir("/")
            .env_clear()
            .envs(environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut host = host.spawn()?;
        // Whoever waits for it keeps it from staying as a dead entry in the system's table.
        std::thread::spawn(move || host.wait());
        Ok(())
    })
}

/// Leaves the terminal: nothing that happens to it reaches this process any more.
pub fn leave_terminal() {
    // A leader of a group of its own has none to leave.
    let _ = rustix::process::setsid();
}
