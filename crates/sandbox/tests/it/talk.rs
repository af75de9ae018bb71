//! Processes that somebody talks to: what is written to them, and their two streams.

use std::io::ErrorKind;
use std::sync::Arc;

use quire_protocol::{Process, ProcessEnd, ProcessEvent, Sandbox, SandboxMode, Streams};
use tokio::time::timeout;

use crate::ladder::worlds;
use crate::life::count;
use crate::world::{PATIENCE, World, finish, run, until};

/// More than any pipe of this test holds.
const MUCH: usize = 1 << 20;

/// A world behind each wall that stands, and one without.
fn all() -> Vec<(String, World)> {
    let walls = worlds().into_iter();
    let mut all: Vec<_> = walls
        .map(|(wall, world)| (format!("{wall:?}"), world))
        .collect();
    assert!(!all.is_empty(), "no wall stands on this machine");
    let mut open = World::new();
    open.policy.sandbox = SandboxMode::Off;
    all.push(("Off".to_owned(), open));
    all
}

async fn talk(world: &World, argv: &[&str]) -> Arc<dyn Process> {
    let mut command = world.command(argv);
    command.streams = Streams::Apart;
    world.spawner.spawn(command).await.expect("starts")
}

async fn next(process: &dyn Process) -> ProcessEvent {
    timeout(PATIENCE, process.next()).await.expect("it speaks")
}

async fn write(process: &dyn Process, bytes: &[u8]) -> std::io::Result<()> {
    let written = timeout(PATIENCE, process.write(bytes.to_vec()));
    written.await.expect("a write ends in time")
}

/// Both streams and the end.
async fn heard(process: &dyn Process) -> (Vec<u8>, Vec<u8>, ProcessEnd) {
    let (mut output, mut errors) = (Vec::new(), Vec::new());
    loop {
        match next(process).await {
            ProcessEvent::Output(more) => output.extend(more),
            ProcessEvent::Errors(more) => errors.extend(more),
            ProcessEvent::Ended(end) => return (output, errors, end),
        }
    }
}

#[test]
fn what_is_written_comes_back_from_cat() {
    run(async {
        for (name, world) in all() {
            let process = talk(&world, &["cat"]).await;
            for line in ["one\n", "two\n"] {
                write(&*process, line.as_bytes()).await.expect(&name);
                let back = next(&*process).await;
                assert_eq!(back, ProcessEvent::Output(line.into()), "{name}");
            }
            process.kill().await;
            let end = next(&*process).await;
            assert_eq!(end, ProcessEvent::Ended(ProcessEnd::Signalled(9)), "{name}");
        }
    });
}

#[test]
fn stdout_and_stderr_come_apart() {
    run(async {
        for (name, world) in all() {
            let script = "read line; echo \"<$line>\"; echo bad >&2; echo more; exit 3";
            let process = talk(&world, &["sh", "-c", script]).await;
            write(&*process, b"said\n").await.expect(&name);
            let heard = heard(&*process).await;
            let wanted = (
                b"<said>\nmore\n".to_vec(),
                b"bad\n".to_vec(),
                ProcessEnd::Exited(3),
            );
            assert_eq!(heard, wanted, "{name}");
            let again = next(&*process).await;
            assert_eq!(again, ProcessEvent::Ended(ProcessEnd::Exited(3)), "{name}");
        }
    });
}

#[test]
fn all_of_both_streams_comes_before_the_end() {
    run(async {
        for (name, world) in all() {
            // What fits into the pipes is there when nothing of the tree is.
            let script = "head -c 40000 /dev/zero; head -c 40000 /dev/zero >&2";
            for _ in 0..10 {
                let process = talk(&world, &["sh", "-c", script]).await;
                until("its end", || count("head -c 40000") == 0).await;
                let (output, errors, end) = heard(&*process).await;
                let lengths = (output.len(), errors.len(), end);
                assert_eq!(lengths, (40_000, 40_000, ProcessEnd::Exited(0)), "{name}");
            }
        }
    });
}

#[test]
fn much_of_both_streams_comes_at_once() {
    run(async {
        for (name, world) in all() {
            let script = "head -c 5000000 /dev/zero & head -c 5000000 /dev/zero >&2; wait";
            let process = talk(&world, &["sh", "-c", script]).await;
            let (output, errors, end) = heard(&*process).await;
            let lengths = (output.len(), errors.len(), end);
            let wanted = (5_000_000, 5_000_000, ProcessEnd::Exited(0));
            assert_eq!(lengths, wanted, "{name}");
        }
    });
}

