//! A request's way to an upstream and its answer's way back: limits, routes, tries, bytes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{HeaderMap, Method, Response};
use bytes::Bytes;
use hyper::body::Incoming;
use quire_dialect::Dialect;
use quire_translate::{Reason, Refusal};

use crate::allowance::{Gauges, Reached};
use crate::app::App;
use crate::caller;
use crate::charge::{Charge, Destination, Order};
use crate::clock::now_ms;
use crate::files;
use crate::keyring::Caller;
use crate::peek::Peek;
use crate::reply::{self, Denial};
use crate::routing::{Candidate, Place, Wanted};
use crate::watch::Story;

mod driven;
mod failure;
mod inner;
mod passing;
mod prepare;
mod pump;
mod silence;
mod translated;
pub(crate) mod whole;

use failure::Failure;
pub(crate) use passing::NoAnswer;
use prepare::{Prepared, goes_as_it_is, prepare};

/// A request for a model, as it came.
pub(crate) struct Ask {
    /// The API it is written in.
    pub(crate) api: Dialect,
    pub(crate) caller: Arc<Caller>,
    pub(crate) request_id: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) started: Instant,
    /// Whether it is part of a batch.
    pub(crate) batch: bool,
    /// Another path of its API than that for answers: only an upstream of the same API has it.
    pub(crate) path: Option<&'static str>,
}

/// A request that an upstream has begun to answer.
struct Begun {
    response: Response<Incoming>,
    candidate: Candidate,
    charge: Charge,
    place: Place,
    way: Way,
}

/// How a request went to its upstream.
enum Way {
    /// As it came.
    AsItIs,
    /// In the words of another API, or changed.
    Translated(Box<translated::Passage>),
}

/// Bytes of a prompt for each of its tokens, where nobody has counted yet.
const BYTES_PER_TOKEN: u64 = 4;

/// Serves a request for a model.
pub(crate) async fn relay(app: &Arc<App>, ask: Ask) -> Result<Response<Body>, Denial> {
    // What it holds is large, and would be moved with every future around it.
    Box::pin(carry(app, ask, None)).await
}

/// Serves a request whose body was looked into already.
pub(crate) async fn relay_seen(
    app: &Arc<App>,
    ask: Ask,
    seen: Peek,
) -> Result<Response<Body>, Denial> {
    Box::pin(carry(app, ask, Some(seen))).await
}

async fn carry(app: &Arc<App>, mut ask: Ask, seen: Option<Peek>) -> Result<Response<Body>, Denial> {
    let workspace = &ask.caller.workspace.id;
    let came = ask.body.clone();
    ask.body = files::inline(&app.depot().files(), workspace, ask.body).await?;
    // A large body takes long to look through.
    let is_same = (came.as_ptr(), came.len()) == (ask.body.as_ptr(), ask.body.len());
    drop(came);
    let peek = match seen.filter(|_| is_same) {
        Some(seen) => seen,
        None => Peek::into(&ask.body)?,
    };
    peek.check_version(ask.api, caller::version(&ask.headers))?;
    app.know_spending(&ask.caller).await?;
    let (order, gauges) = admit(app, &ask, &peek)?;
    app.replays().keep(&app.live().config.log, &ask, &order);
    let (api, request_id) = (ask.api, ask.request_id.clone());
    let served = Box::pin(serve(app, ask, &peek, &order)).await;
    let mut response = served.unwrap_or_else(|denial| {
        let response = denial.answer(api, &request_id);
        order.story.refused(response.status().as_u16());
        response
    });
    reply::limits(response.headers_mut(), api, &gauges, now_ms());
    Ok(response)
}

/// Serves a request that was admitted.
async fn serve(
    app: &Arc<App>,
    ask: Ask,
    peek: &Peek,
    order: &Arc<Order>,
) -> Result<Response<Body>, Denial> {
    let live = app.live();
    let mut candidates = live.candidates(wanted(&ask, peek), now_ms())?;
    candidates.retain(|candidate| ask.path.is_none() || candidate.node.config.dialect == ask.api);
    let prepared = prepare(app, &ask, peek, &candidates).await?;
    match &prepared {
        Some(prepared) if let Some(over) = &prepared.over => {
            let mut response = translated::ready(app, &ask, prepared, over);
            if let Some(by) = &prepared.writer {
                reply::served_by(response.headers_mut(), &by.node.name, &by.model, &[]);
            }
            Ok(response)
        }
        _ => match begin(app, &ask, peek, order, prepared.as_ref(), candidates).await? {
            Tried::Begun(begun) => Box::pin(answer(app, ask, prepared, *begun)).await,
            Tried::Refused(response) => Ok(response),
        },
    }
}

