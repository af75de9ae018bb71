//! The server's state, and the table of its paths.

use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use axum::routing::{get, post};
use bytes::Bytes;
use quire_catalogue::Catalogue;
use quire_depot::{Depot, Spool};
use quire_dialect::Dialect;
use quire_net::Proxies;
use quire_translate::{Reason, Refusal, Sealer};

use crate::answered::answered;
use crate::batches;
use crate::charge::Till;
use crate::clock::{new_id, now_ms};
use crate::config::{Config, ConfigError, Upstream};
use crate::crew::Crew;
use crate::files;
use crate::held::held;
use crate::keyring::{Caller, Keyring};
use crate::log::Entry;
use crate::metrics::{Counted, Metrics};
use crate::operate::Checked;
use crate::relay::{self, Ask, whole};
use crate::replay::Replays;
use crate::reply::{self, Denial};
use crate::routing::{Live, State as Health, no_model};
use crate::stored::Desk;
use crate::tenure::Tenure;
use crate::upstream::Line;
use crate::watch::Watch;
use crate::{admin, caller, count, models, socket, status, stored};

/// What comes from the environment and never from the file.
#[derive(Clone, Default)]
pub struct Secrets {
    /// Looks a variable up.
    pub variables: std::collections::HashMap<String, String>,
    /// The proxies to reach upstreams through.
    pub proxies: Proxies,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets(…)")
    }
}

/// The platform at work. Handlers share it.
pub struct App {
    live: RwLock<Arc<Live>>,
    secrets: Secrets,
    depot: Depot,
    keyring: Keyring,
    till: Arc<Till>,
    metrics: Arc<Metrics>,
    sealer: Sealer,
    tenure: Tenure,
    desk: Desk,
    bench: Crew,
    replays: Replays,
    reread: OnceLock<Reread>,
}

/// Reads the config file again and puts it to work.
type Reread = Box<dyn Fn(&App) -> Result<Checked, ConfigError> + Send + Sync>;

/// Things of a kind that are let go within a minute because their time is over.
const EXPIRED_AT_ONCE: u32 = 1_000;
/// How long an upload may take; what is left of a longer one is swept.
const UPLOAD_MS: i64 = 86_400_000;
/// How long a batch's results are kept, as at the vendor's: 29 days.
const RESULTS_MS: i64 = 29 * 86_400_000;

impl App {
    /// Puts a config to work over a depot.
    pub async fn new(
        config: Config,
        secrets: Secrets,
        depot: Depot,
        spool: Spool,
        catalogue: Arc<Catalogue>,
        seal_secret: &[u8],
    ) -> Result<Arc<Self>, crate::ServeError> {
        let live = live(config, None, &secrets)?;
        let metrics = Arc::new(Metrics::default());
        let keyring = Keyring::new(depot.access());
        keyring.refresh().await?;
        keyring.exchange(&depot.debts(), now_ms()).await?;
        let till = Till {
            spool,
            catalogue,
            metrics: Arc::clone(&metrics),
            watch: Watch::new(&metrics),
        };
        till.watch.set(&live.config, &secrets.proxies);
        Ok(Arc::new(Self {
            live: RwLock::new(Arc::new(live)),
            secrets,
            depot,
            keyring,
            till: Arc::new(till),
            metrics,
            sealer: Sealer::new(seal_secret),
            tenure: Tenure::new(),
            desk: Desk::new(),
            bench: Crew::new(),
            replays: Replays::default(),
            reread: OnceLock::new(),
        }))
    }

    /// Puts a new config to work; requests under way go on by the old one.
    pub fn reload(&self, config: Config) -> Result<(), ConfigError> {
        let before = self.live();
        let next = live(config, Some(&before), &self.secrets)?;
        self.till.watch.set(&next.config, &self.secrets.proxies);
        *self.live.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(next);
        Ok(())
    }

    /// Says how the config is read again. It is said once.
    pub(crate) fn reread_by(
        &self,
        read: impl Fn(&Self) -> Result<Checked, ConfigError> + Send + Sync + 'static,
    ) {
        let _ = self.reread.set(Box::new(read));
    }

