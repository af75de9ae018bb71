//! `quire exec`: one task in the current folder, without a screen.

use std::io::{BufReader, IsTerminal as _};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use quire_config::{Layer, Resolved};
use quire_headless::{Approver, Output, Start, Task};
use quire_protocol::{Client, Content, SessionQuery, Settings, Store};
use tokio::sync::watch;

use crate::args::ExecArgs;
use crate::sessions::find_session;
use crate::surroundings::Surroundings;
use crate::{assemble, terminal, usage};

/// The largest image that is sent, in bytes; providers take no more.
const IMAGE_BYTES: u64 = 5 << 20;

pub(crate) async fn exec(args: ExecArgs, surroundings: &Surroundings) -> anyhow::Result<ExitCode> {
    let resolved = surroundings.settings(flags(&args)?)?;
    for notice in resolved.notices() {
        terminal::complain(&format!("{}: {}", notice.source, notice.message));
    }
    let content = content(&args).await?;
    let schema = args.output_schema.as_deref().map(read_schema).transpose()?;
    // The spawner comes first, while this process is small.
    let sandbox = assemble::sandbox(surroundings)?;
    let store = assemble::store(surroundings, &resolved)?;
    let (router, catalogue) = assemble::models(surroundings, &resolved);
    let engine: Arc<dyn Client> = Arc::new(assemble::engine(
        surroundings,
        &resolved,
        Arc::clone(&store) as Arc<dyn Store>,
        Arc::new(router),
        catalogue,
        sandbox,
    ));
    let start = start(&args, surroundings, &resolved, &*engine, schema).await?;
    let output = if args.json {
        Output::Json
    } else {
        Output::Progress
    };
    let approvals = if terminal::is_attended() && !args.json {
        Approver::Person(Box::new(BufReader::new(std::io::stdin())))
    } else {
        Approver::Nobody
    };
    let task = Task {
        content,
        start,
        output,
        style: terminal::style(surroundings, std::io::stderr().is_terminal()),
        approvals,
        timeout: resolved.timeout(),
    };
    let outcome = quire_headless::run(
        engine,
        task,
        std::io::stdout(),
        std::io::stderr(),
        interrupts()?,
    )
    .await?;
    Ok(ExitCode::from(outcome.exit_code()))
}

/// The settings that flags make, with how each was written.
fn flags(args: &ExecArgs) -> anyhow::Result<Vec<(&'static str, &'static str, String)>> {
    let timeout = args.timeout.as_deref().map(seconds).transpose()?;
    let given = [
        ("model", "--model", args.model.clone()),
        ("effort", "--effort", args.effort.clone()),
        (
            "max_turns",
            "--max-turns",
            args.max_turns.map(|n| n.to_string()),
        ),
        ("budget_usd", "--budget-usd", args.budget_usd.clone()),
        ("timeout_s", "--timeout", timeout.map(|s| s.to_string())),
        (
            "sandbox",
            "--sandbox",
            args.sandbox.map(|s| s.name().to_owned()),
        ),
        (
            "approvals",
            "--approve",
            args.approve.map(|a| a.name().to_owned()),
        ),
    ];
    Ok(given
        .into_iter()
        .filter_map(|(key, flag, value)| Some((key, flag, value?)))
        .collect())
}

/// A time as seconds: `90`, `90s`, `15m`, `2h`.
fn seconds(text: &str) -> anyhow::Result<u64> {
    let (digits, factor) = match text.char_indices().last() {
        Some((at, 's')) => (&text[..at], 1),
        Some((at, 'm')) => (&text[..at], 60),
        Some((at, 'h')) => (&text[..at], 3600),
        _ => (text, 1),
    };
    digits
        .parse::<u64>()
        .ok()
        .and_then(|count| count.checked_mul(factor))
        .filter(|seconds| *seconds > 0)
        .ok_or_else(|| usage(format!("--timeout {text}: write it like 90s, 15m or 2h")))
}

/// What is said: the prompt, what comes on standard input, the images.
async fn content(args: &ExecArgs) -> anyhow::Result<Vec<Content>> {
    let piped = terminal::piped_input().await?;
    let prompt = args
        .prompt
        .as_deref()
        .filter(|prompt| !prompt.trim().is_empty() && *prompt != "-");
    let text = match (prompt, piped) {
        (Some(prompt), Some(piped)) => format!("{prompt}\n\n<stdin>\n{piped}\n</stdin>"),
        (Some(prompt), None) => prompt.to_owned(),
        (None, Some(piped)) => piped,
        (None, None) if args.resume.is_some() && args.image.is_empty() => return Ok(Vec::new()),
        (None, None) => {
            return Err(usage(
                "there is no task: write it after `quire exec`, or pipe it in",
            ));
        }
    };
    let mut content = vec![Content::text(text)];
    for path in &args.image {
        content.push(image(path)?);
    }
    Ok(content)
}