/// Whether the caller may make this request now. What it takes of the limits is taken.
pub(crate) fn admit(app: &App, ask: &Ask, peek: &Peek) -> Result<(Arc<Order>, Gauges), Denial> {
    let caller = &ask.caller;
    if !caller.may_use(&peek.model) {
        let message = format!(
            "This API key may not use `{}`: ask for a key that may.",
            peek.model
        );
        return Err(Refusal::new(Reason::Forbidden, message)
            .about("model")
            .into());
    }
    let prompt = ask.body.len() as u64 / BYTES_PER_TOKEN;
    let now = now_ms();
    for (allowance, whose) in caller
        .allowances
        .iter()
        .zip(["API key", "workspace", "organisation"])
    {
        match allowance.check(prompt, now) {
            Ok(()) => {}
            // A batch is worked on as there is room; its money is bounded all the same.
            Err(Reached::Requests(_) | Reached::InputTokens(_) | Reached::OutputTokens(_))
                if ask.batch => {}
            Err(reached) => return Err(Denial::reached(reached, whose)),
        }
    }
    let taken = caller
        .allowances
        .iter()
        .map(|allowance| allowance.take(prompt, now));
    let gauges = taken.fold(Gauges::default(), Gauges::tightest);
    let order = Order {
        request: ask.request_id.clone(),
        at: now,
        caller: Arc::clone(caller),
        api: ask.api,
        model_asked: peek.model.clone(),
        streamed: peek.stream,
        prompt,
        batch: ask.batch,
        region: peek.region.clone(),
        taken: prompt,
        started: ask.started,
        story: Story::begin(app.till(), ask, &peek.model),
    };
    Ok((Arc::new(order), gauges))
}

enum Tried {
    Begun(Box<Begun>),
    /// An upstream's refusal that is the client's own doing.
    Refused(Response<Body>),
}

/// Tries one place after the other until one answers.
async fn begin(
    app: &Arc<App>,
    ask: &Ask,
    peek: &Peek,
    order: &Arc<Order>,
    prepared: Option<&Prepared>,
    candidates: Vec<Candidate>,
) -> Result<Tried, Denial> {
    let mut last: Option<Failure> = None;
    let mut tries = 0;
    for candidate in candidates {
        let Some(place) = candidate.node.enter(now_ms()) else {
            last.get_or_insert_with(|| Failure::full(&candidate.node.name));
            continue;
        };
        // A place that was full got nothing: going on from there is no further try.
        if tries > 0 && !candidate.node.may_retry() {
            continue;
        }
        let node = Arc::clone(&candidate.node);
        let order = order.again(tries);
        tries += 1;
        let sent = written(app, ask, peek, prepared, &candidate)?;
        match attempt(app, ask.path, &order, candidate, place, sent).await? {
            Ok(begun) => return Ok(Tried::Begun(Box::new(begun))),
            Err(failure) => {
                failure.note(&node, app.metrics());
                if failure.is_clients() {
                    return failure.into_answer(ask).map(Tried::Refused);
                }
                last = Some(failure);
            }
        }
    }
    let failure = last.unwrap_or_else(|| Failure::full("every upstream"));
    failure.into_answer(ask).map(Tried::Refused)
}

