//! `quire cost`, `quire stats`, `quire cache`: what was done, spent and cached.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use quire_headless::{CostBy, CostQuery, Day, Style, find_session};
use quire_model::Billing;
use quire_protocol::{SessionQuery, Usage};

use crate::args::{By, CacheCommand, CostArgs, StatsArgs};
use crate::surroundings::Surroundings;
use crate::{assemble, terminal, usage};

pub(crate) async fn cost(args: CostArgs, around: &Surroundings) -> anyhow::Result<ExitCode> {
    let archive = assemble::archive(around, &around.settings([])?)?;
    let query = CostQuery {
        by: match args.by {
            By::Session => CostBy::Session,
            By::Day => CostBy::Day,
            By::Model => CostBy::Model,
            By::Project => CostBy::Project,
        },
        sessions: wanted(&archive, args.session, args.here, around).await?,
        since: args.since,
        until: args.until,
    };
    let table = quire_headless::cost(&archive, &query).await?;
    show(
        around,
        args.json,
        table.damage(),
        || table.json(),
        |style| table.text(style),
    )
}

pub(crate) async fn stats(args: StatsArgs, around: &Surroundings) -> anyhow::Result<ExitCode> {
    let archive = assemble::archive(around, &around.settings([])?)?;
    let sessions = wanted(&archive, args.session, args.here, around).await?;
    let stats = quire_headless::stats(&archive, sessions).await?;
    show(
        around,
        args.json,
        stats.damage(),
        || stats.json(),
        |style| stats.text(style),
    )
}

pub(crate) async fn cache(
    command: CacheCommand,
    around: &Surroundings,
) -> anyhow::Result<ExitCode> {
    let CacheCommand::Explain { session, json } = command;
    let resolved = around.settings([])?;
    let archive = assemble::archive(around, &resolved)?;
    let (_, catalogue) = assemble::models(around, &resolved);
    let head = find_session(&archive, &session).await.map_err(usage)?;
    let price = |model: &str, day: Day, used: &Usage| {
        let (provider, name) = model.split_once('/').unwrap_or_default();
        let billing = Billing {
            day: Some(quire_model::Day(day.0)),
            ..Billing::default()
        };
        catalogue.facts(provider, name).cost(used, billing)
    };
    let report = quire_headless::explain_cache(&archive, &head, &price).await;
    show(
        around,
        json,
        report.damage(),
        || report.json(),
        |style| report.text(style),
    )
}

/// The sessions that are asked for.
async fn wanted(
    archive: &quire_engine::Engine,
    session: Option<String>,
    here: bool,
    around: &Surroundings,
) -> anyhow::Result<SessionQuery> {
    let id_prefix = match session {
        Some(id) => {
            let head = find_session(archive, &id).await.map_err(usage)?;
            Some(head.session.to_string())
        }
        None => None,
    };
    Ok(SessionQuery {
        workspace: here.then(|| around.folder()),
        id_prefix,
        limit: 0,
    })
}

fn show(
    around: &Surroundings,
    as_json: bool,
    damage: &[String],
    json: impl FnOnce() -> String,
    text: impl FnOnce(Style) -> String,
) -> anyhow::Result<ExitCode> {
    for told in damage {
        terminal::complain(told);
    }
    terminal::print(&if as_json {
        json()
    } else {
        text(terminal::style(around, std::io::stdout().is_terminal()))
    })?;
    Ok(ExitCode::SUCCESS)
}
