//! The last steps before a program runs: what bounds it and what confines it.

use std::ffi::CString;
use std::io::{self, PipeWriter, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::path::Path;

use quire_protocol::ProcessLimits;

use crate::linux::cell::Cell;
use crate::linux::sys::channel::{self, MESSAGE_BYTES, Wait};
use crate::linux::sys::process::{self, Limit};
use crate::linux::wall::{landlock, seccomp};
use crate::linux::wire::{self, Begun, CommandOrder, Ground};

/// How many files one process may have open.
const OPEN_FILES: u64 = 16_384;

/// Confines this process, waits for a command and becomes it, having told the supervisor so.
/// Returns when nobody wants it any more.
///
/// # Errors
/// In words, why it cannot become the command.
pub(crate) fn become_next(
    mut cell: Cell,
    orders: &OwnedFd,
    supervisor: &mut PipeWriter,
) -> Result<(), String> {
    let filters = confine(&mut cell)?;
    let Ok(Some(message)) = channel::receive(orders.as_fd(), MESSAGE_BYTES, Wait::Block) else {
        return Ok(());
    };
    let order: CommandOrder = wire::decode(&message.bytes)?;
    let begun = wire::encode(&Begun {
        limits: order.limits,
        kills: cell.kills(),
    })?;
    supervisor
        .write_all(&begun)
        .map_err(|error| format!("the supervisor: {error}"))?;
    settle(&cell, &order, &message.descriptors)?;
    let Ground::Bubblewrap { program, arguments } = &cell.ground else {
        match exec(&order.argv, &order.environment)? {}
    };
    let variables = handed_over(&order.environment)?;
    let filters = filters.iter().map(|filter| ("--add-seccomp-fd", filter));
    let files: Vec<_> = filters.chain([("--args", &variables)]).collect();
    // It has no variable itself: it runs outside of the walls, and the loader of programs obeys some.
    match exec(&wrapped(program, arguments, &files, &order), &[])? {}
}

/// All that does not depend on the command. Returns files that the program must inherit.
fn confine(cell: &mut Cell) -> Result<Vec<OwnedFd>, String> {
    let because = |what: &'static str| move |error: io::Error| format!("{what}: {error}");
    process::new_session();
    process::reset_signals();
    process::close_on_exec();
    if cell.ground == Ground::Open {
        return Ok(Vec::new());
    }
    if let (Ground::Bubblewrap { .. }, Some(filters)) = (&cell.ground, &cell.filters) {
        let files = filters
            .iter()
            .map(|filter| process::inherited_file(&seccomp::bytes(filter)));
        return files.collect::<io::Result<_>>().map_err(because("seccomp"));
    }
    process::drop_capabilities().map_err(because("capabilities"))?;
    process::renounce_privileges().map_err(because("no_new_privs"))?;
    if let Some(rules) = cell.landlock.take() {
        landlock::impose(rules)?;
    }
    if let Some(filters) = &cell.filters {
        seccomp::install(filters)?;
    }
    Ok(Vec::new())
}

/// Where the command runs, where it reads and prints, and what it may use up.
fn settle(cell: &Cell, order: &CommandOrder, pipes: &[OwnedFd]) -> Result<(), String> {
    let redirected: &[(&OwnedFd, RawFd)] = match pipes {
        // It reads nothing: its stdin is the spawner's, `/dev/null`.
        [printed] => &[(printed, 1), (printed, 2)],
        [output, errors, input] => &[(input, 0), (output, 1), (errors, 2)],
        _ => return Err("no output".to_owned()),
    };
    for (pipe, target) in redirected {
        process::redirect(pipe.as_fd(), *target).map_err(|error| format!("a pipe: {error}"))?;
    }
    set_limits(&order.limits, &cell.ground);
    std::env::set_current_dir(&order.directory)
        .map_err(|error| format!("{}: {error}", order.directory.display()))
}

fn set_limits(limits: &ProcessLimits, ground: &Ground) {
    process::limit(Limit::Core, 0);
    process::limit(Limit::CpuSeconds, limits.cpu_seconds);
    process::limit(Limit::FileBytes, limits.file_bytes);
    process::limit(Limit::Data, limits.memory_bytes);
    process::limit(Limit::OpenFiles, OPEN_FILES);
    // Counted per user of a user namespace, so it means something in a cell only.
    if matches!(ground, Ground::Namespaces { .. }) {
        let processes = u64::from(limits.processes);
        process::limit(Limit::Processes, processes + processes / 8 + 64);
    }
}

/// The command line of `bwrap` for a command. The files are named by options.
fn wrapped(
    program: &Path,
    arguments: &[String],
    files: &[(&str, &OwnedFd)],
    order: &CommandOrder,
) -> Vec<String> {
    let mut argv = vec![program.to_string_lossy().into_owned()];
    argv.extend(arguments.iter().cloned());
    for (option, file) in files {
        let number = file.as_fd().as_raw_fd().to_string();
        argv.extend([(*option).to_owned(), number]);
    }
    argv.extend([
        "--chdir".to_owned(),
        order.directory.to_string_lossy().into_owned(),
    ]);
    argv.push("--".to_owned());
    argv.extend(order.argv.iter().cloned());
    argv
}

/// What has `bwrap` give a command its variables: a file, because everybody on the machine may read
/// its arguments.
fn handed_over(environment: &[String]) -> Result<OwnedFd, String> {
    let mut words = Vec::new();
    for entry in c_strings(environment)? {
        let entry = entry.to_bytes();
        let Some(middle) = entry.iter().position(|byte| *byte == b'=') else {
            continue;
        };
        for word in [&b"--setenv"[..], &entry[..middle], &entry[middle + 1..]] {
            words.extend_from_slice(word);
            words.push(0);
        }
    }
    process::inherited_file(&words).map_err(|error| format!("the environment: {error}"))
}

fn c_strings(texts: &[String]) -> Result<Vec<CString>, String> {
    let string = |text: &String| CString::new(text.as_str());
    let all: Result<_, _> = texts.iter().map(string).collect();
    all.map_err(|_| "a zero byte in an argument or in the environment".to_owned())
}

/// Looks the program up as a shell would and becomes it.
fn exec(argv: &[String], environment: &[String]) -> Result<std::convert::Infallible, String> {
    let program = argv.first().ok_or("no program was named")?;
    let (arguments, environment_strings) = (c_strings(argv)?, c_strings(environment)?);
    let mut reason = io::Error::from_raw_os_error(libc::ENOENT);
    for candidate in candidates(program, environment) {
        let Ok(path) = CString::new(candidate) else {
            continue;
        };
        let error = process::exec(&path, &arguments, &environment_strings);
        match error.raw_os_error() {
            Some(libc::ENOENT | libc::ENOTDIR) => {}
            Some(libc::EACCES) => reason = error,
            _ => return Err(error.to_string()),
        }
    }
    Err(reason.to_string())
}

/// Where a program may lie, in order.
fn candidates(program: &str, environment: &[String]) -> Vec<String> {
    if program.contains('/') {
        return vec![program.to_owned()];
    }
    let path = environment
        .iter()
        .find_map(|entry| entry.strip_prefix("PATH="))
        .unwrap_or("/usr/local/bin:/usr/bin:/bin");
    path.split(':')
        .filter(|folder| folder.starts_with('/'))
        .map(|folder| format!("{folder}/{program}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_looked_for_in_absolute_folders_of_the_path() {
        let environment = ["HOME=/h".to_owned(), "PATH=/a:.::/b".to_owned()];
        assert_eq!(candidates("x", &environment), ["/a/x", "/b/x"]);
        assert_eq!(candidates("./x", &environment), ["./x"]);
    }
}