/// One try. An error that no other place could mend is the outer one.
async fn attempt(
    app: &Arc<App>,
    path: Option<&'static str>,
    order: &Arc<Order>,
    candidate: Candidate,
    place: Place,
    (mut headers, body, way): (HeaderMap, Bytes, Way),
) -> Result<Result<Begun, Failure>, Denial> {
    let node = Arc::clone(&candidate.node);
    let to = Destination {
        upstream: &node.name,
        address: &node.config.base_url,
        priced_as: node.config.priced_as(),
        model: &candidate.model,
    };
    let mut charge = Charge::begin(app.till(), order, to)?;
    charge.trace(&mut headers);
    charge.asked(node.config.dialect, &body);
    if let Way::Translated(passage) = &way {
        charge.dropped(passage.dropped());
    }
    let path = path.unwrap_or(node.config.dialect.path());
    let sending = node.line.send(Method::POST, path, headers, body);
    let limit = Duration::from_secs(node.config.first_byte_s);
    let response = match tokio::time::timeout(limit, sending).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => {
            order.story.failed(error.to_string());
            charge.waive(Failure::STATUS);
            return Ok(Err(Failure::unreached(&node.name, &error)));
        }
        Err(_) => {
            // It may have thought all that time, and charges for it.
            charge.broke_off(Failure::SILENT);
            return Ok(Err(Failure::silent(&node.name, limit)));
        }
    };
    if is_page(response.headers()) || !response.status().is_success() {
        let failure = Failure::read(&node, response, charge).await;
        return Ok(Err(failure));
    }
    place.answers();
    Ok(Ok(Begun {
        response,
        candidate,
        charge,
        place,
        way,
    }))
}

/// What is sent there.
fn written(
    app: &App,
    ask: &Ask,
    peek: &Peek,
    prepared: Option<&Prepared>,
    candidate: &Candidate,
) -> Result<(HeaderMap, Bytes, Way), Refusal> {
    match prepared.filter(|_| !goes_as_it_is(ask, candidate)) {
        None => {
            let body = if candidate.model == peek.model {
                ask.body.clone()
            } else {
                peek.renamed(&ask.body, &candidate.model).into()
            };
            Ok((crate::upstream::passed(&ask.headers), body, Way::AsItIs))
        }
        Some(prepared) => {
            let written = translated::write(app, ask, prepared, candidate)?;
            Ok((
                written.headers,
                written.body,
                Way::Translated(Box::new(written.passage)),
            ))
        }
    }
}

/// The client's answer, whose first byte has come.
async fn answer(
    app: &Arc<App>,
    ask: Ask,
    prepared: Option<Prepared>,
    begun: Begun,
) -> Result<Response<Body>, Denial> {
    let streams = is_stream(begun.response.headers());
    let upstream = begun.candidate.node.name.clone();
    let model = begun.candidate.model.clone();
    let mut dropped = Vec::new();
    let prepared = prepared.filter(|_| matches!(begun.way, Way::Translated(_)));
    let mut response = match prepared {
        Some(prepared) => {
            let translated = Box::pin(translated::answer(app, ask, prepared, begun)).await?;
            dropped = translated.dropped;
            translated.response
        }
        None if streams => passing::stream(&ask, begun),
        None => passing::whole(&ask, begun).await?,
    };
    reply::served_by(response.headers_mut(), &upstream, &model, &dropped);
    Ok(response)
}

/// What a request asks of a route.
fn wanted<'a>(ask: &'a Ask, peek: &'a Peek) -> Wanted<'a> {
    Wanted {
        model: &peek.model,
        region: peek.region.as_deref(),
        regions: &ask.caller.key.regions,
    }
}

/// Whether a route of the model that is asked for leads to an upstream of the same API.
pub(crate) fn same_api(app: &App, ask: &Ask) -> Result<bool, Refusal> {
    Ok(!same_api_places(app, ask, &Peek::into(&ask.body)?)?.is_empty())
}

/// The places of the same API that may serve a request.
pub(crate) fn same_api_places(
    app: &App,
    ask: &Ask,
    peek: &Peek,
) -> Result<Vec<Candidate>, Refusal> {
    let mut candidates = app.live().candidates(wanted(ask, peek), now_ms())?;
    candidates.retain(|candidate| candidate.node.config.dialect == ask.api);
    Ok(candidates)
}

/// A body that comes piece by piece.
pub(crate) fn piecewise(pieces: tokio::sync::mpsc::Receiver<Bytes>) -> Body {
    Body::new(http_body_util::StreamBody::new(translated::Taken(pieces)))
}

/// Whether an answer is a web page, of something that stands between.
fn is_page(headers: &HeaderMap) -> bool {
    kind(headers).contains("html")
}

/// Whether an answer is a stream of events.
pub(crate) fn is_stream(headers: &HeaderMap) -> bool {
    kind(headers).trim_start().starts_with("text/event-stream")
}

fn kind(headers: &HeaderMap) -> &str {
    let kind = headers
        .get("content-type")
        .and_then(|value| value.to_str().ok());
    kind.unwrap_or_default()
}
