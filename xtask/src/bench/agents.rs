//! What it costs to have an agent work for an agent, besides the work.

use anyhow::{Result, ensure};

use super::child::{Memory, Subject, Walls};
use super::ms;
use super::table::{Row, Unit};
use super::wire::Reply;

/// Agents of one run, one after another; each says a word and is done.
const AGENTS: usize = 20;

/// Measures the way of a task to an agent that is new, and the way of its last words back.
pub(crate) fn measure(subject: &Subject, runs: usize) -> Result<Vec<Row>> {
    eprintln!("measuring: agents");
    let (mut there, mut back) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        let outcome = subject.run(script(), Walls::On, Memory::Ignored)?;
        ensure!(outcome.gaps.len() == 2 * AGENTS, "every agent has two gaps");
        for pair in outcome.gaps.chunks(2) {
            there.push(ms(pair[0]));
            back.push(ms(pair[1]));
        }
    }
    Ok(vec![
        Row::new(
            "a task for a new agent → its first request",
            Unit::Ms,
            there,
        ),
        Row::new(
            "an agent's last words → its lead's next request",
            Unit::Ms,
            back,
        ),
    ])
}

fn script() -> Vec<Reply> {
    let word = || Reply::Text(vec!["green".to_owned()]);
    let agents = (0..AGENTS).flat_map(|agent| [Reply::Agent(format!("a{agent}")), word()]);
    agents.chain([word()]).collect()
}
