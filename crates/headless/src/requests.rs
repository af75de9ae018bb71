//! The requests of a session, each as one value: a fold of its journal that holds one request at a
//! time.

use quire_protocol::{
    Bill, ChosenEffort, Effort, Event, Purpose, Record, RequestId, Seq, TokenStop, Usage,
};

/// A request to a model with what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) id: RequestId,
    /// Where its answer, or its failure, stands in the journal; where it was sent, if nothing came.
    pub(crate) seq: Seq,
    /// When it was sent, in milliseconds since the Unix epoch.
    pub(crate) called_ms: u64,
    /// When its answer or failure was recorded; when it was sent, if nothing came.
    pub(crate) ended_ms: u64,
    pub(crate) purpose: Purpose,
    /// The model that was asked: `provider/name`.
    pub(crate) model: String,
    /// The folder it worked in.
    pub(crate) project: String,
    /// The effort that was asked for.
    pub(crate) effort: Effort,
    /// Why another effort than the session's.
    pub(crate) chosen: Option<ChosenEffort>,
    /// Tokens of its prompt as estimated; 0 where nobody estimated.
    pub(crate) estimate: u64,
    /// How long the session had worked when it was sent, in milliseconds.
    pub(crate) worked_ms: u64,
    pub(crate) end: RequestEnd,
    /// What it used, attempts that failed before the last one included.
    pub(crate) usage: Usage,
    pub(crate) bill: Bill,
    /// Attempts that failed before the last one.
    pub(crate) retries: u64,
}

/// What came of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestEnd {
    /// An answer.
    Answered(TokenStop),
    /// A failure; or it was cancelled, or lost with its process.
    Failed,
    /// Nothing so far.
    Open,
}

/// The fold.
#[derive(Clone, Debug, Default)]
pub(crate) struct Requests {
    model: String,
    project: String,
    effort: Effort,
    open: Option<Request>,
}

impl Requests {
    /// Takes a record in; gives the request that it ends.
    pub(crate) fn add(&mut self, record: &Record) -> Option<Request> {
        match &record.event {
            Event::Configured { settings } => {
                self.model.clone_from(&settings.model);
                self.project = settings.workspace.to_string_lossy().into_owned();
                self.effort = settings.effort;
                None
            }
            Event::ModelCalled {
                request,
                purpose,
                estimate,
                chosen,
                worked_ms,
                ..
            } => self.open.replace(Request {
                id: *request,
                seq: record.seq,
                called_ms: record.at_ms,
                ended_ms: record.at_ms,
                purpose: purpose.clone(),
                model: self.model.clone(),
                project: self.project.clone(),
                effort: chosen.as_ref().map_or(self.effort, |chosen| chosen.effort),
                chosen: chosen.clone(),
                estimate: *estimate,
                worked_ms: *worked_ms,
                end: RequestEnd::Open,
                usage: Usage::default(),
                bill: Bill::UNKNOWN,
                retries: 0,
            }),
            Event::ModelReplied {
                stop,
                usage,
                retries,
                ..
            } => self.ended(record, RequestEnd::Answered(*stop), *usage, retries.len()),
            Event::ModelFailed { usage, retries, .. } => {
                self.ended(record, RequestEnd::Failed, *usage, retries.len())
            }
            _ => None,
        }
    }

    /// The request that has no answer when the journal ends.
    pub(crate) fn rest(&mut self) -> Option<Request> {
        self.open.take()
    }

    fn ended(
        &mut self,
        record: &Record,
        end: RequestEnd,
        usage: Usage,
        retries: usize,
    ) -> Option<Request> {
        let open = self.open.take()?;
        Some(Request {
            seq: record.seq,
            ended_ms: record.at_ms,
            end,
            usage,
            bill: Bill::of(&record.event)?,
            retries: retries as u64,
            ..open
        })
    }
}
