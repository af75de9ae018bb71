//! `quire sessions`: list, show, search, export, compact, remove.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use quire_headless::{Outcome, Upkeep, find_session};
use quire_protocol::{Client, Record, SessionQuery, clean, counted};

use crate::args::{SessionsArgs, SessionsCommand};
use crate::surroundings::{Surroundings, now_ms};
use crate::{assemble, exec, terminal, usage};

pub(crate) async fn sessions(
    args: SessionsArgs,
    surroundings: &Surroundings,
) -> anyhow::Result<ExitCode> {
    let resolved = surroundings.settings([])?;
    let archive = assemble::archive(surroundings, &resolved)?;
    let style = terminal::style(surroundings, std::io::stdout().is_terminal());
    let command = args.command.unwrap_or(SessionsCommand::List {
        here: false,
        limit: 30,
    });
    match command {
        SessionsCommand::List { here, limit } => {
            let query = SessionQuery {
                workspace: here.then(|| surroundings.folder()),
                ..SessionQuery::default()
            };
            let heads = quire_headless::used_sessions(&*archive, query, limit).await?;
            if heads.is_empty() {
                terminal::complain("there is no session yet: `quire exec \"…\"` starts one");
            } else {
                terminal::print(&quire_headless::list(&heads, now_ms(), style))?;
            }
        }
        SessionsCommand::Show { id } => {
            let records = records(&*archive, &id).await?;
            terminal::print(&quire_headless::markdown(&records))?;
        }
        SessionsCommand::Search { text, limit } => {
            let hits = archive.search(&text, limit).await?;
            if hits.is_empty() {
                terminal::complain(&format!("nothing found for “{text}”"));
                return Ok(ExitCode::FAILURE);
            }
            terminal::print(&quire_headless::hits(&hits, style))?;
        }
        SessionsCommand::Export { id, markdown } => {
            let records = records(&*archive, &id).await?;
            terminal::print(&if markdown {
                quire_headless::markdown(&records)
            } else {
                quire_headless::jsonl(&records)
            })?;
        }
        SessionsCommand::Compact {
            id,
            focus,
            up_to,
            from,
        } => return upkeep(&id, Upkeep::compact(focus, up_to, from), surroundings).await,
        SessionsCommand::Undo { id } => return upkeep(&id, Upkeep::Undo, surroundings).await,
        SessionsCommand::Goal { id, drop: true, .. } => {
            return upkeep(&id, Upkeep::DropGoal, surroundings).await;
        }
        SessionsCommand::Goal {
            id, text, check, ..
        } => {
            return upkeep(&id, Upkeep::goal(text, check), surroundings).await;
        }
        SessionsCommand::Rm { id, yes } => return remove(&*archive, &id, yes).await,
    }
    Ok(ExitCode::SUCCESS)
}

async fn upkeep(id: &str, what: Upkeep, surroundings: &Surroundings) -> anyhow::Result<ExitCode> {
    let resolved = surroundings.settings([])?;
    let sandbox = assemble::sandbox(surroundings)?;
    let (engine, ..) = assemble::working(surroundings, &resolved, sandbox)?;
    let session = find_session(&*engine, id).await.map_err(usage)?.session;
    let kept = quire_headless::keep_up(&*engine, &session, what, exec::interrupts()?).await?;
    match kept.outcome {
        Outcome::Done => terminal::print(&(kept.words + "\n"))?,
        _ => terminal::complain(&kept.words),
    }
    Ok(ExitCode::from(kept.outcome.exit_code()))
}

async fn remove(archive: &dyn Client, id: &str, confirmed: bool) -> anyhow::Result<ExitCode> {
    let head = find_session(archive, id).await.map_err(usage)?;
    if !confirmed {
        if !terminal::is_attended() {
            return Err(usage(
                "removing needs a yes: add --yes, nobody can be asked here",
            ));
        }
        let title = clean(&head.title);
        let question = format!(
            "Remove session {} (“{title}”, {}) for good?",
            head.session,
            counted(head.events, "event")
        );
        if !terminal::confirms(&question)? {
            terminal::complain("kept");
            return Ok(ExitCode::FAILURE);
        }
    }
    archive.remove(&head.session).await?;
    Ok(ExitCode::SUCCESS)
}

async fn records(client: &dyn Client, prefix: &str) -> anyhow::Result<Vec<Record>> {
    let head = find_session(client, prefix).await.map_err(usage)?;
    let records = quire_headless::journal(client, &head.session).await;
    if let Some(damage) = quire_headless::damage(&head, records.len() as u64) {
        terminal::complain(&damage);
    }
    Ok(records)
}
