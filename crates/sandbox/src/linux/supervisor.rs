//! One process per command that starts it, bounds it and ends with it. In a cell it is the first
//! process of the command's own pid namespace, so its end kills whatever the command left
//! running; elsewhere it is the parent of all orphans and kills them itself.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use quire_protocol::ProcessEnd;

use crate::linux::cell::Cell;
use crate::linux::command;
use crate::linux::descendants::{Descendants, Scope};
use crate::linux::sys::channel::{self, Wait};
use crate::linux::sys::mounts;
use crate::linux::sys::process::{self, Fork, Resume, Status};
use crate::linux::wire::{self, CommandAnswer, CommandOrder, Ground};

/// How often the tree is measured: first after this many milliseconds, …
const FIRST_SAMPLE_MS: i32 = 20;

/// … and at last at this distance.
const SAMPLE_MS: i32 = 100;

/// What SIGXCPU and SIGXFSZ mean: a bound was reached.
const BOUND_SIGNALS: [i32; 2] = [libc::SIGXCPU, libc::SIGXFSZ];

/// Runs a command and everything that follows from it; ends this process.
pub(crate) fn supervise(
    mut cell: Cell,
    order: &CommandOrder,
    answers: &OwnedFd,
    output: OwnedFd,
) -> ! {
    let scope = match cell.ground {
        Ground::Namespaces { .. } => Scope::Namespace,
        Ground::Bubblewrap { .. } | Ground::Landlock | Ground::Open => Scope::Children,
    };
    if let Err(reason) = prepare(scope) {
        fail(answers, reason);
    }
    let Ok(children) = process::watch_children() else {
        fail(answers, "no signals can be watched".to_owned());
    };
    let kills = cell
        .cgroup
        .as_ref()
        .map_or(0, crate::linux::cgroup::Cgroup::kills);
    match process::fork(0, Resume::AfterExec) {
        Ok(Fork::Child) => {
            let reason = command::start(&mut cell, order, output.as_fd());
            fail(answers, reason)
        }
        Ok(Fork::Parent { pid, .. }) => {
            drop(output);
            answer(answers, &CommandAnswer::Started, &[]);
            let mut end = watch(pid, order, scope, answers, &children);
            let killed = cell
                .cgroup
                .as_ref()
                .is_some_and(|cgroup| cgroup.kills() > kills);
            let by_kernel = matches!(end, ProcessEnd::Signalled(9) | ProcessEnd::Exited(137));
            if killed && by_kernel {
                end = ProcessEnd::OverLimit;
            }
            if scope == Scope::Children {
                end_all(&children);
            }
            answer(answers, &CommandAnswer::Ended(end), &[]);
            process::end(0)
        }
        Err(error) => fail(answers, format!("no process can be made: {error}")),
    }
}

/// Sends an answer; there is nobody to tell when that fails.
pub(crate) fn answer(answers: &OwnedFd, answer: &CommandAnswer, descriptors: &[BorrowedFd<'_>]) {
    if let Ok(bytes) = wire::encode(answer) {
        let _ = channel::send(answers.as_fd(), &bytes, descriptors, Wait::Block);
    }
}

fn fail(answers: &OwnedFd, reason: String) -> ! {
    answer(answers, &CommandAnswer::Failed(reason), &[]);
    process::end(127)
}

fn prepare(scope: Scope) -> Result<(), String> {
    match scope {
        Scope::Namespace => {
            process::die_with_parent();
            mounts::mount_proc().map_err(|error| format!("/proc: {error}"))
        }
        Scope::Children => {
            process::adopt_orphans();
            Ok(())
        }
    }
}

/// Waits until the command ends, goes over its limits, or nobody wants it any more.
fn watch(
    command: i32,
    order: &CommandOrder,
    scope: Scope,
    answers: &OwnedFd,
    children: &OwnedFd,
) -> ProcessEnd {
    let mut pause = FIRST_SAMPLE_MS;
    loop {
        let ready = channel::poll(&[children.as_fd(), answers.as_fd()], pause);
        let Ok([child, false]) = ready.as_deref() else {
            // Nobody wants it any more.
            return ProcessEnd::Signalled(libc::SIGKILL);
        };
        if *child {
            process::take_signals(children.as_fd());
            if let Some(end) = collect(command) {
                return end;
            }
        } else {
            pause = (pause * 2).min(SAMPLE_MS);
            if Descendants::find(scope).exceed(&order.limits) {
                return ProcessEnd::OverLimit;
            }
        }
    }
}

/// Collects every child that ended; tells the command's own end.
fn collect(command: i32) -> Option<ProcessEnd> {
    let mut end = None;
    while let Ok(Some((pid, status))) = process::collect() {
        if pid == command {
            end = Some(match status {
                Status::Exited(code) => ProcessEnd::Exited(code),
                Status::Signalled(signal) if BOUND_SIGNALS.contains(&signal) => {
                    ProcessEnd::OverLimit
                }
                Status::Signalled(signal) => ProcessEnd::Signalled(signal),
            });
        }
    }
    end
}

/// Kills descendants until there is none.
fn end_all(children: &OwnedFd) {
    loop {
        loop {
            match process::collect() {
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(_) => return,
            }
        }
        for pid in Descendants::find(Scope::Children).ids() {
            process::kill_id(pid);
        }
        let _ = channel::poll(&[children.as_fd()], 10);
        process::take_signals(children.as_fd());
    }
}
