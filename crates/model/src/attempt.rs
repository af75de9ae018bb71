//! One attempt: one request sent, its answer read to the end, live fragments passed on.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Frame, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::{HeaderMap, Method, Response};
use quire_catalogue::{Billing, ModelFacts};
use quire_dialect::{DecodeError, Decoded, Decoder, Extra, Retryable, decode_error, decode_whole};
use quire_net::Transport;
use quire_protocol::{Day, Delta, ModelError, ModelErrorKind, Money, Prefix, Usage};
use tokio::time::{Instant, Sleep, sleep_until, timeout};

use crate::failure::model_error;
use crate::flow::Outlet;
use crate::http::Trail;
use crate::http_date::http_date;
use crate::retry::Advice;
use crate::wire::{lost, may_pass, request};
use crate::{Provider, region};

/// The most bytes read of an answer that comes as one JSON text.
const WHOLE_LIMIT: usize = 64 << 20;
/// The most bytes read of an error.
const ERROR_LIMIT: usize = 256 << 10;
/// How long fragments are gathered before they are shown.
const GATHER: Duration = Duration::from_millis(8);
/// How long the end of a stream is waited for after the end of the answer.
const TRAILER: Duration = Duration::from_millis(3);

/// What stays the same from attempt to attempt.
pub(crate) struct Attempt<'a> {
    pub(crate) transport: &'a Transport,
    pub(crate) provider: &'a Provider,
    pub(crate) prefix: &'a Prefix,
    pub(crate) url: String,
    pub(crate) idle_timeout: Duration,
    pub(crate) facts: &'a ModelFacts,
    /// Where the answer must be computed.
    pub(crate) region: Option<&'a str>,
}

/// A whole answer and the day it came.
pub(crate) struct Answer {
    pub(crate) decoded: Decoded,
    pub(crate) day: Option<Day>,
}

/// An attempt that failed.
pub(crate) struct Broken {
    pub(crate) error: ModelError,
    pub(crate) advice: Advice,
    /// What was reported before it failed.
    pub(crate) used: Used,
    pub(crate) day: Option<Day>,
}

/// What an attempt used, and what decides the price of that.
#[derive(Clone, Debug, Default)]
pub(crate) struct Used {
    passes: Vec<Usage>,
    extra: Box<Extra>,
}

impl Used {
    fn so_far(decoder: &Decoder) -> Self {
        Self {
            passes: decoder.passes(),
            extra: Box::new(decoder.extra()),
        }
    }

    pub(crate) fn of(decoded: &Decoded) -> Self {
        Self {
            passes: decoded.passes.clone(),
            extra: Box::new(decoded.extra.clone()),
        }
    }

    pub(crate) fn usage(&self) -> Usage {
        self.passes
            .iter()
            .fold(Usage::default(), |sum, pass| sum + *pass)
    }

    /// The sum of the passes, each at its own price; none where one of them has none.
    pub(crate) fn cost(&self, facts: &ModelFacts, day: Option<Day>) -> Option<Money> {
        let billing = Billing {
            day,
            geo: self.extra.inference_geo.as_deref(),
            speed: self.extra.speed.as_deref(),
            tier: self.extra.service_tier.as_deref(),
        };
        self.passes
            .iter()
            .map(|pass| facts.cost(pass, billing))
            .sum()
    }
}

impl From<ModelError> for Broken {
    fn from(error: ModelError) -> Self {
        Self {
            error,
            advice: Advice::default(),
            used: Used::default(),
            day: None,
        }
    }
}

impl From<DecodeError> for Broken {
    fn from(error: DecodeError) -> Self {
        let retry = match &error {
            DecodeError::Provider(_, retryable) => Some(*retryable == Retryable::Yes),
            DecodeError::Truncated | DecodeError::Malformed(_) => None,
        };
        Self {
            advice: Advice { after: None, retry },
            ..Self::from(ModelError::from(error))
        }
    }
}

