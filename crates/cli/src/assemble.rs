//! The composition root: settings → models, store, sandbox, engine.

use std::path::PathBuf;
use std::sync::Arc;

use quire_catalogue::{Catalogue, Images, Override, Prices, ThinkingKind, ToolDialect};
use quire_checkpoints::Keeper;
use quire_config::{ModelEntry, Resolved};
use quire_dialect::{ApiVersion, Clearing, Dialect, Features};
use quire_engine::{Engine, Parts};
use quire_mcp::Server;
use quire_model::{HttpModel, KeyHeader, Provider, RetryPolicy, Router, Secret};
use quire_net::Proxies;
use quire_protocol::{Checkpoints, Client, ContextLimits, EffortChoice, Model, Settings, Store};
use quire_sandbox::{Options, Spawner};
use quire_store::{Durability, SqliteStore};

use crate::mcp;
use crate::surroundings::Surroundings;
use crate::workbench::Bench;

/// Opens the store in the data folder.
pub(crate) fn store(
    surroundings: &Surroundings,
    resolved: &Resolved,
) -> anyhow::Result<Arc<SqliteStore>> {
    let durability = match resolved.durability() {
        quire_config::Durability::Second => Durability::Background,
        quire_config::Durability::Commit => Durability::EveryCommit,
    };
    Ok(Arc::new(SqliteStore::open(
        &surroundings.paths.data,
        durability,
    )?))
}

/// What the sandbox hides from commands, and from the reading tools.
pub(crate) fn hidden(surroundings: &Surroundings) -> Vec<PathBuf> {
    let home = surroundings.paths.home.as_deref();
    let mut hidden = home
        .map(quire_tools::well_known_secrets)
        .unwrap_or_default();
    hidden.push(surroundings.paths.data.clone());
    hidden.push(surroundings.paths.config.clone());
    hidden
}

/// Starts the process that starts all others.
pub(crate) fn sandbox(surroundings: &Surroundings) -> anyhow::Result<Arc<Spawner>> {
    Ok(Arc::new(Spawner::start(Options {
        program: surroundings.program.clone(),
        environment: surroundings.variables.clone(),
        protected: vec![
            surroundings.paths.config.clone(),
            surroundings.paths.data.clone(),
        ],
        hidden: hidden(surroundings),
        temp_root: std::env::temp_dir(),
        force: None,
    })?))
}

/// What is known of models, with what the settings say over it.
pub(crate) fn catalogue(resolved: &Resolved) -> Catalogue {
    Catalogue::builtin().with_overrides(resolved.models().values().map(model_override))
}

/// The models that the settings describe.
pub(crate) fn models(surroundings: &Surroundings, resolved: &Resolved) -> (Router, Arc<Catalogue>) {
    let catalogue = Arc::new(catalogue(resolved));
    let mut router = Router::new();
    for name in resolved.providers().keys() {
        let Some(provider) = provider(surroundings, resolved, name) else {
            continue;
        };
        let model = HttpModel::new(provider, Arc::clone(&catalogue), RetryPolicy::default());
        router = router.with(name, Arc::new(model));
    }
    (router, catalogue)
}

/// What a provider speaks.
pub(crate) fn dialect(described: quire_config::Dialect) -> Dialect {
    match described {
        quire_config::Dialect::Messages => Dialect::Messages,
        quire_config::Dialect::Responses => Dialect::Responses,
        quire_config::Dialect::Chat => Dialect::Chat,
    }
}

/// A provider as the settings describe it.
pub(crate) fn provider(
    surroundings: &Surroundings,
    resolved: &Resolved,
    name: &str,
) -> Option<Provider> {
    let described = resolved.providers().get(name)?;
    let dialect = dialect(described.dialect);
    let mut provider = Provider::new(name, dialect);
    provider.base_url.clone_from(&described.base_url.value);
    provider.url_variable = described.base_url.source.variable().map(str::to_owned);
    provider.key = described
        .key
        .as_ref()
        .map(|key| Secret::new(key.value.expose()));
    if let (None, "anthropic", Some(token)) = (
        &provider.key,
        name,
        surroundings.variable("ANTHROPIC_AUTH_TOKEN"),
    ) {
        provider.key = Some(Secret::new(token));
        provider.key_header = KeyHeader::Bearer;
    }
    provider.key_variable.clone_from(&described.key_env);
    provider.headers = described
        .headers
        .iter()
        .map(|(name, value)| (name.clone(), value.expose().to_owned()))
        .collect();
    if let Some(version) = described.api_version {
        provider.api_version = match version {
            quire_config::ApiVersion::V20230601 => ApiVersion::V20230601,
            quire_config::ApiVersion::V20261021 => ApiVersion::V20261021,
        };
    }
    provider.features = described.vendor_features.map(|all| {
        if all {
            Provider::VENDOR_FEATURES
        } else {
            Features::default()
        }
    });
    provider.regions.clone_from(&described.regions);
    provider.clearing = Clearing {
        tool_uses: described.clear.contains(&quire_config::Clear::ToolUses),
        thinking: described.clear.contains(&quire_config::Clear::Thinking),
    };
    provider.proxies = proxies(surroundings);
    Some(provider)
}

