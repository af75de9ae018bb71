//! The trivial command by which a wall is tried.

use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};

use quire_protocol::{
    ApprovalMode, Command, Phase, Policy, ProcessEnd, ProcessLimits, SandboxMode, Streams,
};

use crate::linux::spare::Slot;
use crate::linux::sys::channel::{self, STATUS_BYTES, Wait};
use crate::linux::wire::{self, CommandAnswer, CommandOrder};

/// How long it may take, in milliseconds.
const TRIAL_MS: i32 = 10_000;

/// The command.
pub(crate) fn command() -> Command {
    Command {
        argv: vec!["true".to_owned()],
        directory: "/".into(),
        workspace: "/usr".into(),
        policy: policy(),
        limits: ProcessLimits::default(),
        distrusted: Vec::new(),
        variables: Vec::new(),
        streams: Streams::Merged,
    }
}

fn policy() -> Policy {
    Policy {
        sandbox: SandboxMode::ReadOnly,
        approvals: ApprovalMode::Never,
        rules: Vec::new(),
        domains: Vec::new(),
        writable: Vec::new(),
        environment: Vec::new(),
        phase: Phase::Work,
    }
}

/// Runs it in a cell to its end without a runtime; its output is thrown away.
pub(crate) fn run(cell: &OwnedFd, order: &CommandOrder) -> Result<(), String> {
    let text = |error: std::io::Error| error.to_string();
    let slot = Slot::request(cell.as_fd()).map_err(text)?;
    let ordered = slot
        .order(&wire::encode(order)?, Streams::Merged)
        .map_err(text)?;
    let (mut reader, answers) = (ordered.ends.output, ordered.answers);
    loop {
        if !channel::poll(&[answers.as_fd()], TRIAL_MS).map_err(text)?[0] {
            return Err("a trial command did not end in time".to_owned());
        }
        let message = channel::receive(answers.as_fd(), STATUS_BYTES, Wait::Never);
        let message = message.map_err(text)?.ok_or("a trial command was killed")?;
        match wire::decode(&message.bytes)? {
            CommandAnswer::Placed | CommandAnswer::Started => {}
            CommandAnswer::Failed(reason) => return Err(reason),
            CommandAnswer::Ended {
                end: ProcessEnd::Exited(0),
                ..
            } => return Ok(()),
            CommandAnswer::Ended { end, .. } => {
                let mut said = String::new();
                let _ = reader.read_to_string(&mut said);
                return Err(format!(
                    "a trial command ended with {end:?}: {}",
                    said.trim()
                ));
            }
        }
    }
}