impl Attempt<'_> {
    /// Sends the body and reads the answer. `trail` is what attempts before this one used.
    pub(crate) async fn run(
        &self,
        headers: HeaderMap,
        body: Vec<Bytes>,
        trail: &Trail,
        outlet: &Outlet,
    ) -> Result<Answer, Broken> {
        let request = request(Method::POST, &self.url, headers, body);
        let sending = self.transport.send(request.map_err(|e| not_sent(&e))?);
        let response = match timeout(self.idle_timeout, sending).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(not_sent(&error)),
            Err(_) => return Err(self.silent().into()),
        };
        let date = response
            .headers()
            .get("date")
            .and_then(|value| value.to_str().ok());
        let day = date.and_then(http_date);
        let day = day.map(|seconds| Day::of(seconds.saturating_mul(1_000)));
        let answer = if response.status().is_success() {
            let tell = |used: Used| {
                let mut all = trail.clone();
                all.add(used.usage(), used.cost(self.facts, day));
                outlet.used(all.usage, all.cost());
            };
            self.answer(response, &tell, outlet).await
        } else {
            Err(self.refusal(response).await)
        };
        let answer = answer.and_then(|decoded| self.placed_right(decoded));
        match answer {
            Ok(decoded) => Ok(Answer { decoded, day }),
            Err(broken) => Err(Broken { day, ..broken }),
        }
    }

    /// An answer from elsewhere than it must come from is none, and is not asked for again.
    fn placed_right(&self, decoded: Decoded) -> Result<Decoded, Broken> {
        let Err(error) = region::kept(self.region, decoded.extra.inference_geo.as_deref()) else {
            return Ok(decoded);
        };
        Err(Broken {
            used: Used::of(&decoded),
            advice: Advice {
                after: None,
                retry: Some(false),
            },
            ..error.into()
        })
    }

    async fn answer(
        &self,
        response: Response<Incoming>,
        tell: &(dyn Fn(Used) + Sync),
        outlet: &Outlet,
    ) -> Result<Decoded, Broken> {
        let status = response.status().as_u16();
        let kind = content_type(response.headers());
        let streamed = [
            "",
            "text/event-stream",
            "application/octet-stream",
            "text/plain",
        ];
        if streamed.contains(&kind.as_str()) {
            return self.stream(response.into_body(), tell, outlet).await;
        }
        if kind == "application/json" || kind.ends_with("+json") {
            let body = self.collect(response.into_body(), WHOLE_LIMIT).await?;
            return Ok(decode_whole(self.provider.dialect, self.prefix, &body)?);
        }
        Err(ModelError {
            status: Some(status),
            ..model_error(
                ModelErrorKind::NotAnApi,
                format!(
                    "{} answered with {kind}, not with a model's answer",
                    self.url
                ),
                self.provider.base_url_hint(),
            )
        }
        .into())
    }

    /// Reads the answer to a request that was not taken.
    async fn refusal(&self, response: Response<Incoming>) -> Broken {
        let status = response.status().as_u16();
        let advice = Advice::from_headers(response.headers());
        let kind = content_type(response.headers());
        let body = self
            .collect(response.into_body(), ERROR_LIMIT)
            .await
            .unwrap_or_default();
        let mut error = decode_error(self.provider.dialect, status, Some(&kind), &body);
        if error.kind == ModelErrorKind::Busy && status == 429 && advice.retry == Some(false) {
            error = limited(error);
        }
        Broken {
            advice,
            ..self.provider.explain(error).into()
        }
    }

    async fn stream(
        &self,
        body: Incoming,
        tell: &(dyn Fn(Used) + Sync),
        outlet: &Outlet,
    ) -> Result<Decoded, Broken> {
        let mut decoder = Decoder::new(self.provider.dialect, self.prefix);
        match self.read(body, &mut decoder, tell, outlet).await {
            Ok(()) => {
                let used = Used::so_far(&decoder);
                decoder.finish().map_err(|error| Broken {
                    used,
                    ..error.into()
                })
            }
            // Whatever breaks after the answer is of no interest.
            Err(_) if decoder.is_whole() => Ok(decoder.finish()?),
            Err(broken) => Err(Broken {
                used: Used::so_far(&decoder),
                ..broken
            }),
        }
    }

    /// Reads until the answer or the stream ends. Fragments are gathered for a moment, so that a
    /// fast stream costs the reader little.
    async fn read(
        &self,
        mut body: Incoming,
        decoder: &mut Decoder,
        tell: &(dyn Fn(Used) + Sync),
        outlet: &Outlet,
    ) -> Result<(), Broken> {
        let mut gathered = Vec::new();
        let mut told = Usage::default();
        let mut heard = Instant::now();
        let mut show_at = heard;
        let mut alarm = pin!(sleep_until(heard + self.idle_timeout));
        loop {
            let frame = next(&mut body, alarm.as_mut()).await;
            let now = Instant::now();
            match frame {
                Heard::Frame(frame) => {
                    heard = now;
                    let frame = frame.map_err(|error| lost(&error.into()))?;
                    let before = gathered.len();
                    if let Some(data) = frame.data_ref() {
                        decoder.push(data, &mut gathered)?;
                    }
                    if decoder.usage() != told {
                        told = decoder.usage();
                        tell(Used::so_far(decoder));
                    }
                    join(&mut gathered, before);
                    if before == 0 && !gathered.is_empty() {
                        show_at = now + GATHER;
                        alarm.as_mut().reset(show_at);
                    }
                }
                Heard::Alarm if gathered.is_empty() && heard + self.idle_timeout <= now => {
                    return Err(self.silent().into());
                }
                Heard::Alarm if gathered.is_empty() => {
                    alarm.as_mut().reset(heard + self.idle_timeout);
                }
                Heard::Alarm => {}
                Heard::End => {
                    outlet.send(gathered).await;
                    return Ok(());
                }
            }
            if decoder.is_complete() {
                outlet.send(gathered).await;
                finish(body).await;
                return Ok(());
            }
            if !gathered.is_empty() && show_at <= now {
                outlet.send(gathered.drain(..)).await;
                // The time that the reader took is not the provider's.
                heard = Instant::now();
                alarm.as_mut().reset(heard + self.idle_timeout);
            }
        }
    }

    async fn collect(&self, mut body: Incoming, most: usize) -> Result<Vec<u8>, ModelError> {
        let mut bytes = Vec::new();
        loop {
            match timeout(self.idle_timeout, body.frame()).await {
                Err(_) => return Err(self.silent()),
                Ok(None) => return Ok(bytes),
                Ok(Some(Err(error))) => return Err(lost(&error.into())),
                Ok(Some(Ok(frame))) => {
                    if let Some(data) = frame.data_ref() {
                        let room = most - bytes.len();
                        bytes.extend_from_slice(&data[..data.len().min(room)]);
                    }
                    if bytes.len() == most {
                        return Ok(bytes);
                    }
                }
            }
        }
    }

    fn silent(&self) -> ModelError {
        model_error(
            ModelErrorKind::Network,
            format!(
                "{} sent nothing for {} s",
                self.url,
                self.idle_timeout.as_secs_f32()
            ),
            "Try again; a slow local model may need a longer idle timeout.",
        )
    }
}

