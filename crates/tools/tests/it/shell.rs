//! The shell and its jobs with real processes.

use std::time::{Duration, Instant};

use quire_protocol::{
    CommandEnd, JobEnd, JobId, Phase, Policy, SandboxMode, ToolSet as _, ToolStatus,
};
use serde_json::json;

use crate::world::{World, policy, text};

/// Lets other tasks run until something holds.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn ordinary_commands() {
    let world = World::claude();
    std::fs::create_dir(world.at("sub")).unwrap();
    for (arguments, shown) in [
        (json!({"command": "echo hi; echo err >&2"}), "hi\nerr"),
        (json!({"command": "true"}), "(no output)"),
        (json!({"command": "echo no; exit 3"}), "no\n[exit code 3]"),
        (
            json!({"command": "kill -9 $$"}),
            "[killed by signal 9 (SIGKILL)]",
        ),
        (
            json!({"command": "basename $PWD", "directory": "sub"}),
            "sub",
        ),
        (json!({"command": "cat; echo end"}), "end"),
        (
            json!({"command": r"printf '\033[31mred\033[0m\n10%%\r99%%\n'"}),
            "red\n99%",
        ),
        (
            json!({"command": r"printf 'caf\351\n'"}),
            "caf\u{fffd}\n[some bytes were not UTF-8 text and are shown as \u{fffd}]",
        ),
    ] {
        assert_eq!(world.done("bash", &arguments).await, shown, "{arguments}");
    }
    let said = world
        .failed("bash", json!({"command": "ls", "directory": "sbu"}))
        .await;
    assert_eq!(said, "sbu does not exist. Near: sub");
}

#[tokio::test]
async fn how_a_command_ended_and_how_much_it_printed_are_data() {
    let world = World::claude();
    let exited = |code| CommandEnd::Exited { code };
    for (arguments, end, lines) in [
        (json!({"command": "seq 1 200000"}), exited(0), 200_000),
        (json!({"command": "echo '[exit code 3]'"}), exited(0), 1),
        (
            json!({"command": "printf 'a\\n\\nb'; exit 3"}),
            exited(3),
            3,
        ),
        (json!({"command": "true"}), exited(0), 0),
        (
            json!({"command": "kill -9 $$"}),
            CommandEnd::Signalled { signal: 9 },
            0,
        ),
    ] {
        let outcome = world.run("bash", &arguments).await;
        assert_eq!(
            (outcome.end, outcome.lines),
            (Some(end), Some(lines)),
            "{arguments}"
        );
    }
    let refused = world.run("bash", json!({"command": "x", "directory": "no"}));
    let refused = refused.await;
    assert_eq!((refused.end, refused.lines), (None, None));
}

#[tokio::test]
async fn both_dialects_have_a_shell() {
    let world = World::gpt();
    assert_eq!(
        world
            .done("shell", json!({"command": ["bash", "-lc", "echo hi"]}))
            .await,
        "hi"
    );
}

#[tokio::test]
async fn output_is_shown_live_and_seldom() {
    let world = World::claude();
    let started = world.call(
        "bash",
        // A moment, so that what comes after it is another piece.
        json!({"command": "echo first; sleep 0.3; head -c 3000000 /dev/zero | tr '\\0' '\\n'; echo last"}),
    );
    world.start(started).await;
    let live = world.live.lock().unwrap();
    assert!(live[0].starts_with("first\n"));
    assert!(live.last().unwrap().ends_with("last\n"));
    assert!(live.len() < 60, "{} pieces", live.len());
    assert!(live.iter().all(|piece| piece.len() <= 16 * 1024));
}

#[tokio::test]
async fn a_timeout_kills_the_tree_and_keeps_what_there_was() {
    let world = World::claude();
    let command = "echo begun; sleep 1000 & echo $! > pid; wait";
    let outcome = world
        .run("bash", json!({"command": command, "timeout_s": 1}))
        .await;
    assert_eq!(outcome.status, ToolStatus::Failed);
    assert!(
        text(&outcome).starts_with("begun\n[timed out after 1 s and was killed"),
        "{outcome:?}"
    );
    let end = CommandEnd::TimedOut { after_s: 1 };
    assert_eq!((outcome.end, outcome.lines), (Some(end), Some(1)));
    let pid = world.get("pid");
    let gone = || {
        // A killed child without a parent may stay as a zombie for a moment.
        std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()))
            .map_or(true, |stat| stat.contains(") Z "))
    };
    until("the child is dead", gone).await;
}

