//! One process per command that starts it, bounds it and ends with it. In a cell it is the first
//! process of the command's own pid namespace, so its end kills whatever the command left
//! running; elsewhere it is the parent of all orphans and kills them itself.
//!
//! It may be made before its command is known: it and the process that will become the command
//! then wait, the latter confined already. It serves that one command and ends with it, or when
//! the main process, the cell or the spawner is gone.

use std::io::{PipeReader, Read, pipe};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use quire_protocol::{ProcessEnd, ProcessLimits};

use crate::linux::cell::Cell;
use crate::linux::command;
use crate::linux::descendants::{Descendants, Scope};
use crate::linux::links::Reach;
use crate::linux::mounted::{Breach, Mounted};
use crate::linux::sys::channel::{self, Wait};
use crate::linux::sys::mounts;
use crate::linux::sys::process::{self, Fork, Status};
use crate::linux::traps::Traps;
use crate::linux::watching::Watching;
use crate::linux::wire::{self, Begun, CommandAnswer, Ground, Rest};

/// How often the tree is measured: first after this many milliseconds, …
const FIRST_SAMPLE_MS: u16 = 20;

/// … and at last at this distance.
const SAMPLE_MS: u16 = 100;

/// Every which look goes into folders that may hold many files.
const DEEP: u32 = 10;

/// What SIGXCPU and SIGXFSZ mean: a bound was reached.
const BOUND_SIGNALS: [i32; 2] = [libc::SIGXCPU, libc::SIGXFSZ];

/// Waits for a command, runs it and everything that follows from it; ends this process.
pub(crate) fn supervise(cell: Cell, answers: &OwnedFd) -> ! {
    let scope = match cell.ground {
        Ground::Namespaces { .. } => Scope::Namespace,
        Ground::Bubblewrap { .. } | Ground::Landlock | Ground::Open => Scope::Children,
    };
    let prepared = prepare(scope).and_then(|()| {
        let children = process::watch_children();
        let children = children.map_err(|error| format!("no signals can be watched: {error}"))?;
        let ends = pipe().map_err(|error| format!("no pipe can be made: {error}"))?;
        Ok((children, ends))
    });
    let (children, (begun, mut begins)) = match prepared {
        Ok(prepared) => prepared,
        Err(reason) => fail(answers, reason),
    };
    let own = std::process::id();
    match process::fork(0) {
        Ok(Fork::Child) => {
            drop((children, begun));
            process::die_with_parent();
            if std::os::unix::process::parent_id() != own {
                process::end(1);
            }
            // Its end of the pipe stays open until it has said why it failed.
            match command::become_next(cell, answers, &mut begins) {
                Ok(()) => process::end(0),
                Err(reason) => fail(answers, reason),
            }
        }
        Ok(Fork::Parent { pid, .. }) => {
            drop(begins);
            let Some(begun) = wait_for_begin(begun) else {
                process::end(0);
            };
            if scope == Scope::Children {
                process::outlive_parent();
            }
            answer(answers, &CommandAnswer::Started, &[]);
            if scope == Scope::Namespace {
                // It is to see files as the person does, who cannot read all that an owner of a
                // namespace can.
                let _ = process::drop_capabilities();
            }
            let watched = Watched {
                command: pid,
                limits: begun.limits,
                scope,
                traps: &cell.traps,
                mounted: &cell.mounted,
            };
            let Over { end, breach } = watch(&watched, answers, &children);
            let (end, rest) = finish(end, scope, &cell, begun.kills, &children);
            answer(answers, &CommandAnswer::Ended { end, rest, breach }, &[]);
            process::end(0)
        }
        Err(error) => fail(answers, format!("no process can be made: {error}")),
    }
}

/// Waits until the program runs, or failed to. `None` when there is no command to come.
fn wait_for_begin(mut begun: PipeReader) -> Option<Begun> {
    let mut bytes = Vec::new();
    // The other end is closed by the start of the program.
    begun.read_to_end(&mut bytes).ok()?;
    wire::decode(&bytes).ok()
}

