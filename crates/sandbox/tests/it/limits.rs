//! What bounds a command, and that it ends one that goes over.

use quire_protocol::{ProcessEnd, SandboxMode, Wall};

use crate::ladder::worlds;
use crate::world::{World, run};

#[test]
fn a_fork_bomb() {
    run(async {
        for (wall, mut world) in worlds() {
            world.limits.processes = 64;
            let outcome = world.run(&[&world.program(), "try", "forks"]).await;
            assert_eq!(outcome.end, ProcessEnd::OverLimit, "{wall:?}");
            assert_eq!(
                world.run(&["true"]).await.end,
                ProcessEnd::Exited(0),
                "{wall:?}"
            );
        }
    });
}

#[test]
fn a_memory_bomb() {
    run(async {
        for (wall, mut world) in worlds() {
            world.limits.memory_bytes = 96 << 20;
            // Each process stays below what one may have; together they are over.
            let program = world.program();
            let script = format!("for i in 1 2 3 4; do {program} try memory 60 & done; wait");
            let outcome = world.run(&["sh", "-c", &script]).await;
            assert_eq!(
                outcome.end,
                ProcessEnd::OverLimit,
                "{wall:?}: {}",
                outcome.text
            );
            let outcome = world.run(&[&world.program(), "try", "memory", "400"]).await;
            assert_ne!(outcome.end, ProcessEnd::Exited(0), "{wall:?}");
            assert_eq!(
                world.run(&["true"]).await.end,
                ProcessEnd::Exited(0),
                "{wall:?}"
            );
        }
    });
}

#[test]
fn a_full_temp_folder() {
    run(async {
        let mut world = World::with_wall(Some(Wall::Cell));
        world.limits.memory_bytes = 64 << 20;
        let outcome = world
            .shell("head -c 60000000 /dev/zero > /tmp/x; wc -c < /tmp/x")
            .await;
        assert!(outcome.text.contains("No space left"), "{}", outcome.text);
        let outcome = world
            .shell("head -c 10000 /dev/zero > /dev/x; head -c 600000000 /dev/zero > /dev/shm/x")
            .await;
        assert_ne!(outcome.end, ProcessEnd::Exited(0), "{}", outcome.text);
    });
}

#[test]
fn a_file_that_is_too_large() {
    run(async {
        for (wall, mut world) in worlds() {
            world.limits.file_bytes = 1 << 20;
            std::fs::write(world.workspace().join("large"), "").expect("a file");
            let outcome = world
                .run(&["sh", "-c", "exec head -c 3000000 /dev/zero > large"])
                .await;
            assert_ne!(outcome.end, ProcessEnd::Exited(0), "{wall:?}");
            let length = std::fs::metadata(world.workspace().join("large"))
                .expect("a file")
                .len();
            assert_eq!(length, 1 << 20, "{wall:?}");
        }
    });
}

#[test]
fn too_much_time_on_the_processor() {
    run(async {
        let mut world = World::new();
        world.limits.cpu_seconds = 1;
        let outcome = world.shell("while :; do :; done").await;
        assert_eq!(outcome.end, ProcessEnd::OverLimit);
    });
}

#[test]
fn limits_hold_without_a_wall_too() {
    run(async {
        let mut world = World::new();
        world.policy.sandbox = SandboxMode::Off;
        world.limits.processes = 64;
        let script = "i=0; while [ $i -lt 100 ]; do sleep 100 & i=$((i+1)); done; wait";
        let outcome = world.shell(script).await;
        assert_eq!(outcome.end, ProcessEnd::OverLimit, "{}", outcome.text);
    });
}

#[test]
fn the_supervisor_s_limits_are_its_own() {
    run(async {
        let world = World::with_wall(Some(quire_protocol::Wall::Cell));
        let own = world.shell("ulimit -n 100 && ulimit -n").await;
        assert_eq!(own.text, "100\n");
        let outcome = world
            .shell("prlimit --pid 1 --nofile=0:0 && echo done")
            .await;
        assert!(!outcome.text.contains("done"), "{}", outcome.text);
    });
}