    /// Reads the config file again; none where nobody said how.
    pub(crate) fn reread(&self) -> Option<Result<Checked, ConfigError>> {
        self.reread.get().map(|read| read(self))
    }

    /// The key of the admin API; without one it is closed.
    pub(crate) fn admin_key(&self) -> Option<String> {
        let name = &self.live().config.admin_key_env;
        let key = self.secrets.variables.get(name)?.trim();
        (!key.is_empty()).then(|| key.to_owned())
    }

    pub(crate) fn depot(&self) -> &Depot {
        &self.depot
    }

    pub(crate) fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    pub(crate) fn tenure(&self) -> &Tenure {
        &self.tenure
    }

    /// Who works on batches.
    pub(crate) fn bench(&self) -> &Crew {
        &self.bench
    }

    pub(crate) fn desk(&self) -> &Desk {
        &self.desk
    }

    pub(crate) fn replays(&self) -> &Replays {
        &self.replays
    }

    /// The log of requests that are kept, with those that came until now.
    pub(crate) async fn replay_log(&self) -> Result<quire_depot::Replay, quire_depot::Error> {
        let log = self.depot.replay();
        let live = self.live();
        self.replays
            .settle(&log, &live.config.log, now_ms())
            .await?;
        Ok(log)
    }

    pub(crate) fn live(&self) -> Arc<Live> {
        Arc::clone(&self.live.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn till(&self) -> &Arc<Till> {
        &self.till
    }

    pub(crate) fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    pub(crate) fn sealer(&self) -> &Sealer {
        &self.sealer
    }

    /// Everything that is to be done now and then, for as long as the server runs.
    pub(crate) async fn housekeeping(self: Arc<Self>) {
        let mut second = tokio::time::interval(Duration::from_secs(1));
        second.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut rounds = 0_u64;
        loop {
            second.tick().await;
            self.tidy(rounds).await;
            rounds += 1;
        }
    }

    /// One round. What fails is tried again in the next.
    pub(crate) async fn tidy(&self, rounds: u64) {
        let metering = self.depot.metering();
        if rounds.is_multiple_of(60) {
            let _ = self.till.spool.recover(&metering).await;
            self.live().nodes().for_each(|node| node.age());
            self.let_go().await;
        }
        if rounds.is_multiple_of(5) {
            let _ = self.depot.batches().settle(now_ms(), 100).await;
        }
        if rounds.is_multiple_of(60) || self.replays.any() {
            let _ = self.replay_log().await;
        }
        let _ = self.keyring.refresh().await;
        let now = now_ms();
        let _ = self.keyring.exchange(&self.depot.debts(), now).await;
        let asked: Vec<_> = self
            .keyring
            .allowances()
            .into_iter()
            .filter_map(|(scope, allowance)| Some((allowance.asks_since(now)?, scope, allowance)))
            .collect();
        // First what was used goes into the depot, then the depot is asked: so nothing is left out of its sums.
        if self.till.spool.drain(&metering).await.is_err() {
            return;
        }
        for (since, scope, allowance) in asked {
            if let Ok(spent) = metering.spent(&scope, since.0).await {
                allowance.recorded(since, spent);
            }
        }
    }

    /// Lets go what is kept no longer. What fails is let go in a later round.
    async fn let_go(&self) {
        let now = now_ms();
        let (depot, most) = (&self.depot, EXPIRED_AT_ONCE);
        let _ = depot.responses().expire(now, most).await;
        let _ = depot.files().expire(now, most).await;
        let _ = depot.files().sweep(now - UPLOAD_MS, most).await;
        let _ = depot.batches().archive(now, now - RESULTS_MS, most).await;
    }

    /// The table of paths.
    pub(crate) fn router(self: &Arc<Self>) -> Router {
        Router::new()
            .route("/v1/messages", post(messages))
            .route("/v1/responses", post(responses).get(socket::upgrade))
            .route("/v1/chat/completions", post(chat))
            .route("/healthz", get(healthz))
            .route("/readyz", get(readyz))
            .route("/metrics", get(metrics))
            .merge(models::routes())
            .merge(count::routes())
            .merge(stored::routes())
            .merge(files::routes())
            .merge(batches::routes())
            .merge(admin::routes())
            .merge(status::routes())
            .method_not_allowed_fallback(not_so)
            .fallback(nothing_here)
            .with_state(Arc::clone(self))
    }

    /// Whether somebody may ask for a model, and there is one of that name.
    pub(crate) fn admits(&self, caller: &Caller, model: &str) -> Result<(), Refusal> {
        if !caller.may_use(model) {
            let message = format!("This API key may not use `{model}`: ask for a key that may.");
            return Err(Refusal::new(Reason::Forbidden, message).about("model"));
        }
        match self.live().config.model(model) {
            Some(_) => Ok(()),
            None => Err(no_model(model)),
        }
    }

    /// Counts a request for as long as what is returned is held; refuses it where there are too many.
    pub(crate) fn room(&self) -> Result<Counted, Refusal> {
        let most = self.live().config.bounds.requests;
        self.metrics.request(most).ok_or_else(|| {
            let message = format!(
                "This server has {most} requests under way, which is all it takes: try again in a moment."
            );
            Refusal::new(Reason::Overloaded, message)
        })
    }

    /// Learns what was spent under the budgets that bound a caller, where this server has not asked yet: nobody spends
    /// under a budget of which nothing is known.
    pub(crate) async fn know_spending(&self, caller: &Caller) -> Result<(), Refusal> {
        for (allowance, scope) in caller.allowances.iter().zip(caller.scopes()) {
            if !allowance.is_unknown() {
                continue;
            }
            if let Some(since) = allowance.asks_since(now_ms()) {
                let spent = self.depot.metering().spent(&scope, since.0).await;
                let spent = spent.map_err(|error| {
                    let message = format!("Budgets cannot be checked now: {error}");
                    Refusal::new(Reason::Overloaded, message)
                })?;
                allowance.recorded(since, spent);
            }
        }
        Ok(())
    }

    /// Whose request it is.
    pub(crate) async fn caller(&self, headers: &HeaderMap) -> Result<Arc<Caller>, Refusal> {
        self.keyring
            .caller(caller::secret(headers)?, now_ms())
            .await
    }
}

fn live(config: Config, before: Option<&Live>, secrets: &Secrets) -> Result<Live, ConfigError> {
    Live::new(config, before, |name, upstream: &Upstream| {
        let key = upstream
            .key_env
            .as_ref()
            .and_then(|name| secrets.variables.get(name));
        let line = Line::new(upstream, key.map(String::as_str), &secrets.proxies);
        line.map_err(|error| ConfigError(format!("upstreams.{name}: {error}")))
    })
}

async fn messages(State(app): State<Arc<App>>, request: Request<Body>) -> Response<Body> {
    ask(app, Dialect::Messages, request).await
}

async fn responses(State(app): State<Arc<App>>, request: Request<Body>) -> Response<Body> {
    ask(app, Dialect::Responses, request).await
}

async fn chat(State(app): State<Arc<App>>, request: Request<Body>) -> Response<Body> {
    ask(app, Dialect::Chat, request).await
}

/// A request for a model.
async fn ask(app: Arc<App>, api: Dialect, request: Request<Body>) -> Response<Body> {
    let started = Instant::now();
    let (head, body) = request.into_parts();
    let headers = head.headers;
    answered(
        &app,
        api,
        &headers,
        async |caller: Arc<Caller>, request_id| {
            let counted = app.room()?;
            let ask = Ask {
                api,
                caller,
                request_id,
                body: take_in(&app, &headers, body).await?,
                headers: headers.clone(),
                started,
                batch: false,
                path: None,
            };
            if api == Dialect::Messages {
                caller::versioned(&headers)?;
            }
            let response = match api {
                Dialect::Responses => stored::serve(&app, ask).await?,
                Dialect::Messages | Dialect::Chat => relay::relay(&app, ask).await?,
            };
            // It counts until its last byte is sent.
            Ok(held(response, counted))
        },
    )
    .await
}

/// The answer of a request that is not served.
pub(crate) fn denied(app: &App, denial: &Denial, api: Dialect, request_id: &str) -> Response<Body> {
    let response = denial.answer(api, request_id);
    let status = response.status().as_u16();
    app.metrics.refused(status);
    app.till.watch.lines.write(Entry::Refused {
        request: request_id.to_owned(),
        api: api.name(),
        status,
        model: None,
        key: None,
        workspace: None,
    });
    response
}

/// A request's body, within the usual bounds.
pub(crate) async fn take_in(app: &App, headers: &HeaderMap, body: Body) -> Result<Bytes, Refusal> {
    let most = app.live().config.bounds.body_bytes;
    take_in_most(app, headers, body, most).await
}

/// A request's body of at most so many bytes.
pub(crate) async fn take_in_most(
    app: &App,
    headers: &HeaderMap,
    body: Body,
    most: u64,
) -> Result<Bytes, Refusal> {
    if let Some(encoding) = headers
        .get("content-encoding")
        .filter(|value| value.as_bytes() != b"identity")
    {
        let message =
            format!("Content-Encoding {encoding:?} is not taken: send the body as it is.");
        return Err(
            Refusal::new(Reason::Invalid, message).coded("request_body_encoding_unsupported")
        );
    }
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let idle = Duration::from_secs(app.live().config.bounds.body_idle_s);
    let mut body = body;
    whole::collect(&mut body, most, idle)
        .await
        .map_err(|cut| match cut {
            whole::Cut::TooLarge => {
                // Who waits for leave to send must not get it.
                if !headers.contains_key("expect") {
                    tokio::spawn(whole::throw_away(body));
                }
                let message = format!("Request exceeds the maximum size of {most} bytes.");
                Refusal::new(Reason::TooLarge, message)
            }
            whole::Cut::Silent => {
                let message = format!(
                    "The request's body stopped coming for {} s.",
                    idle.as_secs()
                );
                Refusal::new(Reason::Invalid, message).coded("request_body_timeout")
            }
            whole::Cut::Broken(why) => Refusal::new(
                Reason::Invalid,
                format!("The request's body broke off: {why}"),
            ),
        })
}

/// It lives.
async fn healthz() -> &'static str {
    "ok\n"
}

/// It can serve: its store answers.
async fn readyz(State(app): State<Arc<App>>) -> (StatusCode, String) {
    match app.keyring.refresh().await {
        Ok(()) => (StatusCode::OK, "ready\n".to_owned()),
        Err(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "the store does not answer\n".to_owned(),
        ),
    }
}

async fn metrics(State(app): State<Arc<App>>) -> ([(&'static str, &'static str); 1], String) {
    let now = now_ms();
    let live = app.live();
    let upstreams: Vec<_> = live
        .nodes()
        .map(|node| {
            let (state, at_work) = node.state(now);
            (node.name.clone(), state == Health::Healthy, at_work)
        })
        .collect();
    (
        [("content-type", "text/plain; version=0.0.4; charset=utf-8")],
        app.metrics.text(&upstreams),
    )
}

/// A path that leads nowhere, in the words of the API it seems to be meant for.
pub(crate) async fn nothing_here(method: Method, uri: Uri, headers: HeaderMap) -> Response<Body> {
    let message = format!("There is no {method} {} here.", beginning(&uri));
    misled(Refusal::new(Reason::NotFound, message), &uri, &headers)
}

/// A path that is there for other methods; which they are stands in the header `allow`.
async fn not_so(method: Method, uri: Uri, headers: HeaderMap) -> Response<Body> {
    let message = format!(
        "{} does not take {method}: use a method of the header `allow`.",
        beginning(&uri)
    );
    let mut response = misled(Refusal::new(Reason::Invalid, message), &uri, &headers);
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    response
}

fn misled(refusal: Refusal, uri: &Uri, headers: &HeaderMap) -> Response<Body> {
    let request_id = new_id("req_");
    let api = caller::meant(uri.path(), headers);
    let mut response = Denial::from(refusal).answer(api, &request_id);
    reply::sign(response.headers_mut(), &request_id, None);
    response
}

/// The beginning of a path that may be anything.
fn beginning(uri: &Uri) -> String {
    uri.path().chars().take(200).collect()
}
