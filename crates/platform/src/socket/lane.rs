//! A lane of a connection: its requests are answered one after the other, beside those of other lanes.

use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::http::{HeaderMap, Response};
use quire_depot::{KeyId, ResponseStatus};
use quire_dialect::Dialect;
use quire_translate::{Reason, Refusal, socket_error};
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::app::App;
use crate::clock::{new_id, now_ms};
use crate::relay::{self, Ask};
use crate::stored::{self, Context, Keeper, Keeping, Memory, Telling, Told, Wish};

/// What goes out.
pub(super) enum Out {
    /// A frame.
    Text(String),
    /// A request of so many bytes is answered to its end.
    Answered(usize),
}

/// A lane.
pub(super) struct Lane {
    pub(super) app: Arc<App>,
    pub(super) key: KeyId,
    pub(super) headers: HeaderMap,
    pub(super) memory: Arc<Memory>,
    /// Its name; none for the one without.
    pub(super) name: Option<String>,
    pub(super) out: mpsc::Sender<Out>,
}

/// Nobody listens any more.
struct Gone;

/// How a request failed, as a frame tells it.
struct Failed(String);

impl From<Refusal> for Failed {
    fn from(refusal: Refusal) -> Self {
        Self(socket_error(&refusal))
    }
}

impl Lane {
    /// Answers what comes, until the connection is gone.
    pub(super) async fn run(self, mut requests: mpsc::Receiver<Utf8Bytes>) {
        while let Some(text) = requests.recv().await {
            let answered = tokio::select! {
                answered = self.answer(&text) => answered,
                () = self.out.closed() => return,
            };
            if answered.is_err() || self.out.send(Out::Answered(text.len())).await.is_err() {
                return;
            }
        }
    }

    async fn answer(&self, text: &Utf8Bytes) -> Result<(), Gone> {
        let wish = match Wish::read(text.as_bytes(), new_id("resp_")) {
            Ok(wish) => wish,
            Err(refusal) => return self.tell(socket_error(&refusal)).await,
        };
        let previous = wish.previous.clone();
        let Err(Failed(told)) = self.create(wish, text).await? else {
            return Ok(());
        };
        // What could not be gone on from is not held any longer.
        if let Some(previous) = previous {
            self.memory.forget(&previous);
        }
        self.tell(told).await
    }

    /// Answers one request; the outer error is that nobody listens.
    async fn create(
        &self,
        mut wish: Wish<'_>,
        text: &Utf8Bytes,
    ) -> Result<Result<(), Failed>, Gone> {
        let prepared = self.prepare(&mut wish).await;
        let (ask, keeper, generates) = match prepared {
            Ok(prepared) => prepared,
            Err(failed) => return Ok(Err(failed)),
        };
        if !generates {
            return self.warm(&wish, text, keeper).await.map(Ok);
        }
        let _counted = match self.app.room() {
            Ok(counted) => counted,
            Err(refusal) => return Ok(Err(refusal.into())),
        };
        match relay::relay(&self.app, ask).await {
            Ok(answer) if answer.status().is_success() => self.pass_on(answer, keeper).await,
            Ok(answer) => Ok(Err(refused(answer).await)),
            Err(denial) => Ok(Err(denial.refusal.into())),
        }
    }

    /// What goes upstream, who keeps the answer, and whether there is to be one.
    async fn prepare(&self, wish: &mut Wish<'_>) -> Result<(Ask, Keeper, bool), Failed> {
        // The key may have been taken back since the connection was opened.
        let caller = self.app.keyring().caller_by_id(&self.key, now_ms())?;
        if wish.background {
            let message =
                "A WebSocket has no background: leave `background` out, or POST the request.";
            return Err(Refusal::new(Reason::Invalid, message)
                .about("background")
                .into());
        }
        self.app.admits(&caller, &wish.model)?;
        let workspace = &caller.workspace.id;
        let context = Context::resolve(&self.app, workspace, wish, Some(&self.memory)).await;
        let context = context.map_err(|denial| denial.refusal)?;
        let generates = wish.fields.get::<bool>("generate")?.unwrap_or(true);
        if generates {
            context.check_results(wish)?;
        }
        wish.fields.remove(&["generate", "stream_id", "type"]);
        wish.fields.set("stream", "true".to_owned());
        let keeping = Keeping::of(wish.store);
        let body = wish.standing_alone(&self.app, &context).into();
        let keeper =
            Keeper::new(&self.app, &caller, wish, &context, keeping).remembering(&self.memory);
        let ask = Ask {
            api: Dialect::Responses,
            caller,
            request_id: new_id("req_"),
            headers: self.headers.clone(),
            body,
            started: Instant::now(),
            batch: false,
            path: None,
        };
        Ok((ask, keeper, generates))
    }

