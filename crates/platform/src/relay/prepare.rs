//! A request that does not go as it came: read once for all places, with a long conversation's beginning summed up
//! where a route does so.

use std::sync::Arc;

use quire_dialect::Dialect;
use quire_protocol::Usage;
use quire_translate::{
    Answer, Begin, Delivery, Event, Finish, Own, Part, Reason, Refusal, Request, Stop, Tally,
    check_complete, check_version, decode_request,
};

use super::{Ask, inner};
use crate::additions;
use crate::app::App;
use crate::caller;
use crate::peek::Peek;
use crate::reply::Denial;
use crate::routing::Candidate;

/// A request in the common words.
pub(super) struct Prepared {
    pub(super) request: Arc<Request>,
    /// What the client is told before the upstream's answer.
    pub(super) before: Vec<Event>,
    /// What was used for that, where the client's API counts it in the answer.
    pub(super) compaction: Option<Usage>,
    /// The answer, where no upstream has to be asked for more.
    pub(super) over: Option<Answer>,
    /// Who summed the conversation's beginning up.
    pub(super) writer: Option<Candidate>,
}

/// Whether a request goes there as it came.
pub(super) fn goes_as_it_is(ask: &Ask, candidate: &Candidate) -> bool {
    candidate.node.config.dialect == ask.api
        && (candidate.route.add.is_empty() || ask.path.is_some())
}

/// Reads a request, unless it goes everywhere as it came.
pub(super) async fn prepare(
    app: &Arc<App>,
    ask: &Ask,
    peek: &Peek,
    candidates: &[Candidate],
) -> Result<Option<Prepared>, Denial> {
    if candidates
        .iter()
        .all(|candidate| goes_as_it_is(ask, candidate))
    {
        return Ok(None);
    }
    let request = decode_request(ask.api, &ask.body)?;
    check_complete(&request)?;
    check_version(&request, caller::version(&ask.headers))?;
    let mut prepared = Prepared {
        request: Arc::new(request),
        before: Vec::new(),
        compaction: None,
        over: None,
        writer: None,
    };
    if let Some(add) = candidates
        .first()
        .and_then(|first| first.route.add.compaction.as_ref())
    {
        let request = Arc::make_mut(&mut prepared.request);
        additions::told(request, app.sealer())?;
        let cut = additions::demanded(request).or_else(|| additions::wanted(request, add));
        if let Some(cut) = cut {
            let writer = add.model.as_deref().unwrap_or(&peek.model);
            let asks = cut.asks(&prepared.request, writer);
            let (answer, by) = inner::answer(app, ask, writer, asks).await?;
            prepared.writer = Some(by);
            compact(app, &mut prepared, &cut, answer)?;
        }
    }
    Ok(Some(prepared))
}

fn compact(
    app: &App,
    prepared: &mut Prepared,
    cut: &additions::Cut,
    answer: Answer,
) -> Result<(), Denial> {
    let text: String = answer
        .parts
        .iter()
        .filter_map(|part| match part {
            Part::Text { text, .. } => Some(text.as_str()),
            _ => None,
        })
        .collect();
    if text.trim().is_empty() {
        let message = "The model that was to sum the conversation up said nothing. Try again, or leave compaction out.";
        return Err(Refusal::new(Reason::Overloaded, message)
            .coded("compaction_unavailable")
            .into());
    }
    let before = &mut prepared.before;
    additions::summarized(
        Arc::make_mut(&mut prepared.request),
        cut,
        &text,
        &mut |event| {
            before.push(event);
        },
    );
    let usage = answer.finish.tally.usage;
    if cut.then != additions::Then::Answer {
        prepared.over = Some(Answer {
            begin: Begin {
                model: answer.begin.model,
                ..Begin::default()
            },
            parts: vec![additions::alone(text, cut.then, app.sealer())],
            finish: Finish {
                stop: Stop::Compaction,
                tally: Tally::of_compaction(&usage),
                own: Own::new(),
            },
        });
    } else if prepared.request.from == Dialect::Messages {
        prepared.compaction = Some(usage);
    }
    Ok(())
}

/// Whether the client wants a stream.
pub(super) fn is_streamed(prepared: &Prepared) -> bool {
    prepared.request.delivery == Delivery::Streamed
}

/// An id of an answer as an API writes it.
pub(super) fn answer_id(api: Dialect) -> String {
    crate::clock::new_id(match api {
        Dialect::Messages => "msg_",
        Dialect::Responses => "resp_",
        Dialect::Chat => "chatcmpl-",
    })
}