/// What is told of the end, and whether anything is left running. The kernel kills what is left
/// in a namespace; elsewhere it is done here.
fn finish(
    end: ProcessEnd,
    scope: Scope,
    cell: &Cell,
    kills: u64,
    children: &OwnedFd,
) -> (ProcessEnd, Rest) {
    let by_kernel = matches!(end, ProcessEnd::Signalled(9) | ProcessEnd::Exited(137));
    let end = if by_kernel && cell.kills() > kills {
        ProcessEnd::OverLimit
    } else {
        end
    };
    match scope {
        Scope::Children => end_all(children),
        Scope::Namespace if process::is_childless() => {}
        Scope::Namespace => return (end, Rest::Dying),
    }
    (end, Rest::Gone)
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
    process::die_with_parent();
    match scope {
        Scope::Namespace => mounts::mount_proc().map_err(|error| format!("/proc: {error}")),
        Scope::Children => {
            process::adopt_orphans();
            Ok(())
        }
    }
}

/// A command that runs.
struct Watched<'a> {
    command: i32,
    limits: ProcessLimits,
    scope: Scope,
    traps: &'a Traps,
    mounted: &'a Mounted,
}

/// Why a command is over.
struct Over {
    end: ProcessEnd,
    /// Why it was ended, or what was open to it.
    breach: Option<Breach>,
}

impl From<ProcessEnd> for Over {
    fn from(end: ProcessEnd) -> Self {
        Self { end, breach: None }
    }
}

impl From<Breach> for Over {
    fn from(breach: Breach) -> Self {
        Self {
            end: ProcessEnd::Signalled(libc::SIGKILL),
            breach: Some(breach),
        }
    }
}

/// Waits until the command ends, goes over its limits, brings about what it may not, or nobody
/// wants it any more.
fn watch(watched: &Watched<'_>, answers: &OwnedFd, children: &OwnedFd) -> Over {
    let mut watching: Option<Watching<'_>> = None;
    let (mut pause, mut looks) = (FIRST_SAMPLE_MS, 0_u32);
    let mut due = Instant::now() + Duration::from_millis(pause.into());
    loop {
        let left = due.saturating_duration_since(Instant::now()).as_millis();
        let left = i32::try_from(left).unwrap_or_default();
        let mut descriptors = vec![children.as_fd(), answers.as_fd()];
        descriptors.extend(watching.as_ref().map(AsFd::as_fd));
        let ready = channel::poll(&descriptors, left);
        let Ok([child, false, changed @ ..]) = ready.as_deref() else {
            // Nobody wants it any more.
            return ProcessEnd::Signalled(libc::SIGKILL).into();
        };
        if let (Some(watching), [true]) = (&watching, changed)
            && let Some(breach) = watching.breach()
        {
            return used(watched, watching, breach, children).into();
        }
        if *child {
            process::take_signals(children.as_fd());
            if let Some(end) = collect(watched.command) {
                let breach = watched.mounted.replaced();
                return Over { end, breach };
            }
        }
        // However many children end meanwhile.
        if Instant::now() >= due {
            pause = (pause * 2).min(SAMPLE_MS);
            // Letting a watch go takes the kernel ten milliseconds: too long for a short command.
            if pause == SAMPLE_MS && watching.is_none() {
                watching = Watching::begin(watched.traps, watched.mounted);
            }
            if pause == SAMPLE_MS && watching.is_none() {
                // A command may use up what watching needs.
                pause = FIRST_SAMPLE_MS;
            }
            due = Instant::now() + Duration::from_millis(pause.into());
            looks += 1;
            if let Some(breach) = watched.look(looks) {
                return breach.into();
            }
            if Descendants::find(watched.scope).exceed(&watched.limits) {
                return ProcessEnd::OverLimit.into();
            }
        }
    }
}

impl Watched<'_> {
    fn look(&self, number: u32) -> Option<Breach> {
        let reach = if number.is_multiple_of(DEEP) {
            Reach::All
        } else {
            Reach::Top
        };
        let sprung = self.traps.are_sprung(reach).then_some(Breach::Trap);
        sprung.or_else(|| self.mounted.replaced())
    }
}

/// Ends what runs, and tells whether it used the breach meanwhile.
fn used(
    watched: &Watched<'_>,
    watching: &Watching<'_>,
    breach: Breach,
    children: &OwnedFd,
) -> Breach {
    if breach == Breach::Trap {
        return breach;
    }
    match watched.scope {
        Scope::Children => end_all(children),
        Scope::Namespace => end_namespace(children),
    }
    watching.outcome(breach)
}

/// Kills all that is in this process's own pid namespace, and waits for it.
fn end_namespace(children: &OwnedFd) {
    loop {
        process::kill_others();
        while let Ok(Some(_)) = process::collect() {}
        if process::is_childless() {
            return;
        }
        let _ = channel::poll(&[children.as_fd()], 10);
        process::take_signals(children.as_fd());
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
