//! `quire cost`, `quire stats`, `quire cache`: what was done, spent and cached.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use quire_headless::{CostQuery, Report, find_session, sessions_asked};
use quire_protocol::{Day, Usage};

use crate::args::{CacheCommand, CostArgs, StatsArgs};
use crate::surroundings::Surroundings;
use crate::{assemble, terminal, usage};

pub(crate) async fn cost(args: CostArgs, around: &Surroundings) -> anyhow::Result<ExitCode> {
    let archive = assemble::archive(around, &around.settings([])?)?;
    let folder = args.here.then(|| around.folder());
    let sessions = sessions_asked(&*archive, args.session.as_deref(), folder).await;
    let query = CostQuery {
        by: args.by,
        sessions: sessions.map_err(usage)?,
        since: args.since,
        until: args.until,
    };
    let table = quire_headless::cost(&*archive, &query).await?;
    show(around, args.json, &table)
}

pub(crate) async fn stats(args: StatsArgs, around: &Surroundings) -> anyhow::Result<ExitCode> {
    let archive = assemble::archive(around, &around.settings([])?)?;
    let folder = args.here.then(|| around.folder());
    let sessions = sessions_asked(&*archive, args.session.as_deref(), folder).await;
    let stats = quire_headless::stats(&*archive, sessions.map_err(usage)?).await?;
    show(around, args.json, &stats)
}

pub(crate) async fn cache(args: CacheCommand, around: &Surroundings) -> anyhow::Result<ExitCode> {
    let CacheCommand::Explain { session, json } = args;
    let resolved = around.settings([])?;
    let archive = assemble::archive(around, &resolved)?;
    let (_, catalogue) = assemble::models(around, &resolved);
    let head = find_session(&*archive, &session).await.map_err(usage)?;
    let price = |model: &str, day: Day, used: &Usage| catalogue.price(model, day, used);
    let report = quire_headless::explain_cache(&*archive, &head, &price).await;
    show(around, json, &report)
}

fn show(around: &Surroundings, json: bool, report: &dyn Report) -> anyhow::Result<ExitCode> {
    for told in report.damage() {
        terminal::complain(told);
    }
    let style = terminal::style(around, std::io::stdout().is_terminal());
    terminal::print(&if json {
        report.json()
    } else {
        report.text(style)
    })?;
    Ok(ExitCode::SUCCESS)
}
