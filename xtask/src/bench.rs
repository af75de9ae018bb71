//! `cargo xtask bench`: what the house promises about speed and memory, measured on the release
//! binary against a model's side on loopback that takes no time of its own.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::cargo::{cargo, root, run};

mod agents;
mod checkpoints;
mod child;
mod floor;
mod long;
mod memory;
mod platform;
mod screen;
mod server;
mod table;
mod terminal;
mod wire;

use child::{Memory, Outcome, Subject, Walls};
use platform::{Contestant, Plan, Topic};
use table::{Row, Unit, median};
use wire::{Dialect, Reply};

const USAGE: &str = "\
cargo xtask bench [--runs N] [--dialect messages|responses|chat] [--binary PATH]
                  [--part exec|screen|platform] [--only platform|litellm] [--topic TOPIC] [--json]

  --runs N        runs of each kind (5)
  --dialect NAME  what the model's side speaks (messages)
  --binary PATH   measure this binary instead of building one
  --part PART     only `quire exec`, or only the screen and its host (both); or the platform beside
                  LiteLLM's proxy, which is installed under target/ with Python's pip
  --only WHOM     of the platform's part, only one of the two
  --topic TOPIC   of the platform's part, only latency, throughput, forwarding, large or crowd
  --json          print rows as JSON instead of a table";

struct Options {
    runs: usize,
    dialect: Dialect,
    binary: Option<PathBuf>,
    parts: Vec<Part>,
    contestants: Vec<Contestant>,
    topics: Vec<Topic>,
    json: bool,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// `quire exec`, a process that ends.
    Exec,
    /// The screen in a terminal, and the host behind it.
    Screen,
    /// The developer platform, under load.
    Platform,
}

impl Part {
    fn from_name(name: &str) -> Result<Self> {
        Ok(match name {
            "exec" => Self::Exec,
            "screen" => Self::Screen,
            "platform" => Self::Platform,
            _ => bail!("`{name}` is no part: exec, screen or platform"),
        })
    }
}

/// Measures everything and prints one table.
pub(crate) fn command(args: &[String]) -> Result<()> {
    if args.iter().any(|arg| arg == "--help" || arg == "-h") {
        println!("{USAGE}");
        return Ok(());
    }
    let options = options(args)?;
    if cfg!(debug_assertions) && options.parts.contains(&Part::Platform) {
        return optimised(args);
    }
    let binary = match options.binary {
        Some(path) => std::path::absolute(path)?,
        None => build()?,
    };
    let subject = Subject {
        binary,
        dialect: options.dialect,
    };
    let mut rows = Vec::new();
    for part in options.parts {
        rows.extend(match part {
            Part::Exec => measure(&subject, options.runs)?,
            Part::Screen => screen::measure(&subject, options.runs)?,
            Part::Platform => {
                let plan = Plan {
                    contestants: options.contestants.clone(),
                    topics: options.topics.clone(),
                    runs: options.runs,
                };
                platform::measure(&subject.binary, &plan)?
            }
        });
    }
    if options.json {
        println!("{:#}", table::json(&rows));
    } else {
        print!("{}", table::markdown(&rows));
    }
    Ok(())
}

fn options(args: &[String]) -> Result<Options> {
    let mut options = Options {
        runs: 5,
        dialect: Dialect::Messages,
        binary: None,
        parts: vec![Part::Exec, Part::Screen],
        contestants: Contestant::ALL.to_vec(),
        topics: Topic::ALL.to_vec(),
        json: false,
    };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let mut value = || args.next().with_context(|| format!("{arg} needs a value"));
        match arg.as_str() {
            "--runs" => options.runs = value()?.parse::<usize>()?.max(1),
            "--dialect" => options.dialect = Dialect::from_name(value()?)?,
            "--binary" => options.binary = Some(PathBuf::from(value()?)),
            "--part" => options.parts = vec![Part::from_name(value()?)?],
            "--only" => options.contestants = vec![Contestant::from_name(value()?)?],
            "--topic" => options.topics = vec![Topic::from_name(value()?)?],
            "--json" => options.json = true,
            _ => bail!("`{arg}` is not known\n\n{USAGE}"),
        }
    }
    Ok(options)
}