/// Too many requests, says the provider, and not to ask again: no crowd, but a limit of the account.
fn limited(error: ModelError) -> ModelError {
    ModelError {
        kind: ModelErrorKind::Quota,
        hint: "A limit of this account is reached, and the provider says that asking again does \
               not help. See limits and spending at the provider: raise them, wait until they \
               renew, or use another model."
            .to_owned(),
        ..error
    }
}

fn not_sent(error: &quire_net::Error) -> Broken {
    let advice = Advice {
        after: None,
        retry: Some(may_pass(error)),
    };
    Broken {
        advice,
        ..lost(error).into()
    }
}

/// What happened while an answer was read.
enum Heard {
    Frame(Result<Frame<Bytes>, hyper::Error>),
    End,
    Alarm,
}

async fn next(body: &mut Incoming, mut alarm: Pin<&mut Sleep>) -> Heard {
    poll_fn(|context| {
        if let Poll::Ready(frame) = Pin::new(&mut *body).poll_frame(context) {
            return Poll::Ready(frame.map_or(Heard::End, Heard::Frame));
        }
        alarm.as_mut().poll(context).map(|()| Heard::Alarm)
    })
    .await
}

/// Joins the fragments from `from` on with those before them, where they are of one kind.
fn join(gathered: &mut Vec<Delta>, from: usize) {
    if from == 0 || gathered.len() <= from {
        return;
    }
    let (before, fresh) = gathered.split_at_mut(from);
    let joined = match (before.last_mut(), &fresh[0]) {
        (Some(Delta::Text { text }), Delta::Text { text: more })
        | (Some(Delta::Thinking { text }), Delta::Thinking { text: more }) => {
            text.push_str(more);
            true
        }
        (
            Some(Delta::CallWriting { name, bytes }),
            Delta::CallWriting {
                name: same,
                bytes: now,
            },
        ) if name == same => {
            *bytes = *now;
            true
        }
        _ => false,
    };
    if joined {
        gathered.remove(from);
    }
}