#[test]
fn much_is_written_while_what_comes_back_is_read() {
    run(async {
        for (name, world) in all() {
            let process = talk(&world, &["cat"]).await;
            let sent: Vec<u8> = (0..=u8::MAX).cycle().step_by(7).take(MUCH).collect();
            let reader = async {
                let mut back = Vec::new();
                while back.len() < MUCH {
                    match next(&*process).await {
                        ProcessEvent::Output(more) => back.extend(more),
                        other => panic!("{name}: {other:?}"),
                    }
                }
                back
            };
            let (written, back) = tokio::join!(write(&*process, &sent), reader);
            written.expect(&name);
            assert!(back == sent, "{name}: other bytes came back");
        }
    });
}

#[test]
fn a_process_that_closes_its_stdin_is_told_to_the_writer() {
    run(async {
        for (name, world) in all() {
            let script = "exec 0<&-; echo closed; exec sleep 1000.4343";
            let process = talk(&world, &["sh", "-c", script]).await;
            let said = next(&*process).await;
            assert_eq!(said, ProcessEvent::Output(b"closed\n".to_vec()), "{name}");
            if name == "Bubblewrap" {
                // `bwrap` itself keeps the stdin that it hands on, so only the end tells.
                write(&*process, b"x").await.expect(&name);
                process.kill().await;
            }
            let failed = write(&*process, b"x").await.expect_err(&name);
            assert_eq!(failed.kind(), ErrorKind::BrokenPipe, "{name}");
        }
    });
}

#[test]
fn nothing_can_be_written_to_a_dead_process() {
    run(async {
        for (name, world) in all() {
            let killed = talk(&world, &["cat"]).await;
            killed.kill().await;
            let ended = talk(&world, &["true"]).await;
            assert_eq!(heard(&*ended).await.2, ProcessEnd::Exited(0), "{name}");
            for process in [killed, ended] {
                for bytes in [vec![b'x'], vec![b'x'; MUCH]] {
                    let failed = write(&*process, &bytes).await.expect_err(&name);
                    assert_eq!(failed.kind(), ErrorKind::BrokenPipe, "{name}");
                }
            }
        }
    });
}

#[test]
fn a_writer_that_waits_for_room_is_woken_by_the_end() {
    run(async {
        for (name, world) in all() {
            // It ends by itself, or is killed, and a child of its own with it.
            for script in [
                "head -c 100000 > /dev/null",
                "sleep 1000.4444 & exec sleep 1000.4444",
            ] {
                let process = talk(&world, &["sh", "-c", script]).await;
                let killed = async {
                    if script.contains("sleep") {
                        until("two sleepers", || count("1000.4444") >= 2).await;
                        process.kill().await;
                    }
                };
                let much = vec![b'x'; MUCH];
                let (written, ()) = tokio::join!(write(&*process, &much), killed);
                let failed = written.expect_err(&name);
                assert_eq!(failed.kind(), ErrorKind::BrokenPipe, "{name}");
            }
        }
    });
}

#[test]
fn dropping_a_process_ends_it_and_its_stdin() {
    run(async {
        for (name, world) in all() {
            let process = talk(
                &world,
                &["sh", "-c", "echo here; cat; exec sleep 1000.4545"],
            )
            .await;
            let said = next(&*process).await;
            assert_eq!(said, ProcessEvent::Output(b"here\n".to_vec()), "{name}");
            assert!(count("1000.4545") > 0, "{name}: it is not seen");
            drop(process);
            until("its death", || count("1000.4545") == 0).await;
        }
    });
}

#[test]
fn a_process_that_nobody_talks_to_has_nothing_to_read() {
    run(async {
        for (name, world) in all() {
            let process = world.spawn(&["cat"]).await.expect("starts");
            let refused = write(&*process, b"x").await.expect_err(&name);
            assert_eq!(refused.kind(), ErrorKind::Unsupported, "{name}");
            let outcome = finish(&*process).await;
            assert_eq!(outcome.end, ProcessEnd::Exited(0), "{name}");
            assert_eq!(outcome.text, "", "{name}");
        }
    });
}

#[test]
fn it_dies_of_writing_where_nobody_reads_as_a_program_does() {
    run(async {
        for (name, world) in all() {
            let script = "read line; { cat /dev/zero; echo \"$?\" >&2; } | true";
            let process = talk(&world, &["sh", "-c", script]).await;
            write(&*process, b"go\n").await.expect(&name);
            let (_, errors, _) = heard(&*process).await;
            let errors = String::from_utf8_lossy(&errors).into_owned();
            assert!(errors.contains("141"), "{name}: {errors}");
        }
    });
}
