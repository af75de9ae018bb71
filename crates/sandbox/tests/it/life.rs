//! How commands start, speak and end.

use quire_protocol::{ProcessEnd, ProcessEvent, Sandbox, SandboxError, SandboxMode, Wall};

use crate::world::{World, finish, read, run, until};

#[test]
fn output_and_exit_code_arrive() {
    run(async {
        let world = World::new();
        let outcome = world.shell("echo out; echo err >&2; pwd; exit 3").await;
        let workspace = world.workspace().canonicalize().expect("a path");
        assert_eq!(outcome.text, format!("out\nerr\n{}\n", workspace.display()));
        assert_eq!(outcome.end, ProcessEnd::Exited(3));
    });
}

#[test]
fn a_signal_is_told() {
    run(async {
        let world = World::new();
        let outcome = world.shell("kill -TERM $$").await;
        assert_eq!(outcome.end, ProcessEnd::Signalled(15));
    });
}

#[test]
fn ended_is_answered_again() {
    run(async {
        let world = World::new();
        let process = world.spawn(&["true"]).await.expect("starts");
        for _ in 0..3 {
            assert_eq!(
                process.next().await,
                ProcessEvent::Ended(ProcessEnd::Exited(0))
            );
        }
        process.kill().await;
    });
}

#[test]
fn what_cannot_start_says_why() {
    run(async {
        let world = World::new();
        for (argv, wanted) in [
            (vec!["no-such-program"], "No such file"),
            (vec!["/etc/passwd"], "Permission denied"),
            (vec![], "no program"),
        ] {
            match world.spawn(&argv).await {
                Err(SandboxError::NotStarted { reason, .. }) => {
                    assert!(reason.contains(wanted), "{argv:?}: {reason}");
                }
                Err(other) => panic!("{argv:?}: {other}"),
                Ok(_) => panic!("{argv:?} started"),
            }
        }
        let mut command = world.command(&["true"]);
        command.directory = world.path("nowhere");
        assert!(world.spawner.spawn(command).await.is_err());
        let long = "x".repeat(300_000);
        assert!(world.spawn(&["echo", &long]).await.is_err());
        assert_eq!(world.run(&["true"]).await.end, ProcessEnd::Exited(0));
    });
}

#[test]
fn secrets_of_the_environment_stay_behind() {
    run(async {
        let mut world = World::new();
        let outcome = world.run(&["env"]).await;
        assert!(!outcome.text.contains("SECRET"), "{}", outcome.text);
        assert!(outcome.text.contains("TMPDIR=/tmp\n"), "{}", outcome.text);
        world.policy.environment = vec!["API_KEY".to_owned()];
        assert!(world.run(&["env"]).await.text.contains("API_KEY=SECRET"));
    });
}

#[test]
fn a_command_has_variables_of_its_own() {
    run(async {
        let mut worlds = crate::ladder::worlds();
        let mut open = World::new();
        open.policy.sandbox = SandboxMode::Off;
        worlds.push((Wall::Off, open));
        for (wall, mut world) in worlds {
            world.policy.environment = vec!["API_KEY".to_owned()];
            let mut command = world.command(&["env"]);
            let own = [("OWN", "a=b\nc"), ("API_KEY", "OTHER"), ("EMPTY", "")];
            let own = own.into_iter().chain([("TMPDIR", "/nowhere")]);
            command.variables = own
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect();
            let process = world.spawner.spawn(command.clone()).await.expect("starts");
            let text = finish(&*process).await.text;
            for line in ["OWN=a=b\nc\n", "API_KEY=OTHER\n", "\nEMPTY=\n"] {
                assert!(text.contains(line), "{wall:?}: {text}");
            }
            assert!(!text.contains("SECRET"), "{wall:?}: {text}");
            // Where there is a wall, it is the sandbox that knows what can be written.
            let is_moved = text.contains("TMPDIR=/nowhere\n");
            assert_eq!(is_moved, wall == Wall::Off, "{wall:?}: {text}");
            let next = world.run(&["env"]).await.text;
            assert!(next.contains("API_KEY=SECRET\n"), "{wall:?}: {next}");
            assert!(!next.contains("OWN="), "{wall:?}: {next}");
            assert!(!next.contains("EMPTY="), "{wall:?}: {next}");
            for (name, value) in [("", "x"), ("A=B", "x"), ("A\0", "x"), ("A", "x\0--bind")] {
                command.variables = vec![(name.to_owned(), value.to_owned())];
                match world.spawner.spawn(command.clone()).await {
                    Err(SandboxError::NotStarted { reason, .. }) => {
                        assert!(reason.contains("variable"), "{wall:?}: {reason}");
                    }
                    Err(other) => panic!("{wall:?}: {other}"),
                    Ok(_) => panic!("{wall:?}: {name:?} was set"),
                }
            }
        }
    });
}

async fn daemon_dies_with_its_command(world: &World) {
    let beat = world.workspace().join("beat");
    let text = beat.to_string_lossy().into_owned();
    let outcome = world.run(&[&world.program(), "try", "daemon", &text]).await;
    assert_eq!(outcome.end, ProcessEnd::Exited(0));
    assert!(beat.exists(), "the daemon never ran");
    assert_eq!(count(&text), 0, "the daemon still runs");
}