    /// Answers without a model: the response can be gone on from.
    async fn warm(
        &self,
        wish: &Wish<'_>,
        text: &Utf8Bytes,
        mut keeper: Keeper,
    ) -> Result<(), Gone> {
        let mut response = stored::unanswered(wish, text.as_bytes(), now_ms());
        let events = [
            ("response.created", ResponseStatus::InProgress),
            ("response.completed", ResponseStatus::Completed),
        ];
        for (number, (name, status)) in events.into_iter().enumerate() {
            response.insert("status".to_owned(), status.as_str().into());
            if status == ResponseStatus::Completed {
                response.insert("completed_at".to_owned(), (now_ms() / 1_000).into());
                response.insert("usage".to_owned(), no_usage());
            }
            let event = json!({"type": name, "sequence_number": number, "response": response});
            let told = Told {
                name: name.to_owned(),
                data: event.to_string().into(),
            };
            let told = keeper.pass(told).await;
            self.event(&told).await?;
        }
        Ok(())
    }

    async fn pass_on(
        &self,
        answer: Response<Body>,
        mut keeper: Keeper,
    ) -> Result<Result<(), Failed>, Gone> {
        if !relay::is_stream(answer.headers()) {
            let message = "The upstream answers whole where a stream was asked for; a WebSocket needs the stream.";
            return Ok(Err(Refusal::new(Reason::Upstream, message).into()));
        }
        let mut telling = Telling::new(answer.into_body());
        while let Some(told) = telling.next().await {
            if told.name == "error" {
                return Ok(Err(nested(&told)));
            }
            let told = keeper.pass(told).await;
            self.event(&told).await?;
            match keeper.ended {
                Some(ResponseStatus::Failed) => {
                    keeper.forget_previous(&self.memory);
                    return Ok(Ok(()));
                }
                Some(_) => return Ok(Ok(())),
                None => {}
            }
        }
        let message = "The answer broke off in its middle. Try again.";
        Ok(Err(Refusal::new(Reason::Upstream, message).into()))
    }

    async fn event(&self, told: &Told) -> Result<(), Gone> {
        self.tell(String::from_utf8_lossy(&told.data).into_owned())
            .await
    }

    async fn tell(&self, text: String) -> Result<(), Gone> {
        let text = in_lane(text, self.name.as_deref());
        self.out.send(Out::Text(text)).await.map_err(|_| Gone)
    }
}

/// A JSON object with the lane that it belongs to.
pub(super) fn in_lane(mut text: String, lane: Option<&str>) -> String {
    if let Some(lane) = lane
        && text.pop() == Some('}')
    {
        text.push_str(r#","stream_id":"#);
        text.push_str(&Value::from(lane).to_string());
        text.push('}');
    }
    text
}

/// An HTTP error as a frame.
async fn refused(answer: Response<Body>) -> Failed {
    let status = answer.status().as_u16();
    let mut headers = Map::new();
    for name in ["retry-after", "retry-after-ms", "x-should-retry"] {
        if let Some(value) = answer
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
        {
            headers.insert(name.to_owned(), value.into());
        }
    }
    let body = stored::whole(answer.into_body()).await.unwrap_or_default();
    let mut body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let mut error = match body["error"].take() {
        Value::Object(error) => error,
        _other => {
            let message = "The model did not answer. Try again.";
            return Refusal::new(Reason::Upstream, message).into();
        }
    };
    if !headers.is_empty() {
        error.insert("headers".to_owned(), headers.into());
    }
    Failed(json!({"type": "error", "status": status, "error": error}).to_string())
}

/// The flat `error` event of a stream as a frame.
fn nested(told: &Told) -> Failed {
    let mut event: Value = serde_json::from_slice(&told.data).unwrap_or_default();
    let error = json!({"type": "server_error", "code": event["code"].take(),
        "message": event["message"].take(), "param": event["param"].take()});
    Failed(json!({"type": "error", "status": 502, "error": error}).to_string())
}

fn no_usage() -> Value {
    json!({"input_tokens": 0, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 0,
        "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 0})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_bears_its_lane() {
        let event = r#"{"type":"a"}"#.to_owned();
        assert_eq!(in_lane(event.clone(), None), event);
        assert_eq!(
            in_lane(event, Some("x\"y")),
            r#"{"type":"a","stream_id":"x\"y"}"#
        );
    }
}
