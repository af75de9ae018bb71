//! What the platform itself asks of a model on a caller's account: a summary, the next piece of an answer, another try.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{Method, Response};
use bytes::Bytes;
use hyper::body::Incoming;
use quire_catalogue::ToolDialect;
use quire_dialect::Dialect;
use quire_translate::{
    Abilities, Answer, Encoded, Meter, Reason, Refusal, Request, Target, encode_request, read_whole,
};

use super::failure::{Failure, broke_off, charge_for, ended_in};
use super::{Ask, passing, whole};
use crate::additions;
use crate::app::App;
use crate::charge::{Charge, Destination, Order, Outcome};
use crate::clock::now_ms;
use crate::cores;
use crate::reply::Denial;
use crate::routing::{Candidate, Node, Place, Wanted};
use crate::watch::Story;

/// Writes a request for a place.
pub(super) fn encode(
    app: &App,
    request: &Request,
    candidate: &Candidate,
) -> Result<Encoded, Refusal> {
    let config = &candidate.node.config;
    let facts = app
        .till()
        .catalogue
        .facts(config.priced_as(), &candidate.model);
    let known = facts.known;
    // Servers that only speak as OpenAI does know neither its newer names nor tools of free text.
    let openais = facts.family == ToolDialect::GptLike && !candidate.model.contains("gpt-oss");
    let newer = config.dialect != Dialect::Chat || openais;
    let target = Target {
        dialect: config.dialect,
        model: &candidate.model,
        sealer: Some(app.sealer()),
        can: Abilities {
            max_output: known.then_some(u64::from(facts.max_output)),
            efforts: known.then(|| {
                facts
                    .efforts
                    .iter()
                    .map(|effort| effort.name().to_owned())
                    .collect()
            }),
            custom_tools: newer,
            developer_role: newer,
            max_completion_tokens: newer,
            ..Abilities::default()
        },
    };
    encode_request(request, &target)
}

/// A request that the platform makes beside the client's.
pub(super) struct Beside {
    pub(super) response: Response<Incoming>,
    pub(super) node: Arc<Node>,
    pub(super) charge: Charge,
    pub(super) place: Place,
}

/// Sends a request to a place, charged under an id of its own.
pub(super) async fn send(
    app: &Arc<App>,
    ask: &Ask,
    request: &Request,
    candidate: &Candidate,
) -> Result<Beside, Denial> {
    let node = Arc::clone(&candidate.node);
    let place = node
        .enter(now_ms())
        .ok_or_else(|| Failure::full(&node.name).into_refusal())?;
    let encoded = encode(app, request, candidate)?;
    let request_id = crate::clock::new_id("req_");
    let order = Order {
        request: request_id.clone(),
        at: now_ms(),
        caller: Arc::clone(&ask.caller),
        api: ask.api,
        model_asked: request.model.clone(),
        streamed: request.delivery == quire_translate::Delivery::Streamed,
        prompt: encoded.body.len() as u64 / super::BYTES_PER_TOKEN,
        batch: ask.batch,
        region: request.region.clone(),
        taken: 0,
        started: std::time::Instant::now(),
        story: Story::beside(app.till(), ask, &request_id, &request.model),
    };
    let to = Destination {
        upstream: &node.name,
        address: &node.config.base_url,
        priced_as: node.config.priced_as(),
        model: &candidate.model,
    };
    let mut charge = Charge::begin(app.till(), &Arc::new(order), to)?;
    let mut headers =
        crate::upstream::written(node.config.dialect, "2023-06-01", &encoded.betas.join(","));
    charge.trace(&mut headers);
    let body = Bytes::from(encoded.body);
    charge.asked(node.config.dialect, &body);
    let sending = node
        .line
        .send(Method::POST, node.config.dialect.path(), headers, body);
    let limit = Duration::from_secs(node.config.first_byte_s);
    let response = match tokio::time::timeout(limit, sending).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => {
            charge.waive(Failure::STATUS);
            return Err(failed(app, &node, Failure::unreached(&node.name, &error)));
        }
        Err(_) => {
            charge.broke_off(Failure::SILENT);
            return Err(failed(app, &node, Failure::silent(&node.name, limit)));
        }
    };
    if super::is_page(response.headers()) || !response.status().is_success() {
        let failure = Failure::read(&node, response, charge).await;
        return Err(failed(app, &node, failure));
    }
    place.answers();
    Ok(Beside {
        response,
        node,
        charge,
        place,
    })
}