/// The same by an optimised build of this program: load is made by the thousand, and what makes it must
/// cost less than what is measured.
fn optimised(args: &[String]) -> Result<()> {
    run(cargo().args(["build", "--release", "--package", "xtask", "--locked"]))?;
    let program = root().join("target/release/xtask");
    run(std::process::Command::new(program).arg("bench").args(args))
}

/// Minutes of everything that can go wrong before the platform.
pub(crate) fn soak(args: &[String]) -> Result<()> {
    platform::soak::command(args, build)
}

/// The upstream of the platform's part, as a process of its own.
pub(crate) fn upstream() -> Result<()> {
    platform::serve_upstream()
}

fn build() -> Result<PathBuf> {
    run(cargo().args(["build", "--release", "--package", "quire-cli", "--locked"]))?;
    Ok(root().join("target/release/quire"))
}

/// A subject and how often each kind of run is repeated.
struct Bench<'a> {
    subject: &'a Subject,
    runs: usize,
}

fn measure(subject: &Subject, runs: usize) -> Result<Vec<Row>> {
    let bench = Bench { subject, runs };
    // The first run pays for a cold page cache.
    subject.run(short(2), Walls::On, Memory::Ignored)?;
    let mut rows = bench.start()?;
    let mut kept = Vec::new();
    for (walls, name, of_true, of_output) in [
        (Walls::Off, "unconfined", 3.0, Some(5.0)),
        (Walls::On, "confined", 6.0, None),
    ] {
        let outcomes = bench.repeat("50 steps", || short(50), walls, Memory::Ignored)?;
        kept.extend(outcomes.iter().map(|outcome| outcome.kept));
        let what = format!("step, 50 × `true`, {name}");
        rows.push(Row::new(what, Unit::Ms, all_gaps(&outcomes)).with_target(of_true));
        let outcomes = bench.repeat("300 steps", || long(300), walls, Memory::Ignored)?;
        kept.extend(outcomes.iter().map(|outcome| outcome.kept));
        rows.extend(growth(&outcomes, name, of_output));
    }
    rows.extend(bench.memory()?);
    rows.push(bench.deltas()?);
    eprintln!("measuring: long sessions");
    rows.extend(long::measure(subject, runs)?);
    rows.extend(long::answer(subject, runs)?);
    rows.extend(checkpoints::measure(subject, runs)?);
    rows.extend(agents::measure(subject, runs)?);
    let least = kept.into_iter().fold(1.0, f64::min) * 100.0;
    let what = "least share of a request that the next one starts with";
    rows.push(Row::new(what, Unit::Percent, vec![least]).with_target(100.0));
    let floor = floor::measure(subject.dialect)?.into_iter().map(ms);
    let what = "floor: a body of 2.4 MB straight to the model's side";
    rows.push(Row::new(what, Unit::Ms, floor.collect()));
    Ok(rows)
}

impl Bench<'_> {
    fn repeat(
        &self,
        name: &str,
        script: impl Fn() -> Vec<Reply>,
        walls: Walls,
        memory: Memory,
    ) -> Result<Vec<Outcome>> {
        eprintln!("measuring: {name}");
        (0..self.runs)
            .map(|_| self.subject.run(script(), walls, memory))
            .collect()
    }

    fn start(&self) -> Result<Vec<Row>> {
        let outcomes = self.repeat("start", || short(0), Walls::On, Memory::Ignored)?;
        let starts = outcomes.iter().map(|outcome| ms(outcome.start));
        let sizes = outcomes.iter().map(|outcome| of_1024(outcome.first_bytes));
        let size = "first request, prompt and tools included";
        Ok(vec![
            Row::new("start → first request", Unit::Ms, starts.collect()).with_target(15.0),
            Row::new(size, Unit::Kib, sizes.collect()).with_target(8.0),
        ])
    }

    fn memory(&self) -> Result<Vec<Row>> {
        let row = |name: &str, outcomes: &[Outcome]| {
            let peaks = outcomes.iter().map(|outcome| of_1024(outcome.peak_kib));
            let what = format!("peak memory of the tree, {name}");
            Row::new(what, Unit::Mib, peaks.collect())
        };
        let watched =
            |script: fn() -> Vec<Reply>| self.repeat("memory", script, Walls::On, Memory::Watched);
        Ok(vec![
            row("50 × `true`", &watched(|| short(50))?).with_target(30.0),
            row("300 × 8 KB", &watched(|| long(300))?).with_target(60.0),
        ])
    }

    fn deltas(&self) -> Result<Row> {
        let outcomes = self.repeat("deltas", deltas, Walls::On, Memory::Ignored)?;
        let cpu = outcomes.iter().map(|outcome| outcome.cpu_s).collect();
        Ok(Row::new("200,000 deltas, 1 MB: CPU", Unit::S, cpu).with_target(0.5))
    }
}

