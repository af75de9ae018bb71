//! Long sessions: a million tokens in, a hundred thousand out, resumed and compacted.

use anyhow::Result;

use super::child::{Home, Memory, Subject, Walls};
use super::server::Pace;
use super::table::{Row, Unit};
use super::wire::Reply;
use super::{long, ms, of_1024};

/// Steps of 8 KB that make about a million tokens.
const STEPS: usize = 500;
/// A window that all of it fits.
const WIDE: u64 = 2_000_000;
/// One that is full of it.
const FULL: u64 = 1_000_000;
/// Tokens of the longest answer.
const ANSWER: usize = 128_000;

/// Measures everything about them.
pub(crate) fn measure(subject: &Subject, runs: usize) -> Result<Vec<Row>> {
    let (mut steps, mut peaks, mut resumes, mut clears) = (vec![], vec![], vec![], vec![]);
    let mut summaries = vec![];
    for _ in 0..runs.min(3) {
        let home = Home::new(subject.dialect, WIDE)?;
        let first = ["exec", "Run the commands.", "--max-turns", "1000"];
        let go_on = ["exec", "--continue", "Go on."];
        let run = |arguments: &[&str], script, memory| {
            subject.run_in(&home, arguments, script, Walls::Off, memory, Pace::AtOnce)
        };
        let all = run(&first, long(STEPS), Memory::Ignored)?;
        steps.extend(all.gaps.iter().rev().take(20).copied().map(ms));
        let opened = run(&go_on, vec![done()], Memory::Ignored)?;
        resumes.push(ms(opened.start));
        peaks.push(of_1024(
            run(&go_on, vec![done()], Memory::Watched)?.peak_kib,
        ));
        let session = subject.newest_session(&home)?;
        let compact = ["sessions", "compact", &session];
        summaries.push(ms(run(&compact, vec![summary()], Memory::Ignored)?.end));
        subject.plain(&home, &["sessions", "undo", &session])?;
        home.set_window(FULL)?;
        let cleared = run(&go_on, vec![done()], Memory::Ignored)?;
        clears.push(ms(cleared.start));
    }
    Ok(vec![
        Row::new("step at 1,000,000 tokens (4 MB)", Unit::Ms, steps).with_target(10.0),
        Row::new("resume of 4 MB → first request", Unit::Ms, resumes).with_target(300.0),
        Row::new("peak memory with 4 MB", Unit::Mib, peaks).with_target(150.0),
        Row::new(
            "resume of 4 MB, clearing its results → first request",
            Unit::Ms,
            clears,
        )
        .with_target(500.0),
        Row::new(
            "a summary in their place, to the process's end",
            Unit::Ms,
            summaries,
        )
        .with_target(200.0),
    ])
}

/// A long answer, streamed.
pub(crate) fn answer(subject: &Subject, runs: usize) -> Result<Vec<Row>> {
    let script = || vec![Reply::pieces(ANSWER, ANSWER * 4)];
    let (mut cpu, mut peaks) = (vec![], vec![]);
    for _ in 0..runs {
        cpu.push(subject.run(script(), Walls::On, Memory::Ignored)?.cpu_s);
        peaks.push(of_1024(
            subject.run(script(), Walls::On, Memory::Watched)?.peak_kib,
        ));
    }
    Ok(vec![
        Row::new("128,000 tokens out: CPU", Unit::S, cpu).with_target(0.3),
        Row::new(
            "128,000 tokens out: peak memory of the tree",
            Unit::Mib,
            peaks,
        )
        .with_target(30.0),
    ])
}

fn done() -> Reply {
    Reply::Text(vec!["done".to_owned()])
}

fn summary() -> Reply {
    Reply::Text(vec![
        "The commands printed numbers in long lines of zeros; nothing else is worth keeping."
            .to_owned(),
    ])
}
