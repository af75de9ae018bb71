//! Which wall stands, and that it is told and never lowered.

use quire_protocol::{ProcessEnd, Sandbox, SandboxError, SandboxMode, Wall};

use crate::world::{World, read, run};

/// Walls that this machine gives, each with a world behind it.
pub(crate) fn worlds() -> Vec<(Wall, World)> {
    let all = [Wall::Cell, Wall::Bubblewrap, Wall::Landlock];
    let worlds = all.map(|wall| (wall, World::with_wall(Some(wall))));
    let stands = |world: &World, wall| world.spawner.report(&world.policy).wall == wall;
    worlds
        .into_iter()
        .filter(|(wall, world)| stands(world, *wall))
        .collect()
}

#[test]
fn every_wall_that_stands_runs_commands() {
    run(async {
        let worlds = worlds();
        assert!(!worlds.is_empty(), "no wall stands on this machine");
        for (wall, world) in worlds {
            std::fs::write(world.workspace().join("seen"), "here").expect("a file");
            drop(world.run(&["true"]).await);
            let outcome = world
                .shell("cat seen && pwd && echo more >> seen && cat seen")
                .await;
            assert_eq!(
                outcome.end,
                ProcessEnd::Exited(0),
                "{wall:?}: {}",
                outcome.text
            );
            assert!(
                outcome.text.ends_with("heremore\n"),
                "{wall:?}: {}",
                outcome.text
            );
        }
    });
}

#[test]
fn the_strongest_wall_is_chosen_and_told_with_its_layers() {
    let world = World::new();
    let strongest = worlds()[0].0;
    let report = world.spawner.report(&world.policy);
    assert_eq!(report.wall, strongest);
    for name in [
        "mounts",
        "network",
        "pid namespace",
        "seccomp",
        "landlock",
        "cgroup",
    ] {
        assert!(
            report.layers.iter().any(|layer| layer.name == name),
            "{name}: {report:#?}"
        );
    }
    println!("{report:#?}");
}

#[test]
fn off_is_told_as_off() {
    let mut world = World::new();
    world.policy.sandbox = SandboxMode::Off;
    assert_eq!(world.spawner.report(&world.policy).wall, Wall::Off);
}

#[test]
fn a_wall_that_cannot_be_had_is_a_refusal() {
    run(async {
        let world = World::with_wall(Some(Wall::Seatbelt));
        assert_eq!(world.spawner.report(&world.policy).wall, Wall::Refused);
        match world.spawn(&["true"]).await {
            Err(SandboxError::Refused(_)) => {}
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("it ran"),
        }
    });
}

#[test]
fn a_workspace_that_cannot_be_protected_is_a_refusal() {
    run(async {
        let world = World::with_wall(Some(Wall::Cell));
        std::os::unix::fs::symlink("../outside", world.workspace().join(".git")).expect("a link");
        match world.spawn(&["true"]).await {
            Err(SandboxError::Refused(reason)) => assert!(reason.contains(".git"), "{reason}"),
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("it ran"),
        }
    });
}

#[test]
fn no_variable_of_a_command_is_obeyed_outside_of_the_walls() {
    run(async {
        for (wall, mut world) in worlds() {
            world.policy.environment = vec!["LD_PRELOAD".to_owned()];
            let outcome = world.run(&["env"]).await;
            assert_eq!(outcome.end, ProcessEnd::Exited(0), "{wall:?}");
            // The loader complains of what it cannot load: once, for the command itself.
            let complaints = outcome.text.matches("cannot be preloaded").count();
            assert_eq!(complaints, 1, "{wall:?}: {}", outcome.text);
            let variable = "LD_PRELOAD=/no-such-library.so\n";
            assert!(
                outcome.text.contains(variable),
                "{wall:?}: {}",
                outcome.text
            );
        }
    });
}

#[test]
fn a_read_only_policy_writes_nothing_but_temp() {
    run(async {
        for (wall, mut world) in worlds() {
            world.policy.sandbox = SandboxMode::ReadOnly;
            world.policy.writable = vec![world.path("outside"), world.workspace()];
            let outcome = world
                .shell(
                    "echo x > made; echo x > ../outside/file; echo x > ../outside/made; \
                     echo y > $TMPDIR/t && cat $TMPDIR/t",
                )
                .await;
            assert!(!world.workspace().join("made").exists(), "{wall:?}");
            assert!(!world.path("outside/made").exists(), "{wall:?}");
            assert_eq!(read(&world.path("outside/file")), "outside", "{wall:?}");
            assert!(outcome.text.ends_with("y\n"), "{wall:?}: {}", outcome.text);
            assert!(!world.workspace().join(".git").exists());
        }
    });
}

