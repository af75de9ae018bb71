//! SIGKILL of a process that meters, at many moments: nothing is lost and nothing is billed twice.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Stdio};

use quire_depot::{Rates, Spool, UsageFilter, UsageRow};
use quire_protocol::{Money, Usage};

use crate::{in_folder, used, wait};

const FOLDER: &str = "QUIRE_DEPOT_TEST_FOLDER";
const LIFE: &str = "QUIRE_DEPOT_TEST_LIFE";

fn rates() -> Rates {
    Rates {
        output: Money::from_picos(3),
        ..Rates::default()
    }
}

fn output(output: u64) -> Usage {
    Usage {
        output,
        ..Usage::default()
    }
}

/// What a request costs in the end; never what its progress would.
fn final_row(request: &str) -> UsageRow {
    UsageRow {
        usage: output(1_000),
        cost: Money::from_picos(5_000),
        ..used(request, 1)
    }
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n{line}").unwrap();
}

/// What the child process does: three requests at a time, for ever, with drains between, telling what
/// has been done. Run as a test of its own, without the folder, it has nothing to do.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the parent passes the folder to its child"
)]
fn child_meters_until_it_is_killed() {
    let (Some(folder), Some(life)) = (std::env::var_os(FOLDER), std::env::var_os(LIFE)) else {
        return;
    };
    let life = life.into_string().unwrap();
    wait(async {
        let folder = Path::new(&folder);
        let metering = in_folder(folder).await.metering();
        let spool = Spool::open(&folder.join("spool")).unwrap();
        for round in 0_u64.. {
            let mut tickets = Vec::new();
            for lane in 0..3 {
                let request = format!("req_{life}_{round}_{lane}");
                let mut row = used(&request, 1);
                row.usage = Usage::default();
                tickets.push((spool.begin(row, rates()).unwrap(), request.clone()));
                say(&format!("begun {request}"));
            }
            for count in 1..=4 {
                for (ticket, request) in &mut tickets {
                    ticket.progress(&output(count)).unwrap();
                    say(&format!("progress {request} {count}"));
                }
            }
            for (lane, (ticket, request)) in tickets.into_iter().enumerate() {
                if round % 5 == 4 && lane == 2 {
                    // It hangs until the process dies.
                    std::mem::forget(ticket);
                    continue;
                }
                ticket.close(&final_row(&request)).unwrap();
                say(&format!("closed {request}"));
            }
            if round % 3 == 2 {
                spool.drain(&metering).await.unwrap();
                say("drained");
            }
        }
    });
}

#[expect(
    clippy::disallowed_methods,
    reason = "a process is needed to be killed"
)]
fn start(folder: &Path, life: usize) -> Child {
    std::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "crash::child_meters_until_it_is_killed",
            "--exact",
            "--nocapture",
        ])
        .env(FOLDER, folder)
        .env(LIFE, life.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Known {
    /// So much was said of it.
    UnderWay(u64),
    Closed,
}

/// Reads what the child says until so many lines, kills it, and reads the rest.
fn live_and_die(folder: &Path, life: usize, most: usize, known: &mut HashMap<String, Known>) {
    let mut child = start(folder, life);
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let (mut said, mut heard) = (String::new(), 0);
    while out.read_line(&mut said).unwrap() > 0 {
        // A line that was cut off by the kill was not said.
        let words: Vec<_> = said.strip_suffix('\n').unwrap_or("").split(' ').collect();
        match words[..] {
            ["begun", request] => drop(known.insert(request.to_owned(), Known::UnderWay(0))),
            ["progress", request, so_far] => {
                let so_far = so_far.parse().unwrap();
                known.insert(request.to_owned(), Known::UnderWay(so_far));
            }
            ["closed", request] => drop(known.insert(request.to_owned(), Known::Closed)),
            _ => {}
        }
        said.clear();
        heard += 1;
        if heard == most {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
}

/// All that was billed, by request: output tokens, cost, and whether it was estimated.
async fn billed(folder: &Path) -> HashMap<String, (u64, String, bool)> {
    let filter = UsageFilter {
        ending_at: 10,
        ..UsageFilter::default()
    };
    let metering = in_folder(folder).await.metering();
    let mut csv = metering.csv(&"org_1".into(), filter);
    csv.next().await.unwrap();
    let mut billed = HashMap::new();
    while let Some(piece) = csv.next().await.unwrap() {
        for line in piece.lines() {
            let fields: Vec<_> = line.split(',').collect();
            let row = (
                fields[12].parse().unwrap(),
                fields[15].to_owned(),
                fields[24] == "true",
            );
            assert_eq!(billed.insert(fields[1].to_owned(), row), None);
        }
    }
    billed
}

#[test]
fn what_was_streamed_is_billed_once_after_kills_at_any_moment() {
    let folder = tempfile::tempdir().unwrap();
    let mut known = HashMap::new();
    for life in 0..24 {
        // Beginnings, progress, ends and drains are all hit; the kill itself comes a little later.
        let lines = 12 + life * 29 + life * life;
        live_and_die(folder.path(), life, lines, &mut known);
        if life % 3 == 2 {
            // Other lives end before anybody recovered what the one before left.
            wait(async {
                let metering = in_folder(folder.path()).await.metering();
                let spool = Spool::open(&folder.path().join("spool")).unwrap();
                spool.recover(&metering).await.unwrap();
                let again = spool.recover(&metering).await.unwrap();
                assert_eq!((again.ended, again.estimated), (0, 0));
                spool.finish(&metering).await.unwrap();
            });
        }
    }
    let billed = wait(billed(folder.path()));
    let closed = Money::from_picos(5_000).to_string();
    for (request, known) in &known {
        let (output, cost, estimated) = &billed[request];
        match known {
            Known::Closed => {
                assert_eq!(
                    (*output, cost, *estimated),
                    (1_000, &closed, false),
                    "{request}"
                );
            }
            // What was not said any more was done all the same.
            Known::UnderWay(_) if !estimated => assert_eq!((*output, cost), (1_000, &closed)),
            Known::UnderWay(so_far) => {
                assert!(
                    (*so_far..=4).contains(output),
                    "{request}: {output} of {so_far}"
                );
                assert_eq!(*cost, Money::from_picos(3).times(*output).to_string());
            }
        }
    }
    // Of each life three at most had begun that nobody was told of.
    assert!(known.len() > 500 && billed.len() <= known.len() + 24 * 3);
    let closed = known.values().filter(|known| **known == Known::Closed);
    assert!(closed.count() > 400);
}
