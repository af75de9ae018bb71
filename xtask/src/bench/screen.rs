//! The screen and the host behind it, driven through a real terminal as a person does.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::child::{Home, Subject, WINDOW, Walls};
use super::memory::{kib, on_cpu, tree};
use super::server::{Pace, Server};
use super::table::{Row, Unit};
use super::terminal::Terminal;
use super::wire::Reply;
use super::{ms, of_1024};

/// What an empty input line says, above the status line.
const READY: &str = "say what to do";
/// Keys that are pressed for one run's echoes.
const KEYS: usize = 40;
/// How long an idle screen is looked at.
const IDLE: Duration = Duration::from_secs(5);
/// How long nothing may be on a CPU until work counts as over: longer than the store leaves its
/// chores for later.
const QUIET: Duration = Duration::from_millis(1_200);
/// Longest time in which work has to be over.
const PATIENCE: Duration = Duration::from_secs(30);
/// Time before each piece of an answer that streams: 200 pieces a second.
const GAP: Duration = Duration::from_millis(5);
/// Pieces of the long answer, of five bytes each, or little more.
const PIECES: usize = 20_000;
/// Time before each of them where they do not come at once.
const QUICK: Duration = Duration::from_micros(500);
/// How the long answer ends.
const LAST: &str = "4e1f.";
/// Steps in which a person steers, in one run.
const STEERED: usize = 10;
/// How often a pipe is tried that nobody reads yet.
const LOOK: Duration = Duration::from_millis(1);
/// `O_NONBLOCK` of Linux: without it, opening a pipe that nobody reads would wait for ever.
const NONBLOCK: i32 = 0o4000;
/// Sessions that wait for a model at once.
const SESSIONS: usize = 100;

/// Measures everything about them.
pub(crate) fn measure(subject: &Subject, runs: usize) -> Result<Vec<Row>> {
    let steps: [(&str, Step); 6] = [
        ("first paint", first_paint),
        ("idle screens", idle),
        ("echo", echo),
        ("a long answer on screen", long_answer),
        ("steering", steer),
        ("100 sessions", sessions),
    ];
    let mut rows = Vec::new();
    for (name, step) in steps {
        eprintln!("measuring: {name}");
        rows.extend(step(subject, runs).context(name)?);
    }
    Ok(rows)
}

type Step = fn(&Subject, usize) -> Result<Vec<Row>>;

/// A home of its own, before a server of its own. Its host, if one started, is killed at the end.
struct World<'a> {
    subject: &'a Subject,
    home: Home,
    server: Server,
}

impl<'a> World<'a> {
    fn new(subject: &'a Subject, script: Vec<Reply>, pace: Pace) -> Result<Self> {
        Ok(Self {
            subject,
            home: Home::new(subject.dialect, WINDOW)?,
            server: Server::start_at(subject.dialect, script, pace)?,
        })
    }

    fn command(&self) -> Command {
        self.subject
            .command(&self.home, &self.server.url(), Walls::On)
    }

    /// A screen; how long it took from the start of the process to its first frame.
    fn open(&self) -> Result<(Terminal, Duration)> {
        let started = Instant::now();
        let screen = Terminal::start(&self.command())?;
        let painted = screen.sees(READY)?;
        Ok((screen, painted - started))
    }

    /// The host with all it started, without what belongs to a screen.
    fn host(&self, screen: &Terminal) -> Result<Vec<u32>> {
        let host = self.home.host().context("no host is running")?;
        let pid = screen.pid()?;
        let mut processes = tree(&[host]);
        processes.retain(|process| *process != pid);
        Ok(processes)
    }

    /// The screen and the host, each with all it started.
    fn both(&self, screen: &Terminal) -> Result<Vec<u32>> {
        let host = self.home.host().context("no host is running")?;
        Ok(tree(&[screen.pid()?, host]))
    }
}

impl Drop for World<'_> {
    fn drop(&mut self) {
        if let Some(host) = self.home.host() {
            let all = tree(&[host]).into_iter().map(|process| process.to_string());
            // Some may have ended by themselves.
            let _ = Command::new("kill").arg("-9").args(all).output();
        }
    }
}