fn image(path: &Path) -> anyhow::Result<Content> {
    let wrong = |what: String| usage(format!("--image {}: {what}", path.display()));
    let size = std::fs::metadata(path)
        .map_err(|error| wrong(error.to_string()))?
        .len();
    if size > IMAGE_BYTES {
        return Err(wrong(format!(
            "{size} bytes are too many, at most {IMAGE_BYTES} are sent: make it smaller"
        )));
    }
    let bytes = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
    let media_type = match bytes.as_slice() {
        [0x89, b'P', b'N', b'G', ..] => "image/png",
        [0xff, 0xd8, 0xff, ..] => "image/jpeg",
        [b'G', b'I', b'F', b'8', ..] => "image/gif",
        [
            b'R',
            b'I',
            b'F',
            b'F',
            _,
            _,
            _,
            _,
            b'W',
            b'E',
            b'B',
            b'P',
            ..,
        ] => "image/webp",
        _ => return Err(wrong("it is no png, jpeg, gif or webp".to_owned())),
    };
    Ok(Content::Image {
        media_type: media_type.to_owned(),
        data: STANDARD.encode(bytes),
    })
}

fn read_schema(path: &Path) -> anyhow::Result<serde_json::Value> {
    let wrong = |what: String| usage(format!("--output-schema {}: {what}", path.display()));
    let bytes = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
    serde_json::from_slice(&bytes).map_err(|error| wrong(format!("it is not JSON: {error}")))
}

async fn start(
    args: &ExecArgs,
    surroundings: &Surroundings,
    resolved: &Resolved,
    engine: &dyn Client,
    schema: Option<serde_json::Value>,
) -> anyhow::Result<Start> {
    let session = if let Some(id) = &args.resume {
        find_session(engine, id).await?.session
    } else if args.continue_newest {
        let query = SessionQuery {
            workspace: Some(surroundings.workspace.to_string_lossy().into_owned()),
            limit: 1,
            ..SessionQuery::default()
        };
        let newest = engine.sessions(query).await?.into_iter().next();
        newest
            .ok_or_else(|| usage("there is no session in this folder yet: leave out --continue"))?
            .session
    } else {
        let model = assemble::model_name(surroundings, resolved)?;
        let mut settings = assemble::session_settings(surroundings, resolved, model);
        settings.output_schema = schema;
        return Ok(Start::New(settings));
    };
    let flagged = |key: &str| {
        let source = resolved.source(key);
        source.is_some_and(|source| source.layer() == Layer::Flag)
    };
    let model = match flagged("model") {
        true => Some(assemble::model_name(surroundings, resolved)?),
        false => None,
    };
    let (effort, policy, limits) = (resolved.effort(), resolved.policy(), resolved.limits());
    let set = ["effort", "sandbox", "approvals", "max_turns", "budget_usd"].map(flagged);
    let adapt = move |mut settings: Settings| {
        let [
            has_effort,
            has_sandbox,
            has_approvals,
            has_turns,
            has_budget,
        ] = set;
        if let Some(model) = model {
            settings.model = model;
        }
        if has_effort {
            settings.effort = effort;
        }
        if has_sandbox {
            settings.policy.sandbox = policy.sandbox;
        }
        if has_approvals {
            settings.policy.approvals = policy.approvals;
        }
        if has_turns {
            settings.limits.requests_per_turn = limits.requests_per_turn;
        }
        if has_budget {
            settings.limits.budget = limits.budget;
        }
        settings.output_schema = schema;
        settings
    };
    Ok(Start::Open {
        session,
        adapt: Box::new(adapt),
    })
}

/// Counts Ctrl-C and requests to terminate.
pub(crate) fn interrupts() -> anyhow::Result<watch::Receiver<u32>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for Ctrl-C")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let (count, receiver) = watch::channel(0);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            count.send_modify(|count| *count += 1);
        }
    });
    Ok(receiver)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for (text, expected) in [("90", 90), ("90s", 90), ("15m", 900), ("2h", 7200)] {
            assert_eq!(seconds(text).unwrap(), expected);
        }
        for wrong in [
            "",
            "m",
            "1d",
            "-5",
            "0",
            "99999999999999999999",
            "1.5h",
            "ü",
        ] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
