//! An answer in the words of another API than the upstream's, or with what a route adds: read as events, written as
//! the client's.

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Response};
use bytes::Bytes;
use hyper::body::Frame as BodyFrame;
use quire_dialect::Dialect;
use quire_translate::{
    Answer, ClientTool, Collector, Delivery, Event, Frame, Names, Reason, Refusal, Request,
    UsageChunk, Writer, response_echo, write_whole,
};
use tokio::sync::mpsc;

use super::driven::{Driven, Work};
use super::prepare::{Prepared, answer_id, is_streamed};
use super::pump::{Changes, Outlet, Source, pump};
use super::{Ask, Begun, inner};
use crate::additions::{self, Held, Lengthened, Listener, Next};
use crate::app::App;
use crate::clock::now_ms;
use crate::cores;
use crate::reply::{Again, Denial};
use crate::routing::Candidate;

/// A request in the words of its upstream.
pub(super) struct Written {
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) passage: Passage,
}

/// What the way back needs to know of the way there.
pub(super) struct Passage {
    names: Names,
    dropped: Vec<String>,
    /// What was left out of the context here.
    context: Option<serde_json::Value>,
    listener: Option<Listener>,
    fitting: Option<Fitting>,
    lengthened: Option<Lengthened>,
}

/// A schema that the answer has to fit, and what the upstream was asked.
struct Fitting {
    held: Held,
    request: Arc<Request>,
}

impl Passage {
    /// What of the request the upstream does not get.
    pub(super) fn dropped(&self) -> &[String] {
        &self.dropped
    }
}

/// The client's answer.
pub(super) struct Translated {
    pub(super) response: Response<Body>,
    /// What of the request the upstream did not get.
    pub(super) dropped: Vec<String>,
}

/// Writes a request for a place.
pub(super) fn write(
    app: &App,
    ask: &Ask,
    prepared: &Prepared,
    candidate: &Candidate,
) -> Result<Written, Refusal> {
    let config = &candidate.node.config;
    let add = &candidate.route.add;
    let facts = app
        .till()
        .catalogue
        .facts(config.priced_as(), &candidate.model);
    let mut request = Arc::clone(&prepared.request);
    let mut context = None;
    if config.dialect != ask.api && additions::clears(&request) {
        context = additions::clear(Arc::make_mut(&mut request));
    }
    let additions::Added { held, listener } =
        additions::add(&mut request, add, &facts, config.dialect)?;
    let encoded = inner::encode(app, &request, candidate)?;
    let mut headers =
        crate::upstream::written(config.dialect, "2023-06-01", &encoded.betas.join(","));
    if config.dialect == ask.api {
        headers.extend(crate::upstream::passed(&ask.headers));
    }
    Ok(Written {
        headers,
        body: encoded.body.into(),
        passage: Passage {
            names: encoded.names,
            dropped: encoded
                .dropped
                .into_iter()
                .map(|dropped| dropped.field)
                .collect(),
            context,
            listener,
            fitting: held.map(|held| Fitting {
                held,
                request: Arc::clone(&request),
            }),
            lengthened: add.continue_output.then(|| additions::lengthened(request)),
        },
    })
}

/// The client's answer, whose first byte has come.
pub(super) async fn answer(
    app: &Arc<App>,
    mut ask: Ask,
    prepared: Prepared,
    begun: Begun,
) -> Result<Translated, Denial> {
    let streams = super::is_stream(begun.response.headers());
    let Begun {
        response,
        candidate,
        charge,
        place,
        way,
    } = begun;
    let super::Way::Translated(passage) = way else {
        return Err(Refusal::new(
            Reason::Internal,
            "An answer without a passage is translated.",
        )
        .into());
    };
    let Passage {
        names,
        dropped,
        context,
        listener,
        fitting,
        lengthened,
    } = *passage;
    let streamed = is_streamed(&prepared);
    let mut frame = frame(app, &ask, &prepared.request, &candidate, &names);
    frame.context = context;
    // It may be long, and the answer may take long.
    ask.body = Bytes::new();
    let changes = Changes {
        before: prepared.before,
        compaction: prepared.compaction,
        listener,
        lengthened,
    };
    let source = Box::new(Source {
        status: response.status().as_u16(),
        body: response.into_body(),
        node: Arc::clone(&candidate.node),
        charge,
        place,
    });
    let task = Task {
        app: Arc::clone(app),
        ask,
        candidate,
        changes,
        source,
    };
    let response = match (fitting, streams, streamed) {
        (Some(fitting), _, true) => task.held(frame, fitting, streams),
        (None, true, true) => task.stream(frame),
        (None, true, false) => task.gathered(frame).await?,
        (fitting, _, streamed) => {
            let api = task.ask.api;
            let answer = task.whole(fitting, streams).await?;
            told(api, frame, &answer, streamed)
        }
    };
    Ok(Translated { response, dropped })
}