#[test]
fn other_folders_are_writable_when_the_policy_names_them() {
    run(async {
        for (wall, mut world) in worlds() {
            world.policy.writable = vec![world.path("outside")];
            let outcome = world.shell("echo changed > ../outside/file").await;
            assert_eq!(
                outcome.end,
                ProcessEnd::Exited(0),
                "{wall:?}: {}",
                outcome.text
            );
        }
    });
}

#[test]
fn a_workspace_below_tmp_and_one_in_a_hidden_folder_work() {
    run(async {
        let world = World::with_wall(Some(Wall::Cell));
        let below = tempfile::tempdir_in("/tmp").expect("a folder");
        let hidden = world.path("quire/worktree");
        std::fs::create_dir(&hidden).expect("a folder");
        let beside = tempfile::tempdir_in("/tmp").expect("a folder");
        let unseen = [beside.path().to_path_buf(), world.path("quire/config.toml")];
        for (folder, unseen) in [below.path(), &hidden].into_iter().zip(unseen) {
            let mut command = world.command(&["sh", "-c", "echo x > made; ls -A .."]);
            command.directory = folder.to_path_buf();
            command.workspace = folder.to_path_buf();
            let process = world.spawner.spawn(command).await.expect("starts");
            let outcome = crate::world::finish(&*process).await;
            let lists = |path: &std::path::Path| {
                let name = path.file_name().expect("a name").to_string_lossy();
                outcome.text.lines().any(|line| line == name)
            };
            assert!(lists(folder) && !lists(&unseen), "{}", outcome.text);
            assert!(folder.join("made").exists());
        }
    });
}

/// Runs a test's body on a thread of its own that may call less, as in a container. What it starts
/// may not either.
fn contained(filters: Vec<seccompiler::SeccompFilter>, body: impl Future<Output = ()> + Send) {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for filter in filters {
                let program: seccompiler::BpfProgram = filter.try_into().expect("a filter");
                seccompiler::apply_filter(&program).expect("it is imposed");
            }
            run(body);
        });
    });
}

/// Answers a call with an error, when one of these rules fits or there is none.
fn denial(
    call: libc::c_long,
    rules: Vec<seccompiler::SeccompRule>,
    error: libc::c_int,
) -> seccompiler::SeccompFilter {
    let action = seccompiler::SeccompAction::Errno(error.cast_unsigned());
    let architecture = std::env::consts::ARCH.try_into().expect("it is known");
    seccompiler::SeccompFilter::new(
        [(call, rules)].into(),
        seccompiler::SeccompAction::Allow,
        action,
        architecture,
    )
    .expect("a filter")
}

#[test]
fn where_containers_hide_clone3_the_same_wall_stands() {
    let strongest = worlds()[0].0;
    let hidden = denial(libc::SYS_clone3, Vec::new(), libc::ENOSYS);
    contained(vec![hidden], async {
        let mut world = World::new();
        assert_eq!(world.spawner.report(&world.policy).wall, strongest);
        let outcome = world.shell("echo here").await;
        assert_eq!(outcome.text, "here\n");
        world.policy.sandbox = SandboxMode::Off;
        assert_eq!(world.shell("echo here").await.text, "here\n");
    });
}

/// As Docker's default profile has it.
#[test]
fn where_containers_give_no_namespaces_either_landlock_stands() {
    use seccompiler::{SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompRule};
    let landlock = World::with_wall(Some(Wall::Landlock));
    if landlock.spawner.report(&landlock.policy).wall != Wall::Landlock {
        return;
    }
    let spaces = [
        libc::CLONE_NEWUSER,
        libc::CLONE_NEWNS,
        libc::CLONE_NEWPID,
        libc::CLONE_NEWNET,
    ];
    let rules = spaces.map(|flag| {
        let flag = u64::from(flag.cast_unsigned());
        let operator = SeccompCmpOp::MaskedEq(flag);
        let condition = SeccompCondition::new(0, SeccompCmpArgLen::Qword, operator, flag);
        SeccompRule::new(vec![condition.expect("a condition")]).expect("a rule")
    });
    let filters = vec![
        denial(libc::SYS_clone3, Vec::new(), libc::ENOSYS),
        denial(libc::SYS_clone, rules.into(), libc::EPERM),
        denial(libc::SYS_unshare, Vec::new(), libc::EPERM),
    ];
    contained(filters, async {
        let mut world = World::new();
        let report = world.spawner.report(&world.policy);
        assert_eq!(report.wall, Wall::Landlock, "{report:?}");
        std::fs::write(world.workspace().join("file"), "").expect("a file");
        drop(world.run(&["true"]).await);
        let outcome = world.shell("echo here; echo x > file; echo x > /x").await;
        assert!(outcome.text.starts_with("here\n"), "{outcome:?}");
        assert_eq!(read(&world.workspace().join("file")), "x\n");
        assert!(!std::path::Path::new("/x").exists());
        world.policy.sandbox = SandboxMode::Off;
        assert_eq!(world.shell("echo here").await.text, "here\n");
    });
}