#[tokio::test]
async fn cancelling_kills_and_answers() {
    let world = World::claude();
    let call = world.call(
        "bash",
        json!({"command": "echo begun; touch ready; sleep 1000"}),
    );
    let id = call.call;
    let running = tokio::spawn(world.start(call));
    until("it runs", || world.at("ready").exists()).await;
    world.tools.cancel(id).await;
    let outcome = running.await.unwrap();
    assert_eq!(outcome.status, ToolStatus::Cancelled);
    assert_eq!(text(&outcome), "begun\n[stopped; it may have run in part]");
    world.tools.cancel(id).await;
}

#[tokio::test]
async fn endless_output_does_not_starve_a_stop() {
    let world = World::claude();
    let call = world.call("bash", json!({"command": "yes", "timeout_s": 1}));
    let outcome = world.start(call).await;
    assert_eq!(outcome.status, ToolStatus::Failed);
    assert!(text(&outcome).contains("timed out"), "{outcome:?}");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn huge_output_is_cut_for_the_model_and_kept_in_flat_memory() {
    let world = World::claude();
    let before = crate::world::peak_memory();
    let shown = world
        .done(
            "bash",
            json!({"command": "seq 1 5; yes | head -c 400000000; echo the end"}),
        )
        .await;
    let grown = crate::world::peak_memory() - before;
    assert!(grown < 200_000_000, "memory grew by {grown} bytes");
    assert!(shown.len() < 17_000, "{}", shown.len());
    assert!(shown.starts_with("1\n2\n3\n4\n5\ny\n") && shown.ends_with("y\nthe end"));
    assert!(
        shown.contains("bytes left out; its first 67.1 MB are kept"),
        "{shown}"
    );
}

#[tokio::test]
async fn long_output_can_be_read_by_its_handle() {
    let world = World::claude();
    let shown = world.done("bash", json!({"command": "seq 1 50000"})).await;
    let note = shown.lines().find(|line| line.starts_with("[… ")).unwrap();
    assert!(
        note.contains("bytes left out, lines 1860 to 48635 ")
            && note.contains("of 50000; to see them read or search path"),
        "{note}"
    );
    let handle = note.split('"').nth(1).unwrap();
    for handle in [handle, &handle[..17]] {
        let lines = world
            .done(
                "read",
                json!({"path": handle, "offset": 25_000, "limit": 2}),
            )
            .await;
        assert_eq!(
            lines,
            "25000\t25000\n25001\t25001\n[there is more: offset 25002]\n"
        );
    }
    let said = world
        .failed("read", json!({"path": "blob:0000000000000000"}))
        .await;
    assert!(said.contains("copy the handle exactly"), "{said}");
}

#[tokio::test]
async fn long_output_can_be_searched_by_its_handle() {
    let world = World::claude();
    let command = "seq 1 30000; printf '\\033[31mer\\033[0mror: broken\\n'; seq 30002 60000";
    let shown = world.done("bash", json!({"command": command})).await;
    let handle = shown.split('"').nth(1).unwrap();
    let found = world
        .done(
            "search",
            json!({"pattern": "^error", "path": handle, "context": 1}),
        )
        .await;
    let lines = "30000-30000\n30001:error: broken\n30002-30002\n";
    assert_eq!(found, format!("{handle}\n{lines}"));
    let line = json!({"path": handle, "offset": 30_001, "limit": 1});
    let read = world.done("read", line).await;
    assert!(read.starts_with("30001\terror: broken\n"), "{read}");
    let short = &handle[..17];
    let none = json!({"pattern": "nowhere", "path": short});
    assert_eq!(world.done("search", none).await, "No matches\n");
    let unknown = json!({"pattern": "x", "path": "blob:0000000000000000"});
    let said = world.failed("search", unknown).await;
    assert!(said.contains("copy the handle exactly"), "{said}");
}

#[tokio::test]
async fn jobs_are_polled_and_killed() {
    let world = World::claude();
    let outcome = world
        .run(
            "bash",
            json!({"command": "echo up; touch ready; sleep 1000", "background": true}),
        )
        .await;
    assert_eq!(
        (outcome.status, outcome.job),
        (ToolStatus::Done, Some(JobId(1)))
    );
    until("it runs", || world.at("ready").exists()).await;
    let mut seen = String::new();
    for _ in 0..1000 {
        seen = world.done("job", json!({"action": "poll", "job": 1})).await;
        if seen.contains("up") {
            break;
        }
    }
    assert!(
        seen.starts_with("Job 1 runs for ") && seen.ends_with(" s\nup"),
        "{seen}"
    );
    let seen = world
        .done("job", json!({"action": "poll", "job": "1"}))
        .await;
    assert!(seen.ends_with("(no new output)"), "{seen}");
    let seen = world.done("job", json!({"action": "list"})).await;
    assert!(seen.ends_with("echo up; touch ready; sleep 1000"), "{seen}");
    let seen = world.done("job", json!({"action": "kill", "job": 1})).await;
    assert_eq!(seen, "Job 1 ended: killed\n(no new output)");
    let end = world.tools.job_ended().await;
    assert_eq!(
        end,
        JobEnd {
            job: JobId(1),
            outcome: "killed".to_owned()
        }
    );
    let said = world
        .failed("job", json!({"action": "poll", "job": 9}))
        .await;
    assert_eq!(said, "there is no job 9; there are: 1");
}

#[tokio::test]
async fn a_job_that_ends_is_announced_once() {
    let world = World::claude();
    world
        .done(
            "bash",
            json!({"command": "echo out; exit 4", "background": true}),
        )
        .await;
    let seen = world
        .done("job", json!({"action": "poll", "job": 1, "wait_s": 60}))
        .await;
    assert_eq!(seen, "Job 1 ended: exit code 4\nout");
    assert_eq!(world.tools.stop_jobs().await, []);
    assert_eq!(world.tools.job_ended().await.outcome, "exit code 4");
}

#[tokio::test]
async fn stopping_jobs_kills_all_and_says_how_they_ended() {
    let world = World::claude();
    for _ in 0..2 {
        world
            .done("bash", json!({"command": "sleep 1000", "background": true}))
            .await;
    }
    let ends = world.tools.stop_jobs().await;
    let ends: Vec<(u32, &str)> = ends
        .iter()
        .map(|end| (end.job.0, end.outcome.as_str()))
        .collect();
    assert_eq!(ends, [(1, "killed"), (2, "killed")]);
    assert_eq!(world.tools.stop_jobs().await, []);
}

#[tokio::test]
async fn jobs_die_with_their_toolbox() {
    let world = World::claude();
    world
        .done("bash", json!({"command": "sleep 1000", "background": true}))
        .await;
    let ended = world.tools.job_ended();
    drop(world);
    assert_eq!(ended.await.outcome, "killed");
}

#[tokio::test]
async fn the_policy_goes_with_the_command() {
    let mut world = World::claude();
    world.done("bash", json!({"command": "true"})).await;
    world
        .done(
            "bash",
            json!({"command": "true", "outside_sandbox": "needs the network"}),
        )
        .await;
    world.policy.approvals = quire_protocol::ApprovalMode::Never;
    let outcome = world
        .run(
            "bash",
            json!({"command": "true", "outside_sandbox": "please"}),
        )
        .await;
    assert_eq!(outcome.status, ToolStatus::Denied);
    let spawned = world.spawned.lock().unwrap();
    let modes: Vec<SandboxMode> = spawned
        .iter()
        .map(|command| command.policy.sandbox)
        .collect();
    assert_eq!(modes, [SandboxMode::WorkspaceWrite, SandboxMode::Off]);
    // What a confined command put into the workspace is not found under an approved name.
    let workspace = world.at("").canonicalize().unwrap();
    assert_eq!(spawned[1].distrusted, [workspace]);
    assert!(spawned[0].distrusted.is_empty());
    assert!(spawned[0].argv[0].ends_with("sh") && spawned[0].argv[1] == "-c");
}

#[tokio::test]
async fn what_was_let_run_before_planning_began_is_read_only_or_refused_when_it_starts() {
    let mut world = World::claude();
    for sandbox in [SandboxMode::WorkspaceWrite, SandboxMode::Off] {
        world.policy = Policy {
            phase: Phase::Plan,
            writable: vec!["/srv".into()],
            ..policy(sandbox)
        };
        world.done("bash", json!({"command": "true"})).await;
        let spawned = world.spawned.lock().unwrap().pop().unwrap();
        assert_eq!(spawned.policy.sandbox, SandboxMode::ReadOnly);
        assert!(spawned.policy.writable.is_empty());
        let outside = json!({"command": "true", "outside_sandbox": "why not"});
        let outcome = world.run("bash", outside).await;
        assert_eq!(outcome.status, ToolStatus::Denied);
        assert!(world.spawned.lock().unwrap().is_empty());
        let told = world
            .failed("write", json!({"path": "a", "content": "b"}))
            .await;
        assert!(told.contains("plan mode"), "{told}");
        assert!(!world.at("a").exists());
    }
}
