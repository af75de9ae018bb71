//! Servers that are processes: what starts them, and what confines them.

use std::fmt;
use std::path::PathBuf;

use quire_protocol::{Command, Policy, ProcessLimits, SandboxMode, Streams, spelled, visible};

use crate::described::Ground;

/// CPU seconds of a server: it may be at work for as long as a session, which is days.
const CPU_SECONDS: u64 = 30 * 24 * 3600;

/// A server that is started as a process.
#[derive(Clone, PartialEq, Eq)]
pub struct Program {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Where it is started, absolute; absent for the workspace.
    pub directory: Option<PathBuf>,
    /// Names of environment variables that it gets besides those of the session's commands.
    pub environment: Vec<String>,
    /// Variables that it has: name and value.
    pub variables: Vec<(String, String)>,
    /// Domains that it may reach besides those of the session's commands.
    pub domains: Vec<String>,
    /// Folders that it may write besides those of the session's commands.
    pub writable: Vec<PathBuf>,
    /// What confines it.
    pub confinement: Confinement,
}

impl fmt::Debug for Program {
    /// Without the values of variables: they may be secrets.
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.variables.iter().map(|it| it.0.as_str()).collect();
        to.debug_struct("Program")
            .field("argv", &self.argv)
            .field("directory", &self.directory)
            .field("environment", &self.environment)
            .field("variables", &names)
            .field("domains", &self.domains)
            .field("writable", &self.writable)
            .field("confinement", &self.confinement)
            .finish()
    }
}

/// What confines a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confinement {
    /// What confines the session's commands, but for what the server's description adds.
    Session,
    /// Nothing.
    Off,
}

impl Program {
    /// The policy of its process under the session's.
    pub(crate) fn policy(&self, session: &Policy) -> Policy {
        let works = session.phase.is_work();
        let mut policy = session.in_force();
        add(&mut policy.environment, &self.environment);
        add(&mut policy.domains, &self.domains);
        if works {
            add(&mut policy.writable, &self.writable);
        }
        if self.confinement == Confinement::Off {
            policy.sandbox = SandboxMode::Off;
        }
        policy
    }

    /// The command that starts it under the session's policy.
    pub(crate) fn command(&self, ground: &Ground, session: &Policy) -> Command {
        let policy = self.policy(session);
        let mut distrusted = Vec::new();
        if policy.sandbox == SandboxMode::Off && session.sandbox != SandboxMode::Off {
            distrusted.push(ground.workspace.clone());
            distrusted.extend(session.writable.iter().cloned());
        }
        Command {
            argv: self.argv.clone(),
            directory: self.directory.as_ref().unwrap_or(&ground.workspace).clone(),
            workspace: ground.workspace.clone(),
            policy,
            limits: ProcessLimits {
                cpu_seconds: CPU_SECONDS,
                ..ProcessLimits::default()
            },
            distrusted,
            variables: self.variables.clone(),
            streams: Streams::Apart,
        }
    }

    /// What it reaches that commands under this policy do not, in short lines.
    pub(crate) fn reaches(&self, session: &Policy) -> Vec<String> {
        let mut lines = Vec::new();
        // While it is planned or looked at, commands are confined whatever else is said.
        if session.in_force().sandbox != SandboxMode::Off {
            if self.confinement == Confinement::Off {
                lines.push("everything you may do yourself: your files, the network".to_owned());
            } else {
                let domains = beyond(&self.domains, &session.domains);
                lines.extend(domains.map(|domain| format!("reaches {}", visible(domain))));
                let folders = beyond(&self.writable, &session.writable);
                lines.extend(folders.map(|folder| format!("writes in {}", spelled(folder))));
            }
        }
        let alone = [&self.domains, &session.domains]
            .iter()
            .all(|list| list.is_empty());
        if alone && self.policy(session).sandbox != SandboxMode::Off {
            // What it has from them it can take nowhere.
            return lines;
        }
        let names = beyond(&self.environment, &session.environment);
        let set = self.variables.iter().map(|(name, _)| name);
        lines.extend(
            names
                .chain(set)
                .map(|name| format!("has {}", visible(name))),
        );
        lines
    }
}

/// What of a policy confines a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Walls(SandboxMode, Vec<String>, Vec<PathBuf>, Vec<String>);

impl Walls {
    pub(crate) fn of(policy: &Policy) -> Self {
        let policy = policy.clone();
        if policy.sandbox == SandboxMode::Off {
            let (domains, writable) = (Vec::new(), Vec::new());
            return Self(policy.sandbox, domains, writable, policy.environment);
        }
        Self(
            policy.sandbox,
            policy.domains,
            policy.writable,
            policy.environment,
        )
    }
}

fn add<T: Clone + PartialEq>(to: &mut Vec<T>, more: &[T]) {
    for one in more {
        if !to.contains(one) {
            to.push(one.clone());
        }
    }
}