/// An answer that needs no upstream.
pub(super) fn ready(app: &App, ask: &Ask, prepared: &Prepared, answer: &Answer) -> Response<Body> {
    let mut frame = Frame::new(ask.api, app.sealer().clone());
    fill(&mut frame, ask, &prepared.request);
    told(ask.api, frame, answer, is_streamed(prepared))
}

/// What the client's answer is put into.
fn frame(app: &App, ask: &Ask, request: &Request, candidate: &Candidate, names: &Names) -> Frame {
    let mut frame = Frame::new(candidate.node.config.dialect, app.sealer().clone());
    fill(&mut frame, ask, request);
    frame.tools = client_tools(names);
    frame
}

fn fill(frame: &mut Frame, ask: &Ask, request: &Request) {
    frame.model.clone_from(&request.model);
    frame.created = u64::try_from(now_ms() / 1_000).unwrap_or(0);
    frame.id = answer_id(ask.api);
    frame.request_id.clone_from(&ask.request_id);
    frame.usage = usage_chunk(ask.api, request);
    if ask.api == Dialect::Responses {
        frame.echo = response_echo(&ask.body);
    }
}

/// Whether a client of Chat wants a chunk of usage.
fn usage_chunk(api: Dialect, request: &Request) -> UsageChunk {
    let options = request.own.get("stream_options");
    let wanted = options.and_then(|options| options.get("include_usage"));
    if api != Dialect::Chat || wanted.and_then(serde_json::Value::as_bool) == Some(true) {
        UsageChunk::Sent
    } else {
        UsageChunk::Withheld
    }
}

fn client_tools(names: &Names) -> HashMap<String, ClientTool> {
    let tool = |(told, named): (&str, &quire_translate::Named)| {
        let tool = ClientTool {
            name: named.name.clone(),
            namespace: named.namespace.clone(),
            free: named.wrapped,
        };
        (told.to_owned(), tool)
    };
    names.iter().map(tool).collect()
}

/// An answer that is on its way.
struct Task {
    app: Arc<App>,
    ask: Ask,
    candidate: Candidate,
    changes: Changes,
    /// It is large, and would be moved with all that is done.
    source: Box<Source>,
}

impl Task {
    /// A stream told as a stream.
    fn stream(self, frame: Frame) -> Response<Body> {
        let (mut outlet, answer) = self.outlet(frame);
        answer(Box::pin(async move {
            pump(
                &self.app,
                &self.ask,
                &self.candidate,
                self.changes,
                self.source,
                &mut outlet,
            )
            .await;
        }))
    }

    /// An answer that has to fit first, told as a stream in the end: until then it says that it lives.
    fn held(self, frame: Frame, fitting: Fitting, streams: bool) -> Response<Body> {
        let (mut outlet, answer) = self.outlet(frame);
        answer(Box::pin(async move {
            match self.whole(Some(fitting), streams).await {
                Ok(answer) => answer.tell(&mut |event| outlet.tell(event)),
                Err(denial) => outlet.tell(Event::Failed(denial.refusal)),
            }
            outlet.flush().await;
        }))
    }

    /// Where the events of a stream go, and the client's answer once it is known who does the work.
    fn outlet(&self, frame: Frame) -> (Streamed, impl FnOnce(Work) -> Response<Body> + use<>) {
        let (pieces, taken) = mpsc::channel::<Bytes>(1);
        let api = self.ask.api;
        let alive = self.app.live().config.bounds.keep_alive();
        let outlet = Streamed {
            writer: Writer::new(api, frame),
            out: Vec::new(),
            pieces,
        };
        let answer = move |work| {
            let driven = Driven::new(work, taken, api, alive);
            let mut response = Response::new(Body::new(driven));
            streamed_headers(response.headers_mut());
            response
        };
        (outlet, answer)
    }

    /// A stream told whole.
    async fn gathered(self, frame: Frame) -> Result<Response<Body>, Denial> {
        let api = self.ask.api;
        let mut outlet = Gathered(Collector::new(self.candidate.node.config.dialect));
        pump(
            &self.app,
            &self.ask,
            &self.candidate,
            self.changes,
            self.source,
            &mut outlet,
        )
        .await;
        Ok(json(write_whole(api, &frame, &outlet.0.finish()?)))
    }

    /// An answer that is read whole before anything of it is told.
    async fn whole(self, fitting: Option<Fitting>, streams: bool) -> Result<Answer, Denial> {
        let Self {
            app,
            ask,
            candidate,
            changes,
            source,
        } = self;
        let (read, is_large) = if streams {
            let mut outlet = Gathered(Collector::new(candidate.node.config.dialect));
            pump(&app, &ask, &candidate, Changes::NONE, source, &mut outlet).await;
            (Read::Done(Box::new(outlet.0.finish()?)), true)
        } else {
            let whole = inner::take_in((*source).into()).await?;
            let is_large = whole.is_large();
            (Read::Still(Box::new(whole)), is_large)
        };
        let fitted = Box::pin(async move {
            let answer = match read {
                Read::Done(answer) => *answer,
                Read::Still(whole) => whole.read()?,
            };
            let answer = match fitting {
                Some(fitting) => fitting.fitted(&app, &ask, &candidate, answer).await?,
                None => answer,
            };
            changed(&app, &ask, &candidate, changes, answer).await
        });
        if is_large {
            cores::aside(fitted).await
        } else {
            fitted.await
        }
    }
}

