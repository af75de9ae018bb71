//! One run from start to end: opens the session, drives the task, prints the last lines, closes.

use std::future::pending;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use quire_protocol::{
    Client, ClientError, Frame, MessageId, Op, Opened, Pause, Seq, SessionId, Settings,
};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::approvals::Approvals;
use crate::drive::{Drive, output_ending};
use crate::limits;
use crate::schema::Schema;
use crate::screen::{Ending, Screen};
use crate::{Adapt, Error, Outcome, Output, Start, Task};

/// A session that has not begun after this says what it waits for.
const SILENT: Duration = Duration::from_secs(1);

/// Runs one task and prints it. `interrupts` counts the presses of Ctrl-C: the first interrupts
/// the turn and waits for its end, the second returns at once, leaving the session as it is.
///
/// Fails when the session cannot be used or dies, when the schema is none, or when `out` cannot be
/// written for another reason than that nobody reads it. Errors of `err` are ignored.
pub async fn run<W: Write + Send, E: Write + Send>(
    client: Arc<dyn Client>,
    task: Task,
    out: W,
    err: E,
    interrupts: watch::Receiver<u32>,
) -> Result<Outcome, Error> {
    let output = task.output;
    let mut screen = Screen::new(output, task.style, out, err);
    let mut presses = interrupts.clone();
    let driven = tokio::select! {
        biased;
        () = pressed(&mut presses, 2) => None,
        result = drive(&*client, task, &mut screen, interrupts) => Some(result),
    };
    let ending = match driven {
        None => Ending::plain(Outcome::Cancelled),
        Some(Ok(ending)) => {
            let printed = last_lines(&mut screen, &ending);
            close(&*client, &screen).await?;
            return printed;
        }
        Some(Err(error)) => {
            let error = told_by_close(&*client, &screen, error).await;
            let detail = (output == Output::Json).then(|| error.to_string());
            let ending = Ending {
                detail,
                ..Ending::plain(Outcome::Error)
            };
            if screen.session.is_some() || output == Output::Json {
                let _ = screen.finish(&ending);
            }
            return Err(error);
        }
    };
    last_lines(&mut screen, &ending)
}

/// Completes when Ctrl-C was pressed so often; never, once nobody counts any more.
pub(crate) async fn pressed(interrupts: &mut watch::Receiver<u32>, times: u32) {
    if interrupts.wait_for(|count| *count >= times).await.is_err() {
        pending::<()>().await;
    }
}

fn last_lines<W: Write, E: Write>(
    screen: &mut Screen<W, E>,
    ending: &Ending,
) -> Result<Outcome, Error> {
    if ending.outcome == Outcome::OutputClosed {
        return Ok(ending.outcome);
    }
    match screen.finish(ending) {
        Ok(()) => Ok(ending.outcome),
        Err(error) => output_ending(error).map(|ending| ending.outcome),
    }
}

async fn close<W: Write, E: Write>(
    client: &dyn Client,
    screen: &Screen<W, E>,
) -> Result<(), Error> {
    match &screen.session {
        Some(session) => Ok(client.close(session).await?),
        None => Ok(()),
    }
}

/// Closes after an error. A session that died by itself says why only now.
async fn told_by_close<W: Write, E: Write>(
    client: &dyn Client,
    screen: &Screen<W, E>,
    error: Error,
) -> Error {
    match (close(client, screen).await, &error) {
        (Err(why), Error::Client(ClientError::Died { .. })) => why,
        _ => error,
    }
}

async fn drive<W: Write + Send, E: Write + Send>(
    client: &dyn Client,
    task: Task,
    screen: &mut Screen<W, E>,
    interrupts: watch::Receiver<u32>,
) -> Result<Ending, Error> {
    let begun = match task.start {
        Start::New(_) if task.content.is_empty() => return Err(Error::EmptyPrompt),
        Start::New(settings) => {
            let mut presses = interrupts.clone();
            // It may wait for servers of tools, as long as settings say.
            tokio::select! {
                biased;
                begun = start(client, settings, screen) => begun?,
                () = pressed(&mut presses, 1) => return Ok(Ending::plain(Outcome::Cancelled)),
            }
        }
        Start::Open { session, adapt } => open(client, session, adapt, screen).await?,
    };
    if task.content.is_empty() && !begun.unfinished {
        return without_work(client, begun, screen).await;
    }
    let approvals = Approvals::new(task.approvals);
    let mut drive = Drive::new(client, screen, begun.session.clone(), approvals);
    let recovered = begun.recovered();
    drive.schema = begun.schema;
    drive.found = begun.found;
    drive.known = begun.known;
    drive.has_goal = begun.has_goal;
    if let Some(goal) = task.goal {
        drive.has_goal = true;
        let op = Op::SetGoal { goal: Some(goal) };
        client.submit(&begun.session, op).await?;
    }
    if !task.content.is_empty() {
        let message = MessageId::new(format!("exec-{}", begun.known));
        drive.say(message, task.content).await?;
    }
    // After the message, so that the turn that goes on hears it with its next request.
    if let Some(settings) = begun.raised {
        let op = Op::Configure { settings };
        client.submit(&begun.session, op).await?;
    }
    if begun.unfinished {
        client.submit(&begun.session, Op::Resume).await?;
    }
    let after = if begun.unfinished || recovered {
        Seq(0)
    } else {
        begun.known
    };
    drive.follow(after, task.timeout, interrupts).await
}

