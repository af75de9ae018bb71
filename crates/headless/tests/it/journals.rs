//! A client whose sessions are journals in memory, and journals at random.

use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use futures_util::StreamExt;
use quire_protocol::*;

use crate::events::calls;
use crate::settings;

/// Sessions to be looked at, none of which is open.
#[derive(Default)]
pub(crate) struct Journals(pub(crate) Vec<(SessionHead, Vec<Record>)>);

impl Journals {
    pub(crate) fn add(&mut self, id: &str, events: Vec<(u64, Event)>) {
        let records: Vec<Record> = (1..)
            .zip(events)
            .map(|(seq, (at_ms, event))| Record {
                seq: Seq(seq),
                at_ms,
                event,
            })
            .collect();
        let head = SessionHead {
            session: SessionId::new(id),
            created_ms: records.first().map_or(0, |record| record.at_ms),
            updated_ms: records.last().map_or(0, |record| record.at_ms),
            workspace: "/src/parser".into(),
            title: format!("title of {id}"),
            events: records.len() as u64,
            parent: None,
        };
        self.0.push((head, records));
    }
}

/// 2026-11-25, 10:00 UTC.
pub(crate) const DAY_ONE: u64 = 1_795_600_800_000;

impl Client for Journals {
    fn start(&self, _: Settings) -> BoxFuture<'_, Result<SessionId, ClientError>> {
        unreachable!("nothing is started here")
    }

    fn open(&self, _: &SessionId) -> BoxFuture<'_, Result<Opened, ClientError>> {
        unreachable!("nothing is opened here")
    }

    fn submit(&self, _: &SessionId, _: Op) -> BoxFuture<'_, Result<(), ClientError>> {
        unreachable!("nothing is asked here")
    }

    fn watch(&self, session: &SessionId, after: Seq) -> BoxStream<'static, Frame> {
        let found = self.0.iter().find(|(head, _)| head.session == *session);
        let records = found
            .map(|(_, records)| records.clone())
            .unwrap_or_default();
        let frames = records.into_iter().filter(move |record| record.seq > after);
        futures_util::stream::iter(frames.map(Frame::Record)).boxed()
    }

    fn close(&self, _: &SessionId) -> BoxFuture<'_, Result<(), ClientError>> {
        unreachable!("nothing is closed here")
    }

    fn sessions(
        &self,
        query: SessionQuery,
    ) -> BoxFuture<'_, Result<Vec<SessionHead>, ClientError>> {
        let prefix = query.id_prefix.unwrap_or_default();
        let heads = self.0.iter().map(|(head, _)| head.clone());
        let wanted = heads.filter(|head| head.session.as_str().starts_with(&prefix));
        let heads = wanted.collect();
        Box::pin(async move { Ok(heads) })
    }

    fn agents(&self) -> BoxFuture<'_, Result<Vec<Agent>, ClientError>> {
        unreachable!("nobody asks for agents")
    }

    fn search(&self, _: &str, _: usize) -> BoxFuture<'_, Result<Vec<Hit>, ClientError>> {
        unreachable!("nothing is searched here")
    }

    fn fork(
        &self,
        _: &SessionId,
        _: Option<MessageId>,
    ) -> BoxFuture<'_, Result<SessionId, ClientError>> {
        unreachable!("nothing is forked here")
    }

    fn changes(
        &self,
        _: &SessionId,
        _: Point,
    ) -> BoxFuture<'_, Result<Vec<FileChange>, ClientError>> {
        unreachable!("nobody asks what changed")
    }

    fn take_back(
        &self,
        _: &SessionId,
        _: Point,
        _: Conflicts,
    ) -> BoxFuture<'_, Result<TakenBack, ClientError>> {
        unreachable!("nothing is taken back here")
    }

    fn remove(&self, _: &SessionId) -> BoxFuture<'_, Result<(), ClientError>> {
        unreachable!("nothing is removed here")
    }
}

/// Numbers at random from a seed: xorshift.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % most
    }

    fn usage(&mut self) -> Usage {
        Usage {
            input: self.below(5_000),
            cache_read: self.below(200_000),
            cache_write_5m: self.below(3_000),
            cache_write_1h: self.below(2) * self.below(900),
            output: self.below(4_000),
            thinking: self.below(900),
        }
    }

    /// Mostly a price with digits down to the picodollar, sometimes none.
    fn cost(&mut self) -> Option<Money> {
        (self.below(8) > 0).then(|| Money::from_picos(self.below(9_000_000_000_000).cast_signed()))
    }

    fn retries(&mut self) -> Vec<Retry> {
        let retry = Retry {
            reason: "busy".into(),
            wait_ms: 5,
        };
        vec![retry; usize::try_from(self.below(3) / 2).unwrap()]
    }

    fn failure(&mut self, request: RequestId) -> Event {
        let kinds = [
            ModelErrorKind::Busy,
            ModelErrorKind::Cancelled,
            ModelErrorKind::Lost,
        ];
        let nothing = self.below(2) == 0;
        Event::ModelFailed {
            request,
            error: ModelError {
                kind: kinds[usize::try_from(self.below(3)).unwrap()],
                message: "no".into(),
                hint: String::new(),
                status: None,
            },
            usage: if nothing {
                Usage::default()
            } else {
                self.usage()
            },
            cost: if nothing { None } else { self.cost() },
            retries: self.retries(),
        }
    }

    /// A journal of a session with several models, folders, purposes, failures and days.
    pub(crate) fn journal(&mut self) -> Vec<(u64, Event)> {
        let mut events = Vec::new();
        let mut at_ms = DAY_ONE + self.below(30) * 86_400_000;
        for request in 1..=self.below(40) {
            // Clocks jump, also back.
            at_ms = at_ms + self.below(20_000_000) - self.below(4) / 3 * 5_000_000;
            if request == 1 || self.below(9) == 0 {
                let settings = Settings {
                    model: format!("p/m{}", self.below(4)),
                    workspace: format!("/src/{}", self.below(3)).into(),
                    ..settings()
                };
                events.push((at_ms, Event::Configured { settings }));
            }
            let request = RequestId(u32::try_from(request).unwrap());
            let purpose = match self.below(6) {
                0 => Purpose::Summary,
                1 => Purpose::Judge,
                _ => Purpose::Work,
            };
            events.push((at_ms, called(request, purpose, self.below(90_000))));
            let answer = match self.below(7) {
                0 => self.failure(request),
                _ => Event::ModelReplied {
                    request,
                    model: "m-2026".into(),
                    items: vec![calls(request.0, "bash", "{}")],
                    plans: Vec::new(),
                    stop: TokenStop::ToolUse,
                    usage: self.usage(),
                    cost: self.cost(),
                    retries: self.retries(),
                },
            };
            events.push((at_ms + self.below(100_000_000), answer));
        }
        // Sometimes the last one has no answer yet.
        if self.below(3) == 0 {
            events.pop();
        }
        events
    }
}

pub(crate) fn called(request: RequestId, purpose: Purpose, estimate: u64) -> Event {
    Event::ModelCalled {
        request,
        items: 1,
        purpose,
        estimate,
        chosen: None,
        worked_ms: 0,
    }
}
