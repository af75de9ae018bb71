//! `quire` without a command: the screen. Its sessions live in the host and go on without it.

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::sync::Arc;

use quire_catalogue::Catalogue;
use quire_config::Resolved;
use quire_protocol::{Client, Settings};
use quire_tui::{Check, Colours, Fit, Form, Looks, Notify, Overview, Room, Setup, Start, Thinking};

use crate::args::TalkArgs;
use crate::machine::OwnMachine;
use crate::surroundings::{Surroundings, now_ms};
use crate::{assemble, doctor, exec, first, host, settings, terminal, usage, warnings};

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
    let fresh = args.resume.is_none() && !args.continue_newest && resolved.model().is_none();
    if fresh && resolved.model_name().is_err() {
        first::start(around).await?;
        resolved = around.settings(flags.clone())?;
    }
    if resolved.is_undecided() {
        settings::ask_trust(around)?;
        resolved = around.settings(flags.clone())?;
    }
    warnings::of_settings(&resolved);
    // The wall is tried here, where somebody can be asked; the host builds its own.
    let trial = assemble::sandbox(around)?;
    if warnings::goes_unconfined(trial, resolved.policy(), true).await? {
        flags.push(("sandbox", "your answer", "off".to_owned()));
        resolved = around.settings(flags)?;
    }
    let host = Arc::new(host::remote(around, args.host.as_deref()).await?);
    let client: Arc<dyn Client> = host.clone();
    let (_, catalogue) = assemble::models(around, &resolved);
    let start = start(&args, around, &resolved, &catalogue, &*client).await?;
    let plain = args.plain || around.variable("TERM") == Some("dumb");
    let setup = Setup {
        client,
        lookout: Arc::new(host::lookout(around, args.host.as_deref()).await?),
        start,
        first: args.prompt,
        follow_up: resolved.follow_up(),
        models: known(&resolved, &catalogue),
        fit: fit(around.clone()),
        machine: Arc::new(OwnMachine::new(around)),
        branch: quire_headless::branch,
        form: if plain { Form::Plain } else { Form::Screen },
        looks: looks(around, &resolved),
        check: check(around.clone()),
        origins: resolved.origins(),
        now_ms,
        notify: notify(around, &resolved),
        name: name(),
    };
    let session = quire_tui::talk(setup).await?;
    let agents = host.agents().await.unwrap_or_default();
    for words in quire_headless::parting(&agents, &session) {
        terminal::complain(&words);
    }
    Ok(ExitCode::SUCCESS)
}

/// The board of all sessions; one that is opened is left for the board.
pub(crate) async fn agents(url: Option<&str>, around: &Surroundings) -> anyhow::Result<ExitCode> {
    let (mut chosen, mut notice) = (None, None);
    let host = host::remote(around, url).await?;
    loop {
        let resolved = around.settings([])?;
        let overview = Overview {
            client: Arc::new(host.clone()),
            lookout: Arc::new(host::lookout(around, url).await?),
            chosen,
            notice,
            theme: looks(around, &resolved).theme,
            notify: notify(around, &resolved),
            now_ms,
            name: name(),
        };
        let Some(head) = quire_tui::agents(overview).await? else {
            return Ok(ExitCode::SUCCESS);
        };
        let args = TalkArgs {
            resume: Some(head.session.to_string()),
            host: url.map(str::to_owned),
            ..TalkArgs::default()
        };
        let left = talk(args, &around.at(head.workspace.as_ref())).await;
        notice = left.err().map(|error| format!("{error:#}"));
        chosen = Some(head.session);
    }
}

/// How a person who looks elsewhere is told.
fn notify(around: &Surroundings, resolved: &Resolved) -> Notify {
    Notify::named(resolved.notify(), |name| around.variable(name)).unwrap_or_default()
}

/// The models that can be named on the screen: those of the settings, and those known by name.
fn known(resolved: &Resolved, catalogue: &Catalogue) -> Vec<String> {
    let set = resolved.models().keys().cloned();
    set.chain(catalogue.known()).collect()
}

/// What no other screen is called.
fn name() -> String {
    format!("tui-{}-{}", std::process::id(), now_ms())
}

fn looks(around: &Surroundings, resolved: &Resolved) -> Looks {
    let colours = Colours::found(|name| around.variable(name));
    let theme = colours.theme(resolved.theme()).unwrap_or_default();
    let full = resolved.fills_screen().then_some(Room::Full);
    let shown = resolved.shows_thinking().then_some(Thinking::Shown);
    Looks {
        colours,
        theme,
        room: full.unwrap_or_default(),
        thinking: shown.unwrap_or_default(),
        progress: resolved.progress(),
    }
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

/// Fits settings to what a person sets on the screen, as flags would set it.
fn fit(around: Surroundings) -> Fit {
    Arc::new(move |settings, flags| {
        let flags = flags
            .iter()
            .map(|(key, value)| (*key, "the screen", value.clone()));
        let resolved = around.settings(flags).map_err(|error| error.to_string())?;
        let model = resolved
            .flagged_model()
            .map_err(|error| error.to_string())?;
        let catalogue = assemble::catalogue(&resolved);
        assemble::adapted(resolved.flags_over(settings, model), &resolved, &catalogue)
    })
}

/// The checks of `quire doctor` for a model, in lines.
fn check(around: Surroundings) -> Check {
    Box::new(move |model| {
        let around = around.clone();
        Box::pin(async move {
            match doctor::examine(Some(&model), &around).await {
                Ok(report) => report.text().to_owned(),
                Err(error) => format!("{error:#}"),
            }
        })
    })
}