fn failed(app: &App, node: &Node, failure: Failure) -> Denial {
    failure.note(node, app.metrics());
    failure.into_refusal().into()
}

/// The whole answer of a model to a request of the platform's own, and who gave it.
pub(super) async fn answer(
    app: &Arc<App>,
    ask: &Ask,
    model: &str,
    request: Request,
) -> Result<(Answer, Candidate), Denial> {
    let request = Arc::new(request);
    let wanted = Wanted {
        model,
        region: request.region.as_deref(),
        regions: &ask.caller.key.regions,
    };
    let mut last = None;
    for candidate in app.live().candidates(wanted, now_ms())? {
        let config = &candidate.node.config;
        let facts = app
            .till()
            .catalogue
            .facts(config.priced_as(), &candidate.model);
        let mut fitted = Arc::clone(&request);
        // What was called before has to be told in words there too; nothing is called now.
        additions::add(&mut fitted, &candidate.route.add, &facts, config.dialect)?;
        match send(app, ask, &fitted, &candidate).await {
            Ok(beside) => return Ok((collect(beside).await?, candidate)),
            Err(denial) => last = Some(denial),
        }
    }
    Err(last.unwrap_or_else(|| {
        Refusal::new(
            Reason::Overloaded,
            "No upstream took the request. Try again.",
        )
        .into()
    }))
}

/// An answer that came whole, with all that hangs on it.
pub(super) struct Whole {
    body: Bytes,
    status: u16,
    node: Arc<Node>,
    charge: Charge,
    _place: Place,
}

/// Takes an answer in that comes whole, and reads it.
pub(super) async fn collect(beside: Beside) -> Result<Answer, Denial> {
    take_in(beside).await?.read()
}

/// Takes an answer in that comes whole.
pub(super) async fn take_in(beside: Beside) -> Result<Whole, Denial> {
    let Beside {
        response,
        node,
        mut charge,
        place,
    } = beside;
    let status = response.status().as_u16();
    let idle = Duration::from_secs(node.config.idle_s);
    match whole::collect(response.into_body(), passing::MOST, idle).await {
        Ok(body) => {
            charge.heard(&body);
            Ok(Whole {
                body,
                status,
                node,
                charge,
                _place: place,
            })
        }
        Err(cut) => {
            let refusal = broke_off(&cut, &node, &charge);
            charge.broke_off(cut.status());
            Err(refusal.into())
        }
    }
}

impl Whole {
    /// Whether reading it takes long.
    pub(super) fn is_large(&self) -> bool {
        self.body.len() as u64 > cores::LARGE
    }

    /// Reads it, and charges for it.
    pub(super) fn read(self) -> Result<Answer, Denial> {
        let Self {
            body,
            status,
            node,
            charge,
            _place,
        } = self;
        let answer = match read_whole(node.config.dialect, &body) {
            Ok(answer) => answer,
            Err(refusal) => {
                let status = ended_in(&refusal, &node, &charge);
                let meter = Meter::whole(node.config.dialect, &body);
                charge_for(charge, &meter, &refusal, status);
                return Err(refusal.into());
            }
        };
        node.succeeded();
        let model = Some(answer.begin.model.as_str()).filter(|model| !model.is_empty());
        charge.settle(&Outcome {
            status,
            tally: &answer.finish.tally,
            model,
            estimate: body.len() as u64 / super::BYTES_PER_TOKEN,
        });
        Ok(answer)
    }
}
