//! The composition root: settings → models, store, sandbox, engine.

use std::path::PathBuf;
use std::sync::Arc;

use quire_config::{ModelEntry, Resolved};
use quire_dialect::{ApiVersion, Dialect};
use quire_engine::{Engine, Parts};
use quire_model::{
    Catalogue, HttpModel, Override, PriceRow, Prices, Provider, Proxies, RetryPolicy, Router,
    Secret,
};
use quire_protocol::{Model, Settings, Store};
use quire_sandbox::{Options, Spawner};
use quire_store::{Durability, SqliteStore};

use crate::surroundings::Surroundings;
use crate::usage;
use crate::workbench::Bench;

/// The model when nobody names one: the first provider that has a key.
const DEFAULT_MODELS: [(&str, &str); 2] = [
    ("anthropic", "anthropic/claude-opus-5-5"),
    ("openai", "openai/gpt-6.1-sol"),
];

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

/// The models that the settings describe.
pub(crate) fn models(surroundings: &Surroundings, resolved: &Resolved) -> (Router, Arc<Catalogue>) {
    let catalogue = Arc::new(
        Catalogue::builtin().with_overrides(resolved.models().values().map(model_override)),
    );
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

/// A provider as the settings describe it.
pub(crate) fn provider(
    surroundings: &Surroundings,
    resolved: &Resolved,
    name: &str,
) -> Option<Provider> {
    let described = resolved.providers().get(name)?;
    let dialect = match described.dialect {
        quire_config::Dialect::Messages => Dialect::Messages,
        quire_config::Dialect::Responses => Dialect::Responses,
        quire_config::Dialect::Chat => Dialect::Chat,
    };
    let either = |upper: &str, lower: &str| {
        surroundings
            .variable(upper)
            .or_else(|| surroundings.variable(lower))
            .unwrap_or_default()
            .to_owned()
    };
    let mut provider = Provider::new(name, dialect);
    provider.base_url.clone_from(&described.base_url.value);
    provider.key = described
        .key
        .as_ref()
        .map(|key| Secret::new(key.value.expose()));
    provider.key_variable.clone_from(&described.key_env);
    provider.headers = described
        .headers
        .iter()
        .map(|(name, value)| (name.clone(), value.expose().to_owned()))
        .collect();
    if described.api_version.as_deref() == Some(ApiVersion::V20261021.header()) {
        provider.api_version = ApiVersion::V20261021;
    }
    provider.proxies = Proxies {
        https: either("HTTPS_PROXY", "https_proxy"),
        http: either("HTTP_PROXY", "http_proxy"),
        all: either("ALL_PROXY", "all_proxy"),
        none: either("NO_PROXY", "no_proxy"),
    };
    Some(provider)
}

fn model_override(entry: &ModelEntry) -> Override {
    let prices = entry.prices.map(|given| {
        let per_token = |million: quire_protocol::Money| million.scaled(1, 1_000_000);
        let share = |part: Option<quire_protocol::Money>| match part {
            Some(part) if given.input.picos() > 0 => ratio(part.picos(), given.input.picos()),
            _ => (1, 1),
        };
        let mut row = PriceRow::flat(per_token(given.input), per_token(given.output));
        row.cache_read = share(given.cache_read);
        row.cache_write_5m = share(given.cache_write);
        row.cache_write_1h = share(given.cache_write);
        Prices {
            rows: vec![row],
            ..Prices::default()
        }
    });
    Override {
        model: format!("{}/{}", entry.provider, entry.name),
        window: entry.window.map(u64::from),
        max_output: entry.max_output,
        prices,
        ..Override::default()
    }
}

/// A fraction in lowest terms; both parts are picodollars for a million tokens, so they share many
/// factors. One that does not fit is rounded to a millionth.
fn ratio(part: i64, whole: i64) -> (u32, u32) {
    let divisor = gcd(part.unsigned_abs(), whole.unsigned_abs()).max(1);
    let (part, whole) = (
        part.unsigned_abs() / divisor,
        whole.unsigned_abs() / divisor,
    );
    match (u32::try_from(part), u32::try_from(whole)) {
        (Ok(part), Ok(whole)) => (part, whole),
        _ => {
            let millionths = u128::from(part) * 1_000_000 / u128::from(whole.max(1));
            (u32::try_from(millionths).unwrap_or(u32::MAX), 1_000_000)
        }
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// The model to use as `provider/name`: the one that the settings name, else that of the first
/// provider with a key.
pub(crate) fn model_name(
    surroundings: &Surroundings,
    resolved: &Resolved,
) -> anyhow::Result<String> {
    let Some(asked) = resolved.model() else {
        return default_model(surroundings, resolved);
    };
    if let Some(entry) = resolved.models().get(asked) {
        return Ok(format!("{}/{}", entry.provider, entry.name));
    }
    let known = || {
        let providers: Vec<&str> = resolved.providers().keys().map(String::as_str).collect();
        let models: Vec<&str> = resolved.models().keys().map(String::as_str).collect();
        format!(
            "providers: {}; names from the config: {}",
            providers.join(", "),
            if models.is_empty() {
                "none".to_owned()
            } else {
                models.join(", ")
            }
        )
    };
    match asked.split_once('/') {
        Some((provider, name))
            if resolved.providers().contains_key(provider) && !name.is_empty() =>
        {
            Ok(asked.to_owned())
        }
        _ => Err(usage(format!(
            "there is no model `{asked}`: write it PROVIDER/NAME, like anthropic/claude-opus-5-5 \
             ({})",
            known()
        ))),
    }
}

fn default_model(surroundings: &Surroundings, resolved: &Resolved) -> anyhow::Result<String> {
    for (provider, model) in DEFAULT_MODELS {
        let has_key = resolved
            .providers()
            .get(provider)
            .is_some_and(|provider| provider.key.is_some());
        if has_key {
            return Ok(model.to_owned());
        }
    }
    let hint = if surroundings.variable("OPENAI_BASE_URL").is_some() {
        "OPENAI_BASE_URL is set: name a model it serves, like --model chat/NAME"
    } else {
        "set ANTHROPIC_API_KEY or OPENAI_API_KEY, or for a local server set OPENAI_BASE_URL and \
         use --model chat/NAME; `quire demo` works without any"
    };
    Err(usage(format!("there is no model to use: {hint}")))
}

/// Settings for a new session in the current folder.
pub(crate) fn session_settings(
    surroundings: &Surroundings,
    resolved: &Resolved,
    model: String,
) -> Settings {
    Settings {
        model,
        effort: resolved.effort(),
        workspace: surroundings.workspace.clone(),
        policy: resolved.policy(),
        limits: resolved.limits(),
        output_schema: None,
    }
}

/// An engine that can work.
pub(crate) fn engine(
    surroundings: &Surroundings,
    resolved: &Resolved,
    store: Arc<dyn Store>,
    model: Arc<dyn Model>,
    catalogue: Arc<Catalogue>,
    sandbox: Arc<Spawner>,
) -> Engine {
    let personal = surroundings.paths.config.clone();
    Engine::new(Parts {
        store: Arc::clone(&store),
        model,
        workbench: Arc::new(Bench {
            sandbox,
            store,
            catalogue,
            hidden: hidden(surroundings),
            personal: resolved.reads_instructions().then_some(personal),
        }),
    })
}

/// An engine that can list, show and remove sessions, and run none.
pub(crate) fn archive(surroundings: &Surroundings, resolved: &Resolved) -> anyhow::Result<Engine> {
    Ok(Engine::new(Parts {
        store: store(surroundings, resolved)?,
        model: Arc::new(Router::new()),
        workbench: Arc::new(crate::workbench::Closed),
    }))
}
