//! The supervisor that a cell keeps ready: that there is one, that it serves once, and when it dies.

use std::collections::HashMap;
use std::path::Path;

use quire_protocol::{ProcessEnd, SandboxMode, Wall};

use crate::escapes::{kill, spawner_of};
use crate::world::{World, finish, read, run, until};

/// Every process and its parent.
fn parents() -> HashMap<i32, i32> {
    let processes = std::fs::read_dir("/proc").expect("/proc").flatten();
    let entry = |entry: std::fs::DirEntry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let stat = read(&entry.path().join("stat"));
        let mut words = stat.rsplit_once(") ")?.1.split(' ');
        let (state, parent) = (words.next()?, words.next()?);
        (state != "Z").then_some((pid, parent.parse().ok()?))
    };
    processes.filter_map(entry).collect()
}

fn children(parent: i32) -> Vec<i32> {
    let mut found: Vec<i32> = parents()
        .into_iter()
        .filter_map(|(pid, other)| (other == parent).then_some(pid))
        .collect();
    found.sort_unstable();
    found
}

/// All that descend from a process.
pub(crate) fn descendants(root: i32) -> Vec<i32> {
    let parents = parents();
    let below = |pid: &i32| {
        std::iter::successors(Some(*pid), |pid| parents.get(pid).copied())
            .skip(1)
            .any(|ancestor| ancestor == root)
    };
    parents.keys().copied().filter(below).collect()
}

pub(crate) fn lives(pid: i32) -> bool {
    parents().contains_key(&pid)
}

/// A world whose cell has run a command and now keeps a spare.
struct Kept {
    world: World,
    spawner: i32,
    /// The cell's own process.
    cell: i32,
    /// The supervisor that waits.
    spare: i32,
}

impl Kept {
    /// `tag` is found in the command line of no other process.
    async fn new(mode: SandboxMode, tag: &str) -> Self {
        let mut world = World::new();
        world.policy.sandbox = mode;
        Self::of(world, tag).await
    }

    async fn of(world: World, tag: &str) -> Self {
        let process = world.spawn(&["sleep", tag]).await.expect("starts");
        let spawner = spawner_of(std::process::id(), tag).expect("a spawner");
        let supervisor = supervisor_of(tag);
        let cell = parents()[&supervisor];
        process.kill().await;
        assert_eq!(finish(&*process).await.end, ProcessEnd::Signalled(9));
        let spare = waiting(cell).await;
        assert_ne!(spare, supervisor);
        Self {
            world,
            spawner,
            cell,
            spare,
        }
    }
}

/// The parent of the process that has this in its command line.
fn supervisor_of(tag: &str) -> i32 {
    let tagged = |pid: &i32| read(Path::new(&format!("/proc/{pid}/cmdline"))).contains(tag);
    let parents = parents();
    let command = parents.keys().copied().find(tagged).expect("it runs");
    parents[&command]
}

/// Waits until a cell has nothing but one spare with its own child; tells the spare.
async fn waiting(cell: i32) -> i32 {
    let alone = || matches!(children(cell)[..], [spare] if children(spare).len() == 1);
    until("a spare", alone).await;
    children(cell)[0]
}

const MODES: [(SandboxMode, &str); 2] = [
    (SandboxMode::WorkspaceWrite, "confined"),
    (SandboxMode::Off, "open"),
];

fn tag(number: u32, name: &str) -> String {
    match name {
        "open" => format!("9{number}00.25"),
        _ => format!("8{number}00.25"),
    }
}

#[test]
fn a_spare_serves_one_command_and_is_replaced() {
    run(async {
        for (mode, name) in MODES {
            let kept = Kept::new(mode, &tag(1, name)).await;
            let tag = tag(2, name);
            let process = kept.world.spawn(&["sleep", &tag]).await.expect("starts");
            assert_eq!(supervisor_of(&tag), kept.spare, "{name}");
            let beside = kept.world.run(&["true"]).await;
            assert_eq!(beside.end, ProcessEnd::Exited(0), "{name}");
            process.kill().await;
            assert!(!lives(kept.spare), "{name}: it outlived its command");
            finish(&*process).await;
            assert_ne!(waiting(kept.cell).await, kept.spare, "{name}");
            for _ in 0..10 {
                kept.world.run(&["true"]).await;
            }
            waiting(kept.cell).await;
        }
    });
}

