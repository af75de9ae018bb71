//! What `quire doctor` found, a line each: good, worth knowing, or bad with what to do.

use std::fmt::Write as _;
use std::path::Path;

use quire_protocol::{
    Command, CommandEnd, Policy, ProcessEnd, ProcessLimits, Sandbox, SandboxMode, SandboxReport,
    Streams, Wall, spelled,
};

use crate::places::{free_space, program, writable};
use crate::text::{counted, size};
use crate::trial;

/// Free space, in bytes, with which little can be kept any more.
const TOO_LITTLE: u64 = 50 << 20;
/// Free space, in bytes, that is worth a word.
const LITTLE: u64 = 1 << 30;

/// What a person is told of a wall that is not the strongest, before the work begins.
#[must_use]
pub fn weaker_wall(wall: Wall) -> Option<&'static str> {
    match wall {
        Wall::Cell | Wall::Seatbelt | Wall::Off => None,
        Wall::Bubblewrap => Some("commands run in bubblewrap: `quire doctor` says what that lacks"),
        Wall::Landlock => Some(
            "commands run behind Landlock and seccomp only: `quire doctor` says what that lacks",
        ),
        Wall::Refused => Some(
            "no sandbox can be built on this machine, so commands are refused: `quire doctor` \
             says what to do",
        ),
    }
}

/// What a store holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreFound {
    /// Sessions.
    pub sessions: u64,
    /// Events of all of them.
    pub events: u64,
    /// Bytes on the disk.
    pub bytes: u64,
    /// What is wrong with it, in words; empty where nothing is.
    pub problems: String,
}

/// A list of findings.
#[derive(Clone, Debug, Default)]
pub struct Checkup {
    text: String,
    bad: bool,
}

impl Checkup {
    /// Something works.
    pub fn good(&mut self, what: &str, detail: &str) {
        self.line("ok  ", what, detail);
    }

    /// Something is worth knowing, and nothing has to be done.
    pub fn note(&mut self, what: &str, detail: &str) {
        self.line("note", what, detail);
    }

    /// Something does not work; `detail` says what to do.
    pub fn bad(&mut self, what: &str, detail: &str) {
        self.bad = true;
        self.line("BAD ", what, detail);
    }

    /// Whether git, if one of these folders has one, runs as commands do.
    pub async fn try_git(
        &mut self,
        sandbox: &dyn Sandbox,
        workspace: &Path,
        mut policy: Policy,
        folders: &str,
    ) {
        if policy.sandbox == SandboxMode::WorkspaceWrite {
            policy.sandbox = SandboxMode::ReadOnly;
        }
        let command = Command {
            argv: vec!["git".to_owned(), "--version".to_owned()],
            directory: workspace.to_owned(),
            workspace: workspace.to_owned(),
            policy,
            limits: ProcessLimits::default(),
            distrusted: Vec::new(),
            variables: Vec::new(),
            streams: Streams::Merged,
        };
        let tried = match trial::run(sandbox, command).await {
            Ok((ProcessEnd::Exited(0), version)) => Ok(version),
            Ok((end, _)) => Err(CommandEnd::from(end).to_string()),
            Err(error) => Err(error.to_string()),
        };
        self.git(program(folders, "git").as_deref(), tried);
    }

    /// Whether git, if there is one, runs as commands do: what it says of itself, or why not.
    pub(crate) fn git(&mut self, program: Option<&Path>, tried: Result<String, String>) {
        match (program, tried) {
            (_, Ok(version)) => {
                self.good("git", &format!("{} runs as commands do", version.trim()));
            }
            (Some(program), Err(why)) => self.note(
                "git",
                &format!(
                    "{} is there, but commands cannot run it: {why}",
                    spelled(program)
                ),
            ),
            (None, Err(_)) => {
                self.note(
                    "git",
                    "it is not in PATH: install it to work on repositories",
                );
            }
        }
    }

    /// Whether the store in a folder is intact, or can be made.
    pub fn store(&mut self, data: &Path, found: Result<Option<StoreFound>, String>) {
        let what = format!("store {}", spelled(data));
        match found {
            Ok(None) => match writable(data) {
                Ok(()) => self.good(&what, "not there yet; the first session makes it"),
                Err(error) => {
                    let words = format!(
                        "cannot be made ({error}): set QUIRE_HOME to a folder that you can write"
                    );
                    self.bad(&what, &words);
                }
            },
            Ok(Some(found)) if found.problems.is_empty() => {
                let words = format!(
                    "{}, {}, {}, intact",
                    counted(found.sessions, "session"),
                    counted(found.events, "event"),
                    size(found.bytes)
                );
                self.good(&what, &words);
            }
            Ok(Some(found)) => self.bad(&what, &found.problems),
            Err(error) => self.bad(&what, &error),
        }
    }