/// A session that is ready to be told something.
struct Begun {
    /// Settings with which a turn that waits at a limit may go on.
    raised: Option<Settings>,
    session: SessionId,
    schema: Option<Schema>,
    /// The last place of before this run.
    found: Seq,
    /// The last place when it was ready: opening it records how what a crash cut short ended.
    known: Seq,
    /// Whether there is something to go on with.
    unfinished: bool,
    has_goal: bool,
    /// The limits in words, if this run changed them.
    limits: Option<String>,
}

impl Begun {
    /// Whether opening it recorded something.
    fn recovered(&self) -> bool {
        self.found < self.known
    }
}

/// Nothing was said, and there is nothing to go on with. New limits are reason enough to have come.
async fn without_work<W: Write, E: Write>(
    client: &dyn Client,
    begun: Begun,
    screen: &mut Screen<W, E>,
) -> Result<Ending, Error> {
    let Some(limits) = begun.limits else {
        show(client, &begun.session, begun.found, begun.known, screen).await?;
        return Err(Error::NothingToDo(begun.session));
    };
    // What sets them was recorded after everything else.
    let last = begun.known.next();
    show(client, &begun.session, begun.found, last, screen).await?;
    Ok(Ending {
        detail: Some(format!(
            "{limits}; nothing was left to go on with: give it a prompt"
        )),
        ..Ending::plain(Outcome::Done)
    })
}

/// Shows what was recorded between two places, when nothing follows it.
async fn show<W: Write, E: Write>(
    client: &dyn Client,
    session: &SessionId,
    after: Seq,
    last: Seq,
    screen: &mut Screen<W, E>,
) -> Result<(), Error> {
    if after >= last {
        return Ok(());
    }
    let mut frames = client.watch(session, after);
    while let Some(frame) = frames.next().await {
        let Frame::Record(record) = frame else {
            continue;
        };
        if let Err(error) = screen.record(&record) {
            return output_ending(error).map(|_| ());
        }
        if record.seq >= last {
            break;
        }
    }
    Ok(())
}

async fn start<W: Write, E: Write>(
    client: &dyn Client,
    settings: Settings,
    screen: &mut Screen<W, E>,
) -> Result<Begun, Error> {
    let schema = schema_of(&settings)?;
    screen.budget = settings.limits.budget;
    let mut starting = client.start(settings);
    let session = if let Ok(started) = timeout(SILENT, &mut starting).await {
        started?
    } else {
        screen
            .warn("waiting for servers of tools: `quire mcp` shows them, `mcp_wait_s` is how long");
        starting.await?
    };
    screen.session = Some(session.clone());
    Ok(Begun {
        raised: None,
        session,
        schema,
        found: Seq(0),
        known: Seq(0),
        unfinished: false,
        has_goal: false,
        limits: None,
    })
}

async fn open<W: Write, E: Write>(
    client: &dyn Client,
    session: SessionId,
    adapt: Adapt,
    screen: &mut Screen<W, E>,
) -> Result<Begun, Error> {
    let Opened {
        settings: recorded,
        found,
        last,
        unfinished,
        pause,
        has_goal,
        repaired,
    } = client.open(&session).await?;
    screen.session = Some(session.clone());
    if let Some(repaired) = repaired {
        screen.warn(&repaired);
    }
    let settings = adapt(recorded.clone()).map_err(ClientError::Settings)?;
    let schema = schema_of(&settings)?;
    screen.budget = settings.limits.budget;
    let limits = limits::changed(&recorded, &settings);
    let mut raised = (settings != recorded).then_some(settings);
    if pause != Some(Pause::Limit)
        && let Some(settings) = raised.take()
    {
        client.submit(&session, Op::Configure { settings }).await?;
    }
    Ok(Begun {
        raised,
        session,
        schema,
        found,
        known: last,
        unfinished: unfinished || has_goal,
        has_goal,
        limits,
    })
}

fn schema_of(settings: &Settings) -> Result<Option<Schema>, Error> {
    settings.output_schema.as_ref().map(Schema::new).transpose()
}