/// The proxies that the environment names.
pub(crate) fn proxies(surroundings: &Surroundings) -> Proxies {
    let either = |upper: &str, lower: &str| {
        let value = surroundings
            .variable(upper)
            .or_else(|| surroundings.variable(lower));
        value.unwrap_or_default().to_owned()
    };
    Proxies {
        https: either("HTTPS_PROXY", "https_proxy"),
        http: either("HTTP_PROXY", "http_proxy"),
        all: either("ALL_PROXY", "all_proxy"),
        none: either("NO_PROXY", "no_proxy"),
    }
}

fn model_override(entry: &ModelEntry) -> Override {
    let prices = entry.prices.map(|prices| {
        let quire_config::TokenPrices {
            input,
            output,
            cache_read,
            cache_write,
        } = prices;
        Prices::per_million(input, output, cache_read, cache_write)
    });
    Override {
        model: format!("{}/{}", entry.provider, entry.name),
        window: entry.window.map(u64::from),
        max_output: entry.max_output,
        prices,
        efforts: entry.efforts.clone(),
        thinking: entry.thinking.map(|thinking| match thinking {
            quire_config::Thinking::Adaptive => ThinkingKind::Adaptive,
            quire_config::Thinking::Budget => ThinkingKind::Budget,
            quire_config::Thinking::Unset => ThinkingKind::Unset,
        }),
        family: entry.tools.map(|family| match family {
            quire_config::ToolFamily::Claude => ToolDialect::ClaudeLike,
            quire_config::ToolFamily::Gpt => ToolDialect::GptLike,
        }),
        images: entry.images.map(Images::from),
    }
}

/// Settings for a new session in the current folder.
pub(crate) fn session_settings(
    surroundings: &Surroundings,
    resolved: &Resolved,
    catalogue: &Catalogue,
    model: String,
) -> Settings {
    let mut settings = Settings {
        model,
        effort: resolved.effort(),
        workspace: surroundings.workspace.clone(),
        policy: resolved.policy(),
        limits: resolved.limits(),
        output_schema: None,
        context: ContextLimits::for_window(0, 0),
        effort_choice: EffortChoice::Fixed,
        region: resolved.region().map(str::to_owned),
    };
    fit(&mut settings, resolved, catalogue);
    settings
}

/// Fits settings to what is known of their model.
pub(crate) fn fit(settings: &mut Settings, resolved: &Resolved, catalogue: &Catalogue) {
    let (provider, name) = settings.model.split_once('/').unwrap_or_default();
    let facts = catalogue.facts(provider, name);
    let context = resolved.context(facts.window, facts.max_output.into());
    let provider = resolved.providers().get(provider);
    let provider = provider.filter(|_| !resolved.fixes_effort());
    let spoken = provider.map(|provider| dialect(provider.dialect));
    facts.fit(settings, context, spoken);
}

/// Recorded settings for their model, or why they cannot be.
pub(crate) fn adapted(
    mut settings: Settings,
    resolved: &Resolved,
    catalogue: &Catalogue,
) -> Result<Settings, String> {
    fit(&mut settings, resolved, catalogue);
    let (provider, name) = settings.model.split_once('/').unwrap_or_default();
    catalogue.facts(provider, name).keeps_budget(&settings)?;
    Ok(settings)
}

/// What keeps the files of all sessions of this process.
pub(crate) fn keeper(surroundings: &Surroundings, store: Arc<dyn Store>) -> Keeper {
    Keeper::new(surroundings.paths.data.join("checkpoints"), store)
}

/// An engine that can work, with these servers of tools.
pub(crate) fn engine(
    surroundings: &Surroundings,
    resolved: &Resolved,
    store: Arc<dyn Store>,
    (model, catalogue): (Arc<dyn Model>, Arc<Catalogue>),
    sandbox: Arc<Spawner>,
    keeper: Keeper,
    servers: Vec<Server>,
) -> Arc<Engine> {
    let personal = surroundings.paths.config.clone();
    let keeper = || Arc::new(keeper) as Arc<dyn Checkpoints>;
    Engine::new(Parts {
        store: Arc::clone(&store),
        checkpoints: resolved.keeps_files().then(keeper),
        model,
        workbench: Arc::new(Bench {
            sandbox,
            store,
            catalogue,
            hidden: hidden(surroundings),
            personal: resolved.reads_instructions().then_some(personal),
            servers,
            patience: resolved.mcp_wait(),
            proxies: proxies(surroundings),
        }),
    })
}

/// An engine that can work with the models of the settings.
pub(crate) fn working(
    surroundings: &Surroundings,
    resolved: &Resolved,
    sandbox: Arc<Spawner>,
) -> anyhow::Result<(Arc<dyn Client>, Arc<Catalogue>)> {
    let store = store(surroundings, resolved)? as Arc<dyn Store>;
    let (router, catalogue) = models(surroundings, resolved);
    let (router, known) = (Arc::new(router), Arc::clone(&catalogue));
    let keeper = keeper(surroundings, Arc::clone(&store));
    let servers = mcp::described(resolved, &surroundings.workspace);
    let engine = engine(
        surroundings,
        resolved,
        store,
        (router, known),
        sandbox,
        keeper,
        servers,
    );
    Ok((engine, catalogue))
}

/// An engine that can list, show and remove sessions, and run none.
pub(crate) fn archive(
    surroundings: &Surroundings,
    resolved: &Resolved,
) -> anyhow::Result<Arc<Engine>> {
    Ok(Engine::new(Parts {
        store: store(surroundings, resolved)?,
        checkpoints: None,
        model: Arc::new(Router::new()),
        workbench: Arc::new(crate::workbench::Closed),
    }))
}