/// Waits until processes have not been on a CPU for a while.
fn settle(processes: &[u32]) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    let mut before = on_cpu(processes);
    loop {
        std::thread::sleep(QUIET);
        let now = on_cpu(processes);
        if now == before {
            return Ok(());
        }
        ensure!(
            Instant::now() < deadline,
            "the processes never came to rest"
        );
        before = now;
    }
}

fn first_paint(subject: &Subject, runs: usize) -> Result<Vec<Row>> {
    let (mut without, mut with) = (vec![], vec![]);
    for _ in 0..runs {
        let world = World::new(subject, vec![], Pace::AtOnce)?;
        let (screen, took) = world.open()?;
        without.push(ms(took));
        settle(&world.both(&screen)?)?;
        screen.leave()?;
        for _ in 0..3 {
            let (screen, took) = world.open()?;
            with.push(ms(took));
            screen.leave()?;
        }
    }
    Ok(vec![
        Row::new("screen: start → first paint, host running", Unit::Ms, with).with_target(40.0),
        Row::new(
            "screen: start → first paint, no host, new home",
            Unit::Ms,
            without,
        )
        .with_target(80.0),
    ])
}

fn idle(subject: &Subject, runs: usize) -> Result<Vec<Row>> {
    let (mut memory, mut spent) = (vec![], vec![]);
    for _ in 0..runs {
        let world = World::new(subject, vec![], Pace::AtOnce)?;
        let (screen, _) = world.open()?;
        settle(&world.both(&screen)?)?;
        let processes = world.both(&screen)?;
        memory.push(of_1024(kib(&processes)));
        let before = on_cpu(&processes);
        std::thread::sleep(IDLE);
        spent.push(ms(on_cpu(&processes).saturating_sub(before)));
    }
    Ok(vec![
        Row::new("idle screen and its host: memory", Unit::Mib, memory).with_target(35.0),
        Row::new("idle screen and its host: CPU in 5 s", Unit::Ms, spent).with_target(0.0),
    ])
}

/// Presses keys as a person does, at times that nothing on the screen sets; how long each took to
/// show.
fn echoes(screen: &mut Terminal) -> Result<Vec<f64>> {
    let mut line = "› ".to_owned();
    let mut took = Vec::new();
    for index in 0..KEYS {
        // From 31 to 67 ms, in no rhythm that frames could have.
        let pause = 31 + u64::try_from(index * 23 % 37)?;
        std::thread::sleep(Duration::from_millis(pause));
        let key = ["q", "u", "i", "r", "e"][index % 5];
        line.push_str(key);
        let pressed = Instant::now();
        screen.press(key)?;
        took.push(ms(screen.sees(&line)?.saturating_duration_since(pressed)));
    }
    Ok(took)
}

fn echo(subject: &Subject, runs: usize) -> Result<Vec<Row>> {
    let mut took = Vec::new();
    for _ in 0..runs {
        let world = World::new(subject, vec![prose()], Pace::Each(GAP))?;
        let (mut screen, _) = world.open()?;
        ask(&mut screen, "Tell a long story.")?;
        // Far enough into the story that it scrolls.
        screen.sees("031f.")?;
        took.extend(echoes(&mut screen)?);
    }
    let what = "key → echo while an answer streams, 200 deltas a second";
    Ok(vec![Row::new(what, Unit::Ms, took).with_target(8.0)])
}

/// Types a message and sends it.
fn ask(screen: &mut Terminal, message: &str) -> Result<()> {
    screen.press(message)?;
    screen.sees(&format!("› {message}"))?;
    screen.press("\r")
}

/// A long text in tiny pieces, with paragraphs as models write them.
fn prose() -> Reply {
    let piece = |index: usize| {
        if index % 100 == 99 {
            format!("{index:04x}.\n\n")
        } else {
            format!("{index:04x} ")
        }
    };
    Reply::Text((0..PIECES).map(piece).collect())
}

fn long_answer(subject: &Subject, runs: usize) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (pace, how) in [
        (Pace::AtOnce, "at once"),
        (Pace::Each(QUICK), "2,000 a second at most"),
    ] {
        let (mut of_screen, mut of_host, mut of_both) = (vec![], vec![], vec![]);
        for _ in 0..runs {
            let (in_screen, in_host) = spent_on_answer(subject, pace)?;
            of_screen.push(in_screen.as_secs_f64());
            of_host.push(in_host.as_secs_f64());
            of_both.push((in_screen + in_host).as_secs_f64());
        }
        let what = |of: &str| format!("20,000 deltas on screen, 100 KB, {how}: CPU of {of}");
        rows.extend([
            Row::new(what("the screen"), Unit::S, of_screen),
            Row::new(what("the host"), Unit::S, of_host),
            Row::new(what("both"), Unit::S, of_both).with_target(0.3),
        ]);
    }
    Ok(rows)
}