fn beyond<'a, T: PartialEq>(more: &'a [T], known: &'a [T]) -> impl Iterator<Item = &'a T> {
    more.iter().filter(|one| !known.contains(one))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use quire_protocol::{ApprovalMode, Phase, Sandbox};

    use super::*;

    fn session(sandbox: SandboxMode, phase: Phase) -> Policy {
        Policy {
            sandbox,
            approvals: ApprovalMode::Auto,
            rules: Vec::new(),
            domains: vec!["a.example".to_owned()],
            writable: vec!["/a".into()],
            environment: vec!["A".to_owned()],
            phase,
        }
    }

    fn server(confinement: Confinement) -> Program {
        Program {
            directory: None,
            argv: vec!["s".to_owned()],
            environment: vec!["A".to_owned(), "B".to_owned()],
            variables: vec![("C".to_owned(), "secret".to_owned())],
            domains: vec!["a.example".to_owned(), "b.example".to_owned()],
            writable: vec!["/a".into(), "/b".into()],
            confinement,
        }
    }

    #[test]
    fn a_server_is_confined_as_the_session_is_and_reaches_what_is_described_too() {
        use SandboxMode::{Off, ReadOnly, WorkspaceWrite};
        let both: &[&str] = &["/a", "/b"];
        for (confinement, sandbox, phase, mode, writable) in [
            (
                Confinement::Session,
                WorkspaceWrite,
                Phase::Work,
                WorkspaceWrite,
                both,
            ),
            (Confinement::Session, ReadOnly, Phase::Work, ReadOnly, both),
            (Confinement::Session, Off, Phase::Work, Off, both),
            (
                Confinement::Session,
                WorkspaceWrite,
                Phase::Plan,
                ReadOnly,
                &[],
            ),
            (Confinement::Session, Off, Phase::Look, ReadOnly, &[]),
            (Confinement::Off, WorkspaceWrite, Phase::Work, Off, both),
            (Confinement::Off, WorkspaceWrite, Phase::Plan, Off, &[]),
        ] {
            let policy = server(confinement).policy(&session(sandbox, phase));
            let case = format!("{confinement:?} {sandbox:?} {phase:?}");
            assert_eq!(policy.sandbox, mode, "{case}");
            let writable: Vec<PathBuf> = writable.iter().map(PathBuf::from).collect();
            assert_eq!(policy.writable, writable, "{case}");
            assert_eq!(policy.domains, ["a.example", "b.example"], "{case}");
            assert_eq!(policy.environment, ["A", "B"], "{case}");
        }
    }

    #[test]
    fn only_what_confines_makes_another_wall() {
        let work = session(SandboxMode::WorkspaceWrite, Phase::Work);
        let walls = |policy: &Policy| Walls::of(&server(Confinement::Session).policy(policy));
        let same = Policy {
            approvals: ApprovalMode::Never,
            ..work.clone()
        };
        assert_eq!(walls(&work), walls(&same));
        let plan = Policy {
            phase: Phase::Plan,
            ..work.clone()
        };
        assert_ne!(walls(&work), walls(&plan));
        let others: [fn(&mut Policy); 3] = [
            |policy| policy.writable.push("/c".into()),
            |policy| policy.domains.push("c.example".to_owned()),
            |policy| policy.environment.push("C".to_owned()),
        ];
        for other in others {
            let mut policy = work.clone();
            other(&mut policy);
            assert_ne!(walls(&work), walls(&policy), "{policy:?}");
        }
        let open = Walls::of(&server(Confinement::Off).policy(&work));
        assert_eq!(open, Walls::of(&server(Confinement::Off).policy(&plan)));
    }

    #[test]
    fn a_server_that_leaves_the_sandbox_is_led_to_no_folder_that_commands_write() {
        struct Nothing;
        impl Sandbox for Nothing {
            fn report(&self, _: &Policy) -> quire_protocol::SandboxReport {
                unreachable!()
            }
            fn spawn(
                &self,
                _: Command,
            ) -> futures_core::future::BoxFuture<
                '_,
                Result<Arc<dyn quire_protocol::Process>, quire_protocol::SandboxError>,
            > {
                unreachable!()
            }
        }
        let ground = Ground {
            workspace: "/work".into(),
            policy: session(SandboxMode::WorkspaceWrite, Phase::Work),
            sandbox: Arc::new(Nothing),
            proxies: quire_net::Proxies::default(),
        };
        let distrusted = |confinement| {
            let command = server(confinement).command(&ground, &ground.policy);
            assert!(command.limits.cpu_seconds > 24 * 3600);
            command.distrusted
        };
        assert!(distrusted(Confinement::Session).is_empty());
        assert_eq!(
            distrusted(Confinement::Off),
            [PathBuf::from("/work"), "/a".into()]
        );
    }

    #[test]
    fn values_of_variables_are_not_shown() {
        let shown = format!("{:?}", server(Confinement::Session));
        assert!(
            shown.contains("[\"C\"]") && !shown.contains("secret"),
            "{shown}"
        );
    }

    #[test]
    fn what_a_server_reaches_besides_is_told_without_secrets() {
        let work = session(SandboxMode::WorkspaceWrite, Phase::Work);
        assert_eq!(
            server(Confinement::Session).reaches(&work),
            ["reaches b.example", "writes in /b", "has B", "has C"]
        );
        assert_eq!(
            server(Confinement::Off).reaches(&work),
            [
                "everything you may do yourself: your files, the network",
                "has B",
                "has C"
            ]
        );
        let off = session(SandboxMode::Off, Phase::Work);
        assert_eq!(server(Confinement::Off).reaches(&off), ["has B", "has C"]);
        for phase in [Phase::Plan, Phase::Look] {
            // Commands are confined then, and a server that nothing confines is not.
            let now = session(SandboxMode::Off, phase);
            for confinement in [Confinement::Off, Confinement::Session] {
                let server = server(confinement);
                assert_eq!(server.reaches(&now), server.reaches(&work), "{phase:?}");
            }
        }
    }
}