#[test]
fn a_spare_dies_with_the_sandbox() {
    run(async {
        for (mode, name) in MODES {
            let kept = Kept::new(mode, &tag(3, name)).await;
            let all = descendants(kept.spawner);
            assert!(all.contains(&kept.spare), "{name}");
            drop(kept.world.close());
            until("the end of everything", || {
                !all.iter().any(|pid| lives(*pid))
            })
            .await;
        }
    });
}

#[test]
fn a_spare_dies_with_the_spawner_and_the_next_command_has_another() {
    run(async {
        for (mode, name) in MODES {
            let kept = Kept::new(mode, &tag(4, name)).await;
            let all = descendants(kept.spawner);
            assert!(all.contains(&kept.spare), "{name}");
            assert!(kill(Some(kept.spawner)), "{name}");
            until("the end of everything", || {
                !all.iter().any(|pid| lives(*pid))
            })
            .await;
            let outcome = kept.world.run(&["true"]).await;
            assert_eq!(
                outcome.end,
                ProcessEnd::Exited(0),
                "{name}: another one is started"
            );
        }
    });
}

#[test]
fn a_spare_that_was_killed_is_done_without() {
    run(async {
        for (mode, name) in MODES {
            let kept = Kept::new(mode, &tag(5, name)).await;
            let all = descendants(kept.spare);
            assert!(kill(Some(kept.spare)), "{name}");
            until("its end", || {
                !lives(kept.spare) && !all.iter().any(|pid| lives(*pid))
            })
            .await;
            let outcome = kept.world.run(&["true"]).await;
            assert_eq!(outcome.end, ProcessEnd::Exited(0), "{name}");
            assert!(lives(kept.cell), "{name}: it is the same cell");
        }
    });
}

#[test]
fn a_stale_spare_is_discarded() {
    run(async {
        let world = crate::git::repository(Wall::Cell);
        let kept = Kept::of(world, &tag(6, "stale")).await;
        let workspace = kept.world.workspace();
        crate::git::git(&workspace, &["config", "a.b", "person"]);
        kept.world.shell("echo evil > .git/config").await;
        let config = read(&workspace.join(".git/config"));
        assert!(config.contains("person"), "{config}");
        assert!(!config.contains("evil"), "{config}");
        until("its end", || !lives(kept.spare) && !lives(kept.cell)).await;
    });
}

#[test]
fn a_spare_in_the_cell_of_a_running_command_is_discarded_too() {
    run(async {
        let world = crate::git::repository(Wall::Cell);
        let kept = Kept::of(world, &tag(7, "stale")).await;
        let sleep = kept.world.spawn(&["sleep", "100"]).await.expect("starts");
        kept.world.run(&["true"]).await;
        until("another spare", || children(kept.cell).len() == 2).await;
        crate::git::git(&kept.world.workspace(), &["worktree", "add", "-q", "tree"]);
        kept.world.run(&["true"]).await;
        until("its end", || children(kept.cell).len() == 1).await;
        sleep.kill().await;
        assert_eq!(finish(&*sleep).await.end, ProcessEnd::Signalled(9));
        assert!(children(kept.cell).is_empty(), "no spare of a stale cell");
    });
}

#[test]
fn limits_are_those_of_the_command() {
    run(async {
        for (mode, name) in MODES {
            let mut kept = Kept::new(mode, &tag(8, name)).await;
            for megabytes in [3_u64, 7, 3, 7] {
                kept.world.limits.file_bytes = megabytes << 20;
                kept.world.limits.cpu_seconds = megabytes * 10;
                let outcome = kept
                    .world
                    .run(&["bash", "-c", "ulimit -f; ulimit -t"])
                    .await;
                let wanted = format!("{}\n{}\n", megabytes * 1024, megabytes * 10);
                assert_eq!(outcome.text, wanted, "{name}");
            }
        }
    });
}

#[test]
fn limits_end_what_a_spare_runs() {
    run(async {
        let mut world = World::new();
        world.limits.processes = 64;
        world.limits.memory_bytes = 96 << 20;
        let kept = Kept::of(world, &tag(9, "limits")).await;
        let forks = kept
            .world
            .run(&[&kept.world.program(), "try", "forks"])
            .await;
        assert_eq!(forks.end, ProcessEnd::OverLimit);
        waiting(kept.cell).await;
        let program = kept.world.program();
        let script = format!("for i in 1 2 3 4; do {program} try memory 60 & done; wait");
        let memory = kept.world.run(&["sh", "-c", &script]).await;
        assert_eq!(memory.end, ProcessEnd::OverLimit, "{}", memory.text);
        waiting(kept.cell).await;
        let outcome = kept.world.run(&["true"]).await;
        assert_eq!(outcome.end, ProcessEnd::Exited(0));
    });
}
