//! `quire platform`: the developer platform, from its config to its signals.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use quire_depot::{Budget, Limits, Period};
use quire_platform::{App, NewKey, Operator, Secrets};
use tokio::signal::unix::{SignalKind, signal};

use crate::args::{BudgetPeriod, KeysCommand, NewKeyArgs, PlatformCommand};
use crate::surroundings::{Surroundings, now_ms};
use crate::{assemble, terminal, usage};

const DAY_MS: i64 = 86_400_000;

pub(crate) async fn platform(
    command: PlatformCommand,
    config: Option<PathBuf>,
    surroundings: &Surroundings,
) -> anyhow::Result<ExitCode> {
    let mut operator = operator(config, surroundings)?;
    match command {
        PlatformCommand::Serve => serve(&operator).await?,
        PlatformCommand::Check { file } => {
            operator.file = file.unwrap_or(operator.file);
            let checked = operator.check().map_err(usage)?;
            terminal::print(&checked.text)?;
            if !checked.usable {
                return Ok(ExitCode::FAILURE);
            }
        }
        PlatformCommand::Keys { command } => match command {
            KeysCommand::Create(args) => {
                let workspace = args.workspace.clone();
                let secret = operator.add_key(&workspace, new_key(args)).await?;
                terminal::print(&format!("{}\n", secret.reveal()))?;
            }
            KeysCommand::List => terminal::print(&operator.keys().await?)?,
            KeysCommand::Revoke { id } => operator.revoke(&id).await?,
        },
    }
    Ok(ExitCode::SUCCESS)
}

fn operator(config: Option<PathBuf>, surroundings: &Surroundings) -> anyhow::Result<Operator> {
    let paths = &surroundings.paths;
    Ok(Operator {
        file: config.unwrap_or_else(|| paths.config_file().with_file_name("platform.toml")),
        data: paths.data.join("platform"),
        secrets: Secrets {
            variables: surroundings.variables.iter().cloned().collect(),
            proxies: assemble::proxies(surroundings),
        },
        catalogue: Arc::new(assemble::catalogue(&surroundings.settings([])?)),
    })
}

async fn serve(operator: &Operator) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (app, server) = operator.server().await?;
    let reloading = tokio::spawn(reload(operator.clone(), app));
    let scheme = if operator.config()?.tls.is_some() {
        "https"
    } else {
        "http"
    };
    terminal::print(&format!("listening on {scheme}://{}\n", server.address()?))?;
    let end = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    server.run(end).await;
    reloading.abort();
    Ok(())
}

/// Reads the config again at each SIGHUP. One that cannot be used changes nothing.
async fn reload(operator: Operator, app: Arc<App>) -> anyhow::Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    while hangup.recv().await.is_some() {
        let read = operator.reload(&app).map(|checked| checked.text);
        terminal::complain(
            read.unwrap_or_else(|error| format!("nothing was changed: {error}"))
                .trim_end(),
        );
    }
    Ok(())
}

fn new_key(args: NewKeyArgs) -> NewKey {
    let now = i64::try_from(now_ms()).unwrap_or(i64::MAX);
    let period = match args.budget_period {
        BudgetPeriod::Day => Period::Day,
        BudgetPeriod::Month => Period::Month,
        BudgetPeriod::Total => Period::Total,
    };
    NewKey {
        name: args.name,
        expires_at: args.expires_days.map(|days| now + i64::from(days) * DAY_MS),
        models: args.model,
        regions: args.region,
        limits: Limits {
            requests_per_minute: args.requests_per_minute,
            input_tokens_per_minute: args.input_tokens_per_minute,
            output_tokens_per_minute: args.output_tokens_per_minute,
        },
        budget: args.budget_usd.map(|amount| Budget { amount, period }),
    }
}
