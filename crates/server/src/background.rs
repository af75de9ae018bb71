//! A host that no terminal holds.

use std::fs::OpenOptions;
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Arc;

use tokio::sync::oneshot;

use crate::Summon;

/// Told when a host that was started has ended: in its own words why, where that was a failure.
pub type Ending = oneshot::Receiver<Result<(), String>>;

/// How the words of a command that failed begin.
const COMPLAINT: &str = "quire: ";
/// Lines of them at most.
const LINES: usize = 20;

/// How Linux ends the name of a program whose file is there no more.
const REPLACED: &str = " (deleted)";

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
        let mut host = std::process::Command::new(newest(&program));
        host.args(&arguments)
            .current_dir("/")
            .env_clear()
            .envs(environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let host = host.spawn()?;
        let (sender, ending) = oneshot::channel();
        // Whoever waits for it keeps it from staying as a dead entry in the system's table.
        std::thread::spawn(move || {
            // Whoever has found a host by then wants to know nothing.
            let _ = sender.send(end_of(host));
        });
        Ok(ending)
    })
}

/// A program, or what an update has put into its place: the next host is not to be the last one again.
fn newest(program: &Path) -> PathBuf {
    let file = std::fs::read_link(program).ok();
    let file = file.as_deref().and_then(Path::to_str);
    let replaced = file.and_then(|file| file.strip_suffix(REPLACED));
    let replaced = replaced.map(PathBuf::from).filter(|file| file.is_file());
    replaced.unwrap_or_else(|| program.to_owned())
}

/// Waits for the end of a host.
fn end_of(mut host: Child) -> Result<(), String> {
    let mut words: Vec<String> = Vec::new();
    let told = host.stderr.take().map(BufReader::new);
    for line in told.into_iter().flat_map(BufReader::lines) {
        let Ok(line) = line else { break };
        if line.starts_with(COMPLAINT) {
            words.clear();
        }
        if words.len() < LINES {
            words.push(line);
        }
    }
    let words = words.join("\n");
    match host.wait() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) if words.is_empty() => Err(format!(
            "it ended with {status}; see what `quire serve` says"
        )),
        Ok(_) => Err(words.strip_prefix(COMPLAINT).unwrap_or(&words).to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// Leaves the terminal: nothing that happens to it reaches this process any more.
pub fn leave_terminal() {
    // A leader of a group of its own has none to leave.
    let _ = rustix::process::setsid();
}

/// Has nothing more to tell whoever started this process, who may end before it does.
pub fn leave_starter() -> io::Result<()> {
    let nobody = OpenOptions::new().write(true).open("/dev/null")?;
    rustix::stdio::dup2_stderr(nobody)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_was_replaced_starts_the_new_one() {
        let folder = tempfile::tempdir().unwrap();
        let (program, exe) = (folder.path().join("quire"), folder.path().join("exe"));
        let replaced = format!("{}{REPLACED}", program.display());
        std::os::unix::fs::symlink(replaced, &exe).unwrap();
        assert_eq!(newest(&exe), exe, "it was only removed");
        std::fs::write(&program, "new").unwrap();
        assert_eq!(newest(&exe), program);
        assert_eq!(newest(&program), program);
    }
}