/// Reads the end of a stream whose answer is complete, so that its connection can be used again;
/// what takes long is left to a task of its own.
async fn finish(mut body: Incoming) {
    let drained = timeout(TRAILER, drain(&mut body)).await;
    if drained.is_err() {
        tokio::spawn(async move {
            let _ = timeout(Duration::from_secs(1), drain(&mut body)).await;
        });
        return;
    }
    // The connection's own task puts it back into the pool.
    for _ in 0..2 {
        tokio::task::yield_now().await;
    }
}

async fn drain(body: &mut Incoming) {
    while let Some(Ok(_)) = body.frame().await {}
}

fn content_type(headers: &HeaderMap) -> String {
    let value = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let kind = value
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default();
    kind.trim().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use quire_catalogue::Catalogue;
    use quire_dialect::Dialect;

    use super::*;

    /// What an answer of Messages costs that reports this use.
    fn bill(model: &str, usage: &str) -> String {
        let body =
            format!(r#"{{"model":"m","content":[],"stop_reason":"end_turn","usage":{usage}}}"#);
        let decoded = decode_whole(Dialect::Messages, &Prefix::default(), body.as_bytes());
        let facts = Catalogue::builtin().facts("p", model);
        let cost = Used::of(&decoded.unwrap()).cost(&facts, None);
        cost.map_or_else(|| "unknown".to_owned(), |cost| cost.to_string())
    }

    #[test]
    fn passes_are_charged_one_by_one() {
        // 180,000 x $3, 2,000 x $15, 21,000 x $3 and 100 x $15 per million: no pass is above
        // 200,000, though all together are.
        let both = r#""input_tokens":21000,"output_tokens":100,"iterations":[
            {"type":"compaction","input_tokens":180000,"output_tokens":2000},
            {"type":"message","input_tokens":21000,"output_tokens":100}]"#;
        assert_eq!(bill("claude-sonnet-4-5", &format!("{{{both}}}")), "0.6345");
        // The same 1.1 times.
        let there = format!(r#"{{{both},"inference_geo":"us"}}"#);
        assert_eq!(bill("claude-sonnet-4-5", &there), "0.69795");
        let above = r#"{"input_tokens":10,"output_tokens":0,"iterations":[
            {"type":"compaction","input_tokens":1,"cache_read_input_tokens":0,
             "cache_creation_input_tokens":200000,"output_tokens":0},
            {"type":"message","input_tokens":10,"output_tokens":0}]}"#;
        // 1 x $6, 200,000 x $7.50, and 10 x $3.
        assert_eq!(bill("claude-sonnet-4-5", above), "1.500036");
        // Two passes of the answer; the totals are theirs and are not charged again.
        let two = r#"{"input_tokens":30,"output_tokens":3,"iterations":[
            {"type":"message","input_tokens":10,"output_tokens":1},
            {"type":"message","input_tokens":20,"output_tokens":2}]}"#;
        // 30 x $5 and 3 x $25.
        assert_eq!(bill("claude-opus-5", two), "0.000225");
        // A compaction alone: the totals are nothing.
        let alone = r#"{"input_tokens":0,"output_tokens":0,"iterations":[
            {"type":"compaction","input_tokens":1000,"output_tokens":100}]}"#;
        assert_eq!(bill("claude-opus-5", alone), "0.0075");
        assert_eq!(bill("claude-haiku-5-5", alone), "unknown");
    }

    fn text(text: &str) -> Delta {
        Delta::Text { text: text.into() }
    }

    fn writing(name: &str, bytes: u64) -> Delta {
        Delta::CallWriting {
            name: name.into(),
            bytes,
        }
    }

    #[test]
    fn fragments_join() {
        let thinking = |text: &str| Delta::Thinking { text: text.into() };
        let mut gathered = Vec::new();
        for delta in [
            thinking("a"),
            thinking("b"),
            text("c"),
            text("d"),
            writing("sh", 1),
            writing("sh", 9),
            writing("ls", 2),
            text("e"),
        ] {
            let before = gathered.len();
            gathered.push(delta);
            join(&mut gathered, before);
        }
        let joined = [
            thinking("ab"),
            text("cd"),
            writing("sh", 9),
            writing("ls", 2),
            text("e"),
        ];
        assert_eq!(gathered, joined);
    }
}
