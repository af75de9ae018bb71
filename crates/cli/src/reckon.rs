//! `quire cost`: what sessions cost.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use quire_headless::{CostBy, CostQuery, find_session};

use crate::args::{By, CostArgs};
use crate::surroundings::Surroundings;
use crate::{assemble, terminal, usage};

pub(crate) async fn cost(args: CostArgs, surroundings: &Surroundings) -> anyhow::Result<ExitCode> {
    let archive = assemble::archive(surroundings, &surroundings.settings([])?)?;
    let session = match &args.session {
        Some(id) => find_session(&archive, id)
            .await
            .map_err(usage)?
            .session
            .to_string(),
        None => String::new(),
    };
    let query = CostQuery {
        by: match args.by {
            By::Session => CostBy::Session,
            By::Day => CostBy::Day,
            By::Model => CostBy::Model,
            By::Project => CostBy::Project,
        },
        session,
        workspace: args.here.then(|| surroundings.folder()),
        since: args.since,
        until: args.until,
    };
    let table = quire_headless::cost(&archive, &query).await?;
    table
        .damage()
        .iter()
        .for_each(|told| terminal::complain(told));
    let style = terminal::style(surroundings, std::io::stdout().is_terminal());
    terminal::print(&if args.json {
        table.json()
    } else {
        table.text(style)
    })?;
    Ok(ExitCode::SUCCESS)
}