/// Steps that do nothing, then the end. No two commands are equal, as in real work.
fn short(steps: usize) -> Vec<Reply> {
    script((0..steps).map(|step| format!("true {step}")))
}

/// Steps that print 8 KB each, then the end. The shell prints them itself: a process of the
/// command's own would be measured with the harness.
fn long(steps: usize) -> Vec<Reply> {
    script((1..=steps).map(|step| format!("printf '%08191d\\n' {step}")))
}

/// One long answer in tiny pieces.
fn deltas() -> Vec<Reply> {
    vec![Reply::pieces(200_000, 1_000_000)]
}

fn script(commands: impl Iterator<Item = String>) -> Vec<Reply> {
    let end = Reply::Text(vec!["done".to_owned()]);
    commands.map(Reply::Bash).chain([end]).collect()
}

/// The first and the last twenty steps of each run, and how much slower the last ones are.
fn growth(outcomes: &[Outcome], name: &str, target: Option<f64>) -> Vec<Row> {
    let gaps: Vec<Vec<f64>> = outcomes
        .iter()
        .map(|outcome| outcome.gaps.iter().copied().map(ms).collect())
        .collect();
    let first = |gaps: &Vec<f64>| gaps[..20].to_vec();
    let last = |gaps: &Vec<f64>| gaps[gaps.len() - 20..].to_vec();
    let ratios = gaps
        .iter()
        .map(|gaps| median(&last(gaps)) / median(&first(gaps)))
        .collect();
    let row = |which: &str, samples| {
        let what = format!("step, 300 × 8 KB, {which} 20, {name}");
        let row = Row::new(what, Unit::Ms, samples);
        match target {
            Some(target) => row.with_target(target),
            None => row,
        }
    };
    vec![
        row("first", gaps.iter().flat_map(first).collect()),
        row("last", gaps.iter().flat_map(last).collect()),
        Row::new(format!("last 20 ÷ first 20, {name}"), Unit::Times, ratios).with_target(1.15),
    ]
}

fn all_gaps(outcomes: &[Outcome]) -> Vec<f64> {
    outcomes
        .iter()
        .flat_map(|outcome| outcome.gaps.iter().copied().map(ms))
        .collect()
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// 1024 of the given units.
#[expect(clippy::cast_precision_loss, reason = "for a table")]
fn of_1024(units: u64) -> f64 {
    units as f64 / 1024.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_compares_the_ends_of_each_run() {
        let gaps = (1..=50).map(Duration::from_millis).collect();
        let outcome = Outcome {
            start: Duration::ZERO,
            end: Duration::ZERO,
            gaps,
            cpu_s: 0.0,
            peak_kib: 0,
            first_bytes: 0,
            kept: 1.0,
        };
        let medians: Vec<f64> = growth(&[outcome], "x", None)
            .iter()
            .map(Row::median)
            .collect();
        assert_eq!(medians[..2], [11.0, 41.0]);
    }

    #[test]
    fn options_are_read_or_refused() {
        let args = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let read = options(&args("--runs 2 --dialect chat --json")).unwrap();
        assert_eq!(
            (read.runs, read.dialect, read.json),
            (2, Dialect::Chat, true)
        );
        assert_eq!(read.parts, [Part::Exec, Part::Screen]);
        let read = options(&args("--part screen")).unwrap();
        assert_eq!(read.parts, [Part::Screen]);
        let read = options(&args("--part platform --only litellm")).unwrap();
        assert_eq!(read.parts, [Part::Platform]);
        assert_eq!(read.contestants, [Contestant::LiteLlm]);
        for wrong in [
            "--runs",
            "--part all",
            "--only nginx",
            "--runs x",
            "--dialect klingon",
            "--nonsense",
        ] {
            assert!(options(&args(wrong)).is_err(), "{wrong}");
        }
    }
}