/// An answer that has come whole.
enum Read {
    Done(Box<Answer>),
    Still(Box<inner::Whole>),
}

/// A whole answer as the client gets it, with what follows it.
async fn changed(
    app: &Arc<App>,
    ask: &Ask,
    candidate: &Candidate,
    mut changes: Changes,
    answer: Answer,
) -> Result<Answer, Denial> {
    let mut collector = Collector::new(candidate.node.config.dialect);
    let mut asked = None;
    answer.tell(&mut |event| {
        if let Next::Ask(next) = changes.take(event, &mut |event| collector.take(event)) {
            asked = Some(*next);
        }
    });
    while let Some(mut next) = asked.take() {
        next.delivery = Delivery::Whole;
        let beside = Box::pin(inner::send(app, ask, &next, candidate)).await?;
        inner::collect(beside).await?.tell(&mut |event| {
            if let Next::Ask(next) = changes.take(event, &mut |event| collector.take(event)) {
                asked = Some(*next);
            }
        });
    }
    Ok(collector.finish()?)
}

impl From<Source> for inner::Beside {
    fn from(source: Source) -> Self {
        let mut response = Response::new(source.body);
        *response.status_mut() =
            axum::http::StatusCode::from_u16(source.status).unwrap_or_default();
        Self {
            response,
            node: source.node,
            charge: source.charge,
            place: source.place,
        }
    }
}

impl Fitting {
    /// An answer that fits the schema, asked for again where it does not.
    async fn fitted(
        self,
        app: &Arc<App>,
        ask: &Ask,
        candidate: &Candidate,
        mut answer: Answer,
    ) -> Result<Answer, Denial> {
        let Self { held, mut request } = self;
        for _ in 1..held.tries() {
            let Err(wrong) = held.check(&mut answer) else {
                return Ok(answer);
            };
            request = Arc::new(held.again(&request, &answer, &wrong));
            answer = inner::collect(inner::send(app, ask, &request, candidate).await?).await?;
        }
        held.check(&mut answer)
            .map_err(|wrong| {
                let message = format!(
                    "The model's answer does not fit the schema after {} tries. {wrong}",
                    held.tries()
                );
                Denial {
                    refusal: Refusal::new(Reason::Upstream, message),
                    // As often as the route allows it was tried already.
                    again: Again::Never,
                }
            })
            .map(|()| answer)
    }
}

/// A whole answer in the client's words.
fn told(api: Dialect, frame: Frame, answer: &Answer, streamed: bool) -> Response<Body> {
    if !streamed {
        return json(write_whole(api, &frame, answer));
    }
    let mut writer = Writer::new(api, frame);
    let mut out = Vec::new();
    answer.tell(&mut |event| writer.write(&event, &mut out));
    let mut response = Response::new(Body::from(out));
    streamed_headers(response.headers_mut());
    response
}

fn json(body: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    response
        .headers_mut()
        .insert("content-type", HeaderValue::from_static("application/json"));
    response
}

fn streamed_headers(headers: &mut HeaderMap) {
    headers.insert(
        "content-type",
        HeaderValue::from_static("text/event-stream; charset=utf-8"),
    );
    headers.insert("cache-control", HeaderValue::from_static("no-cache"));
}

/// A client that reads a stream.
struct Streamed {
    writer: Writer,
    out: Vec<u8>,
    pieces: mpsc::Sender<Bytes>,
}

impl Outlet for Streamed {
    fn tell(&mut self, event: Event) {
        self.writer.write(&event, &mut self.out);
    }

    async fn flush(&mut self) {
        if !self.out.is_empty() {
            let piece = std::mem::take(&mut self.out).into();
            // Its other end is where this work is done.
            let _ = self.pieces.send(piece).await;
        }
    }
}

/// A client that waits for the whole.
struct Gathered(Collector);

impl Outlet for Gathered {
    fn tell(&mut self, event: Event) {
        self.0.take(event);
    }

    async fn flush(&mut self) {}
}

/// The receiving end as a stream of frames.
pub(super) struct Taken(pub(super) mpsc::Receiver<Bytes>);

impl futures_core::Stream for Taken {
    type Item = Result<BodyFrame<Bytes>, std::convert::Infallible>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        self.0
            .poll_recv(context)
            .map(|piece| piece.map(|piece| Ok(BodyFrame::data(piece))))
    }
}
