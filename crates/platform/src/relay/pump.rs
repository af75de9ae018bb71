//! The events of an upstream's answer on their way to a client of another API, or through what a route adds.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use quire_protocol::Usage;
use quire_translate::{Delta, Event, Finish, Reader, Refusal, Request, Tally};

use super::failure::{broke_off, ended_in};
use super::{Ask, inner, whole};
use crate::additions::{Lengthened, Listener, Next};
use crate::app::App;
use crate::charge::{Charge, Outcome, left};
use crate::routing::{Candidate, Node, Place};

/// An upstream's answer with all that hangs on it.
pub(super) struct Source {
    pub(super) body: Incoming,
    pub(super) node: Arc<Node>,
    pub(super) charge: Charge,
    pub(super) place: Place,
    pub(super) status: u16,
}

/// What stands between the upstream's events and the client's.
pub(super) struct Changes {
    /// What the client is told behind the answer's beginning.
    pub(super) before: Vec<Event>,
    /// What was used for a compaction before the answer, which is charged already.
    pub(super) compaction: Option<Usage>,
    pub(super) listener: Option<Listener>,
    pub(super) lengthened: Option<Lengthened>,
}

/// What has been used, by the events so far.
#[derive(Default)]
pub(super) struct Gauge {
    tally: Tally,
    model: Option<String>,
    /// Bytes of words so far.
    bytes: u64,
    /// Whether the upstream came to its end.
    finished: bool,
    /// The error that it ended in.
    failure: Option<Refusal>,
}

impl Gauge {
    fn see(&mut self, event: &Event) {
        match event {
            Event::Begin(begin) => {
                self.tally = begin.tally.clone();
                self.tally.counted = false;
                self.model = Some(begin.model.clone()).filter(|model| !model.is_empty());
            }
            Event::Grow(Delta::Text(text) | Delta::Input(text)) => self.bytes += text.len() as u64,
            Event::Finish(Finish { tally, .. }) => {
                self.tally = tally.clone();
                self.finished = true;
            }
            Event::Failed(error) => self.failure = Some(error.clone()),
            Event::Open(_) | Event::Grow(_) | Event::Close(_) | Event::Ping => {}
        }
    }

    fn estimate(&self) -> u64 {
        self.bytes.div_ceil(super::BYTES_PER_TOKEN)
    }

    fn settle(&self, charge: Charge, status: u16) {
        charge.settle(&Outcome {
            status,
            tally: &self.tally,
            model: self.model.as_deref(),
            estimate: self.estimate(),
        });
    }
}

impl Changes {
    /// Nothing does.
    pub(super) const NONE: Self = Self {
        before: Vec::new(),
        compaction: None,
        listener: None,
        lengthened: None,
    };

    /// Takes an upstream's event and gives the client's; says what follows.
    pub(super) fn take(&mut self, event: Event, out: &mut dyn FnMut(Event)) -> Next {
        let Self {
            before,
            compaction,
            listener,
            lengthened,
        } = self;
        let mut through = |mut event: Event| {
            let begins = matches!(event, Event::Begin(_));
            if let Event::Finish(finish) = &mut event
                && let Some(compaction) = compaction.take()
            {
                finish.tally.begin_with_compaction(&compaction);
            }
            match listener {
                Some(listener) => listener.hear(event, out),
                None => out(event),
            }
            if begins {
                before.drain(..).for_each(&mut *out);
            }
        };
        if let Some(lengthened) = lengthened {
            return lengthened.take(event, &mut through);
        }
        let over = matches!(event, Event::Finish(_) | Event::Failed(_));
        through(event);
        if over { Next::Over } else { Next::More }
    }
}

/// Where a client's events go.
pub(super) trait Outlet: Send {
    /// Takes an event.
    fn tell(&mut self, event: Event);
    /// Passes on what was told since the last time.
    fn flush(&mut self) -> impl Future<Output = ()> + Send;
}

/// Reads an answer to its end, with what follows it, into an outlet. Dropped in the middle, the upstream is cancelled
/// and what went out is charged.
pub(super) async fn pump(
    app: &Arc<App>,
    ask: &Ask,
    candidate: &Candidate,
    mut changes: Changes,
    mut source: Box<Source>,
    outlet: &mut impl Outlet,
) {
    loop {
        let Some(next) = piece(&mut changes, source, outlet).await else {
            return;
        };
        // It is rarely there, and large.
        match Box::pin(inner::send(app, ask, &next, candidate)).await {
            Ok(beside) => {
                source = Box::new(Source {
                    status: beside.response.status().as_u16(),
                    body: beside.response.into_body(),
                    node: beside.node,
                    charge: beside.charge,
                    place: beside.place,
                });
            }
            Err(denial) => {
                changes.take(Event::Failed(denial.refusal), &mut |event| {
                    outlet.tell(event);
                });
                outlet.flush().await;
                return;
            }
        }
    }
}

/// What one piece of an answer costs, charged when this is dropped.
struct Bill {
    gauge: Gauge,
    charge: Option<Charge>,
    status: u16,
    /// Whether the client has been told all of it.
    over: bool,
}

impl Drop for Bill {
    /// A reader that has its last event need not wait for the end of the stream.
    fn drop(&mut self) {
        if let Some(charge) = self.charge.take() {
            let status = if self.over { self.status } else { left() };
            self.gauge.settle(charge, status);
        }
    }
}

/// Reads one piece; gives what to ask for the next.
async fn piece(
    changes: &mut Changes,
    source: Box<Source>,
    outlet: &mut impl Outlet,
) -> Option<Request> {
    let Source {
        mut body,
        node,
        charge,
        place: _place,
        status,
    } = *source;
    let idle = Duration::from_secs(node.config.idle_s);
    let mut reader = Reader::new(node.config.dialect);
    let mut bill = Bill {
        gauge: Gauge::default(),
        charge: Some(charge),
        status,
        over: false,
    };
    let mut next = Next::More;
    while next == Next::More {
        let chunk = next_chunk(&mut body, idle).await;
        let Bill {
            gauge,
            charge: Some(charge),
            status,
            ..
        } = &mut bill
        else {
            return None;
        };
        let mut each = |event: Event| {
            gauge.see(&event);
            if next == Next::More {
                next = changes.take(event, &mut |event| outlet.tell(event));
            }
        };
        match &chunk {
            Ok(Some(bytes)) => {
                charge.heard(bytes);
                reader.push(bytes, &mut each);
            }
            Ok(None) => reader.finish(&mut each),
            Err(cut) => {
                *status = cut.status();
                each(Event::Failed(broke_off(cut, &node, charge)));
            }
        }
        let failure = gauge.failure.take();
        if let Some(error) = failure.filter(|_| chunk.is_ok()) {
            *status = ended_in(&error, &node, charge);
        }
        charge.progress(gauge.estimate());
        bill.over = next != Next::More;
        outlet.flush().await;
    }
    if bill.gauge.finished {
        node.succeeded();
    }
    match next {
        Next::Ask(request) => Some(*request),
        Next::More | Next::Over => None,
    }
}

/// The next bytes; `None` at the end.
async fn next_chunk(body: &mut Incoming, idle: Duration) -> Result<Option<Bytes>, whole::Cut> {
    loop {
        let frame = tokio::time::timeout(idle, body.frame())
            .await
            .map_err(|_| whole::Cut::Silent)?;
        match frame {
            None => return Ok(None),
            Some(Err(error)) => return Err(whole::Cut::Broken(error.to_string())),
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}