#[test]
fn a_daemon_dies_with_its_command() {
    run(async {
        daemon_dies_with_its_command(&World::new()).await;
    });
}

#[test]
fn a_daemon_dies_with_its_command_without_a_wall() {
    run(async {
        let mut world = World::new();
        world.policy.sandbox = SandboxMode::Off;
        daemon_dies_with_its_command(&world).await;
    });
}

#[test]
fn kill_returns_when_the_whole_tree_is_dead() {
    run(async {
        for mode in [SandboxMode::WorkspaceWrite, SandboxMode::Off] {
            let mut world = World::new();
            world.policy.sandbox = mode;
            let beat = world.workspace().join("beat");
            let text = beat.to_string_lossy().into_owned();
            let writers = format!("while :; do echo x >> {text}; done");
            let script =
                format!("for i in 1 2 3; do (setsid sh -c '{writers}' &) ; done; sleep 100");
            let process = world.spawn(&["sh", "-c", &script]).await.expect("starts");
            until("a beat", || read(&beat).len() > 10).await;
            assert!(count(&text) >= 2, "{mode:?}: the shells are not seen");
            process.kill().await;
            assert_eq!(count(&text), 0, "{mode:?}: something still runs");
            assert_eq!(finish(&*process).await.end, ProcessEnd::Signalled(9));
        }
    });
}

#[test]
fn dropping_a_command_kills_it() {
    run(async {
        let world = World::new();
        let process = world
            .spawn(&["sh", "-c", "echo $$; exec sleep 1000.4242"])
            .await;
        let process = process.expect("starts");
        assert!(matches!(process.next().await, ProcessEvent::Output(_)));
        drop(process);
        until("its death", || count("1000.4242") == 0).await;
    });
}

/// How many processes have this in their command line.
pub(crate) fn count(needle: &str) -> usize {
    let processes = std::fs::read_dir("/proc").expect("/proc").flatten();
    let found = processes.filter(|entry| {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        line.windows(needle.len())
            .any(|part| part == needle.as_bytes())
    });
    found.count()
}

#[test]
fn fifty_commands_at_once() {
    run(async {
        let world = World::new();
        let mut processes = Vec::new();
        for number in 0..50 {
            let script = format!("echo {number}; exit {}", number % 7);
            processes.push(world.spawn(&["sh", "-c", &script]).await.expect("starts"));
        }
        for (number, process) in processes.iter().enumerate() {
            let outcome = finish(&**process).await;
            assert_eq!(outcome.text, format!("{number}\n"));
            assert_eq!(
                outcome.end,
                ProcessEnd::Exited(i32::try_from(number % 7).expect("small"))
            );
        }
    });
}

#[test]
fn a_hundred_megabytes_of_output_pass_in_small_pieces() {
    run(async {
        let world = World::new();
        let process = world
            .spawn(&["head", "-c", "100000000", "/dev/zero"])
            .await
            .expect("starts");
        let (mut bytes, mut largest) = (0, 0);
        loop {
            match process.next().await {
                ProcessEvent::Output(more) | ProcessEvent::Errors(more) => {
                    bytes += more.len();
                    largest = largest.max(more.len());
                }
                ProcessEvent::Ended(end) => {
                    assert_eq!(end, ProcessEnd::Exited(0));
                    break;
                }
            }
        }
        assert_eq!(bytes, 100_000_000);
        assert!(largest <= 64 * 1024);
    });
}

#[test]
fn two_hundred_commands_in_a_row() {
    run(async {
        let world = World::new();
        world.run(&["true"]).await;
        let start = std::time::Instant::now();
        for number in 0..200 {
            let outcome = world.run(&["echo", &number.to_string()]).await;
            assert_eq!(outcome.end, ProcessEnd::Exited(0));
            assert_eq!(outcome.text, format!("{number}\n"));
        }
        println!("{:?} per command", start.elapsed() / 200);
    });
}

#[test]
fn a_command_that_leaves_the_sandbox_is_not_led_into_what_others_may_write() {
    run(async {
        let mut world = World::new();
        world.policy.sandbox = quire_protocol::SandboxMode::Off;
        let mut command = world.command(&["sh", "-c", "echo \"<${PYTHONPATH-unset}>\""]);
        let led = world.spawner.spawn(command.clone()).await.expect("starts");
        assert!(finish(&*led).await.text.contains("workspace/lib"));
        command.distrusted = vec![world.workspace()];
        let process = world.spawner.spawn(command.clone()).await.expect("starts");
        assert_eq!(finish(&*process).await.text, "<unset>\n");
        // Nor by a variable of its own.
        let place = world
            .workspace()
            .join("other")
            .to_string_lossy()
            .into_owned();
        command.variables = vec![("PYTHONPATH".to_owned(), place)];
        let process = world.spawner.spawn(command).await.expect("starts");
        assert_eq!(finish(&*process).await.text, "<unset>\n");
    });
}
