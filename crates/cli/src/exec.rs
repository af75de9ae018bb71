//! `quire exec`: one task in the current folder, without a screen.

use std::io::{BufReader, IsTerminal as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use quire_catalogue::Catalogue;
use quire_config::Resolved;
use quire_headless::{Approver, Outcome, Output, Start, Task, find_session, newest_session};
use quire_protocol::{Client, Content, Goal, SessionId, Settings};
use tokio::sync::watch;

use crate::args::ExecArgs;
use crate::surroundings::Surroundings;
use crate::{assemble, terminal, usage, warnings};

pub(crate) async fn exec(args: ExecArgs, surroundings: &Surroundings) -> anyhow::Result<ExitCode> {
    let mut flags = args.flags();
    let mut resolved = surroundings.settings(flags.clone())?;
    warnings::of_settings(&resolved);
    let patience = resolved.timeout().unwrap_or(Duration::MAX);
    let Ok(content) = tokio::time::timeout(patience, content(&args)).await else {
        terminal::complain("standard input did not end in time");
        return Ok(ExitCode::from(Outcome::TimedOut.exit_code()));
    };
    let content = content?;
    let schema = args
        .output_schema
        .as_deref()
        .map(quire_headless::schema_file);
    let schema = schema
        .transpose()
        .map_err(|wrong| usage(format!("--output-schema {wrong}")))?;
    // The spawner comes first, while this process is small.
    let sandbox = assemble::sandbox(surroundings)?;
    let attended = terminal::is_attended() && !args.json;
    if warnings::goes_unconfined(sandbox.clone(), resolved.policy(), attended).await? {
        flags.push(("sandbox", "your answer", "off".to_owned()));
        resolved = surroundings.settings(flags)?;
    }
    let (engine, catalogue) = assemble::working(surroundings, &resolved, sandbox)?;
    let start = start(
        &args,
        &content,
        surroundings,
        &resolved,
        &catalogue,
        &*engine,
        schema,
    )
    .await?;
    if let Start::New(settings) = &start {
        warnings::of_model(&catalogue, &resolved, settings, &content)?;
        warnings::of_instructions(surroundings, &resolved);
    }
    let task = Task {
        content,
        goal: args
            .goal
            .as_ref()
            .map(|goal| Goal::new(goal.clone(), args.check.clone())),
        start,
        output: if args.json {
            Output::Json
        } else {
            Output::Progress
        },
        style: terminal::style(surroundings, std::io::stderr().is_terminal()),
        approvals: if attended {
            Approver::Person(Box::new(BufReader::new(std::io::stdin())))
        } else {
            Approver::Nobody
        },
        timeout: resolved.timeout(),
    };
    let (out, err) = (std::io::stdout(), std::io::stderr());
    let outcome = quire_headless::run(engine, task, out, err, interrupts()?).await?;
    Ok(ExitCode::from(outcome.exit_code()))
}

/// What is said: the prompt, what comes on standard input, the images. Nothing, to go on with an
/// unfinished turn.
async fn content(args: &ExecArgs) -> anyhow::Result<Vec<Content>> {
    let input = std::io::stdin();
    let said = quire_headless::said(args.task(), input, &args.image, terminal::complain).await;
    let goes_on = (args.resume.is_some() || args.continue_newest) && args.image.is_empty();
    match said.map_err(usage)? {
        None if !goes_on => Err(usage(
            "there is no task: write it after `quire exec`, or pipe it in",
        )),
        said => Ok(said.unwrap_or_default()),
    }
}

async fn start(
    args: &ExecArgs,
    content: &[Content],
    around: &Surroundings,
    resolved: &Resolved,
    catalogue: &Arc<Catalogue>,
    engine: &dyn Client,
    schema: Option<serde_json::Value>,
) -> anyhow::Result<Start> {
    let asked = asked_for(engine, around, args.resume.as_deref(), args.continue_newest);
    let Some(session) = asked.await? else {
        let model = resolved.model_name().map_err(usage)?;
        let mut settings = assemble::session_settings(around, resolved, catalogue, model);
        settings.output_schema = schema;
        settings.policy.phase = args.phase().unwrap_or_default();
        return Ok(Start::New(settings));
    };
    let model = resolved.flagged_model().map_err(usage)?;
    let (resolved, catalogue) = (resolved.clone(), Arc::clone(catalogue));
    // Without a new task the old one goes on, and so does the form of its answer.
    let keeps_schema = content.is_empty() && schema.is_none();
    let phase = args.phase();
    let adapt = move |settings: Settings| {
        let mut settings = resolved.flags_over(settings, model);
        if !keeps_schema {
            settings.output_schema = schema;
        }
        settings.policy.phase = phase.unwrap_or(settings.policy.phase);
        assemble::adapted(settings, &resolved, &catalogue)
    };
    Ok(Start::Open {
        session,
        adapt: Box::new(adapt),
    })
}

/// The session that `--resume` or `--continue` names; none where neither is given.
pub(crate) async fn asked_for(
    engine: &dyn Client,
    surroundings: &Surroundings,
    resume: Option<&str>,
    continues: bool,
) -> anyhow::Result<Option<SessionId>> {
    let session = match resume {
        Some(id) => find_session(engine, id).await.map_err(usage)?.session,
        None if continues => newest_session(engine, surroundings.folder())
            .await
            .map_err(usage)?,
        None => return Ok(None),
    };
    Ok(Some(session))
}

/// Counts Ctrl-C and requests to terminate.
pub(crate) fn interrupts() -> anyhow::Result<watch::Receiver<u32>> {
    quire_headless::interrupts().context("cannot listen for Ctrl-C and SIGTERM")
}
