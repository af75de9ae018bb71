//! Runs a command to its end as the tools would, to see for ourselves.

use quire_protocol::{Command, ProcessEnd, ProcessEvent, Sandbox, SandboxError};

/// Runs a command; tells how it ended and what it printed.
pub(crate) async fn run(
    sandbox: &dyn Sandbox,
    command: Command,
) -> Result<(ProcessEnd, String), SandboxError> {
    let process = sandbox.spawn(command).await?;
    let mut output = Vec::new();
    loop {
        match process.next().await {
            ProcessEvent::Output(bytes) | ProcessEvent::Errors(bytes) => output.extend(bytes),
            ProcessEvent::Ended(end) => {
                return Ok((end, String::from_utf8_lossy(&output).into_owned()));
            }
        }
    }
}