    /// Whether files can be made where the work is.
    pub fn workspace(&mut self, folder: &Path) {
        let what = format!("folder {}", spelled(folder));
        match writable(folder) {
            Ok(()) => self.good(&what, "can be written"),
            Err(error) => self.bad(
                &what,
                &format!("cannot be written ({error}): check permissions and free space"),
            ),
        }
    }

    /// How much space is left in the folders of sessions, of temporary files and of the work.
    pub fn space(&mut self, data: &Path, temporary: &Path, workspace: &Path) {
        for (what, folder, remedy) in [
            ("sessions", data, "set QUIRE_HOME to a folder with more"),
            (
                "temporary files",
                temporary,
                "set TMPDIR to a folder with more",
            ),
            ("the work", workspace, "move it to where there is more"),
        ] {
            let what = format!("space for {what} {}", spelled(folder));
            match free_space(folder) {
                Ok(free) => self.space_left(&what, free, remedy),
                Err(error) => self.note(&what, &format!("is not known: {error}")),
            }
        }
    }

    fn space_left(&mut self, what: &str, free: u64, remedy: &str) {
        let left = size(free);
        if free < TOO_LITTLE {
            self.bad(
                what,
                &format!("only {left} are free: free some, or {remedy}"),
            );
        } else if free < LITTLE {
            self.note(
                what,
                &format!("{left} are free, which is soon used up: free some, or {remedy}"),
            );
        } else {
            self.good(what, &format!("{left} are free"));
        }
    }

    /// Which layers of the sandbox hold, and which wall they make.
    pub fn sandbox(&mut self, report: &SandboxReport) {
        for layer in &report.layers {
            let what = format!("sandbox layer {}", layer.name);
            if layer.holds {
                self.good(&what, &layer.detail);
            } else {
                self.note(&what, &layer.detail);
            }
        }
        match report.wall {
            Wall::Cell => self.good("sandbox", "commands run in a cell of their own namespaces"),
            Wall::Bubblewrap => self.good("sandbox", "commands run in bubblewrap"),
            Wall::Seatbelt => self.good("sandbox", "commands run under Seatbelt"),
            Wall::Landlock => self.note(
                "sandbox",
                "Landlock and seccomp only, weaker than a cell: the layers above say what is lost",
            ),
            Wall::Off => self.note("sandbox", "off: commands may do everything you may"),
            Wall::Refused => self.bad(
                "sandbox",
                "none can be built, so no command will run: allow user namespaces, install \
                 bubblewrap, or, inside a container that confines it anyway, use --sandbox off",
            ),
        }
    }

    /// Whether anything does not work.
    #[must_use]
    pub fn is_bad(&self) -> bool {
        self.bad
    }

    /// The findings, a line each.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    fn line(&mut self, mark: &str, what: &str, detail: &str) {
        let _ = writeln!(self.text, "{mark}  {what}: {detail}");
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use quire_protocol::Layer;

    use super::*;

    #[test]
    fn little_space_is_told_and_too_little_is_bad() {
        let mut checkup = Checkup::default();
        let mut check = |free| {
            checkup.space_left("space for temporary files /tmp", free, "set TMPDIR");
            checkup.is_bad()
        };
        assert!(!check(1 << 30));
        assert!(!check(50 << 20));
        assert!(check(0));
        expect![[r"
            ok    space for temporary files /tmp: 1.0 GiB are free
            note  space for temporary files /tmp: 50 MiB are free, which is soon used up: free some, or set TMPDIR
            BAD   space for temporary files /tmp: only 0 KiB are free: free some, or set TMPDIR
        "]]
        .assert_eq(checkup.text());
    }

    #[test]
    fn a_missing_layer_is_told_and_no_wall_is_bad() {
        let mut checkup = Checkup::default();
        checkup.good("git", "2.47");
        checkup.sandbox(&SandboxReport {
            wall: Wall::Refused,
            layers: vec![Layer {
                name: "namespaces".to_owned(),
                holds: false,
                detail: "not allowed here".to_owned(),
            }],
        });
        assert!(checkup.is_bad());
        expect![[r"
            ok    git: 2.47
            note  sandbox layer namespaces: not allowed here
            BAD   sandbox: none can be built, so no command will run: allow user namespaces, install bubblewrap, or, inside a container that confines it anyway, use --sandbox off
        "]]
        .assert_eq(checkup.text());
    }
}