/// How long the screen and the host are on a CPU for one long answer.
fn spent_on_answer(subject: &Subject, pace: Pace) -> Result<(Duration, Duration)> {
    let world = World::new(subject, vec![prose()], pace)?;
    let (mut screen, _) = world.open()?;
    settle(&world.both(&screen)?)?;
    let one = [screen.pid()?];
    let host = world.host(&screen)?;
    let before = (on_cpu(&one), on_cpu(&host));
    ask(&mut screen, "Tell a long story.")?;
    screen.sees(LAST)?;
    screen.sees("· done")?;
    settle(&world.both(&screen)?)?;
    let in_screen = on_cpu(&one).saturating_sub(before.0);
    let in_host = on_cpu(&host).saturating_sub(before.1);
    Ok((in_screen, in_host))
}

/// A command waits for a line in a pipe; a person steers meanwhile; the line ends the command. What
/// is measured starts before the command's end, with the line.
fn steer(subject: &Subject, runs: usize) -> Result<Vec<Row>> {
    let mut took = Vec::new();
    for _ in 0..runs {
        let script = (0..STEERED).map(|step| Reply::Bash(format!("read line < gate; echo {step}")));
        let world = World::new(subject, script.collect(), Pace::AtOnce)?;
        let gate = world.home.workspace().join("gate");
        let made = Command::new("mkfifo").arg(&gate).status()?;
        ensure!(made.success(), "mkfifo failed: {made}");
        let (mut screen, _) = world.open()?;
        ask(&mut screen, "Wait for me.")?;
        for step in 0..STEERED {
            let mut gate = open_gate(&gate)?;
            let message = format!("turn left, {step}");
            ask(&mut screen, &message)?;
            screen.sees(&format!("{message}  (steer"))?;
            let ends = Instant::now();
            gate.write_all(b"go\n")?;
            world.server.wait_for(step + 2)?;
            ensure!(
                world.server.was_told(&message),
                "the step after the command did not tell the model {message:?}"
            );
            let exchanges = world.server.exchanges();
            took.push(ms(exchanges[step + 1]
                .asked
                .saturating_duration_since(ends)));
        }
        screen.sees("· done")?;
    }
    let what = "steered while a command runs: its end → the request that tells it";
    Ok(vec![Row::new(what, Unit::Ms, took).with_target(10.0)])
}

/// Opens a pipe for writing as soon as the command has opened its end.
fn open_gate(gate: &Path) -> Result<File> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let opened = OpenOptions::new()
            .write(true)
            .custom_flags(NONBLOCK)
            .open(gate);
        match opened {
            Ok(file) => return Ok(file),
            Err(error) if Instant::now() > deadline => {
                return Err(error).context("no command came to read the pipe");
            }
            Err(_) => std::thread::sleep(LOOK),
        }
    }
}

fn sessions(subject: &Subject, runs: usize) -> Result<Vec<Row>> {
    let (mut memory, mut took) = (vec![], vec![]);
    for _ in 0..runs.min(2) {
        let world = World::new(subject, vec![], Pace::Never)?;
        for number in 1..=SESSIONS {
            let task = format!("Wait, {number}.");
            let started = world.command().args(["agents", "start", &task]).output()?;
            let said = String::from_utf8_lossy(&started.stderr);
            ensure!(started.status.success(), "no session was started: {said}");
        }
        world.server.wait_for(SESSIONS)?;
        let (mut screen, _) = world.open()?;
        settle(&[screen.pid()?])?;
        memory.push(of_1024(kib(&world.host(&screen)?)));
        took.extend(echoes(&mut screen)?);
    }
    Ok(vec![
        Row::new(
            "100 working sessions: memory of the host",
            Unit::Mib,
            memory,
        )
        .with_target(150.0),
        Row::new("key → echo of a screen meanwhile", Unit::Ms, took).with_target(8.0),
    ])
}
