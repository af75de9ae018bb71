//! `quire` without a command: the screen. Its sessions live in the host and go on without it.

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::sync::Arc;

use quire_config::Resolved;
use quire_model::Catalogue;
use quire_protocol::{Client, Settings, Standing};
use quire_tui::{Fit, Form, Palette, Setup, Start};

use crate::args::TalkArgs;
use crate::surroundings::{Surroundings, now_ms};
use crate::{assemble, exec, host, terminal, usage, warnings};

pub(crate) async fn talk(args: TalkArgs, around: &Surroundings) -> anyhow::Result<ExitCode> {
    if let Some(word) = args
        .prompt
        .as_deref()
        .filter(|prompt| !prompt.contains(' '))
    {
        return Err(usage(format!(
            "there is no command `{word}`: `quire --help` lists them. A first message has more than \
             one word"
        )));
    }
    if !(std::io::stdin().is_terminal() && std::io::stdout().is_terminal()) {
        return Err(usage(
            "the screen needs a terminal: `quire exec \"…\"` does a task without one",
        ));
    }
    let mut flags = args.flags();
    let mut resolved = around.settings(flags.clone())?;
    for notice in resolved.notices() {
        terminal::complain(&format!("{}: {}", notice.source, notice.message));
    }
    // The wall is tried here, where somebody can be asked; the host builds its own.
    let trial = assemble::sandbox(around)?;
    if warnings::goes_unconfined(trial, resolved.policy(), true).await? {
        flags.push(("sandbox", "your answer", "off".to_owned()));
        resolved = around.settings(flags)?;
    }
    let host = Arc::new(host::remote(around, args.host.as_deref())?);
    let client: Arc<dyn Client> = host.clone();
    let (_, catalogue) = assemble::models(around, &resolved);
    let start = start(&args, around, &resolved, &catalogue, &*client).await?;
    let color = around.variable("NO_COLOR").is_none();
    let plain = args.plain || around.variable("TERM") == Some("dumb");
    let folder = around.workspace.clone();
    let setup = Setup {
        client,
        start,
        first: args.prompt,
        fit: fit(around.clone(), catalogue),
        branch: Box::new(move || quire_headless::branch(&folder)),
        form: match (plain, color) {
            (true, _) => Form::Plain,
            (false, true) => Form::Screen(Palette::Sixteen),
            (false, false) => Form::Screen(Palette::None),
        },
        name: format!("tui-{}-{}", std::process::id(), now_ms()),
        interrupts: exec::interrupts()?,
    };
    let session = quire_tui::talk(setup).await?;
    let agents = host.agents().await.unwrap_or_default();
    let mut working = agents
        .iter()
        .filter(|agent| agent.standing == Standing::Working);
    if working.any(|agent| agent.head.session == session) {
        terminal::complain("it works on without this screen: `quire agents` shows what it does");
    }
    terminal::complain(&format!("the session is kept: quire --resume {session}"));
    Ok(ExitCode::SUCCESS)
}

async fn start(
    args: &TalkArgs,
    around: &Surroundings,
    resolved: &Resolved,
    catalogue: &Arc<Catalogue>,
    client: &dyn Client,
) -> anyhow::Result<Start> {
    let asked = exec::asked_for(client, around, args.resume.as_deref(), args.continue_newest);
    let Some(session) = asked.await? else {
        let model = resolved.model_name().map_err(usage)?;
        let settings = assemble::session_settings(around, resolved, catalogue, model);
        warnings::of_model(catalogue, resolved, &settings, &[])?;
        warnings::of_instructions(around, resolved);
        return Ok(Start::New(settings));
    };
    let model = resolved.flagged_model().map_err(usage)?;
    let (resolved, catalogue) = (resolved.clone(), Arc::clone(catalogue));
    let adapt = move |settings: Settings| {
        assemble::adapted(resolved.flags_over(settings, model), &resolved, &catalogue)
    };
    let adapt = Box::new(adapt);
    Ok(Start::Open { session, adapt })
}

/// Fits settings to a model by the name that a person gives it.
fn fit(around: Surroundings, catalogue: Arc<Catalogue>) -> Fit {
    Box::new(move |mut settings, name| {
        let resolved = around
            .settings([("model", "/model", name.to_owned())])
            .map_err(|error| error.to_string())?;
        settings.model = resolved.model_name().map_err(|error| error.to_string())?;
        assemble::adapted(settings, &resolved, &catalogue)
    })
}
