//! What one run used and what it said last: a fold of its records.

use quire_protocol::{Bill, Event, ModelErrorKind, Money, Record, Usage};

use crate::answer::{Saying, Words};

/// What a run used and said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Tokens, failed requests included.
    pub(crate) usage: Usage,
    /// Requests to the model.
    pub(crate) requests: u32,
    /// Turns that ended.
    pub(crate) turns: u32,
    saying: Saying,
    /// What the last failed request said, until another succeeds.
    pub(crate) failure: Option<String>,
    bill: Bill,
    /// Whether a request has no answer yet. It is billed, should the run end before it comes.
    open: bool,
    /// Whether a request of the turn that this run goes on with was lost with its process.
    lost: bool,
    first_ms: Option<u64>,
    last_ms: u64,
}

impl Tally {
    /// Takes a record in.
    pub(crate) fn add(&mut self, record: &Record) {
        self.first_ms.get_or_insert(record.at_ms);
        self.last_ms = record.at_ms;
        self.saying.add(&record.event);
        match &record.event {
            Event::ModelCalled { .. } => {
                self.requests += 1;
                self.open = true;
            }
            Event::ModelReplied { usage, .. } => {
                self.spend(record, *usage);
                self.failure = None;
            }
            Event::ModelFailed { error, usage, .. } => {
                self.spend(record, *usage);
                let failed =
                    !matches!(error.kind, ModelErrorKind::Cancelled | ModelErrorKind::Lost);
                self.failure = failed.then(|| with_hint(&error.message, &error.hint));
            }
            // What agents used who worked for a call of this run.
            Event::ToolEnded { outcome, .. } => {
                let spent = outcome.spent.unwrap_or_default();
                self.requests += spent.requests;
                self.usage += spent.usage;
                self.bill += spent.bill();
            }
            Event::TurnEnded { .. } => self.turns += 1,
            _ => {}
        }
    }

    /// Learns from a record of before this run. What an earlier process used it has told; but one that
    /// died told nothing of the request that was lost with it, and an answer that was cut may go on.
    pub(crate) fn learn(&mut self, record: &Record) {
        self.saying.learn(&record.event);
        match &record.event {
            Event::TurnStarted { .. } => self.lost = false,
            Event::ModelFailed { error, .. } => self.lost |= error.kind == ModelErrorKind::Lost,
            _ => {}
        }
    }

    /// What it cost; none when a price is missing or a request was cut off half-way.
    pub(crate) fn cost(&self) -> Option<Money> {
        self.bill().exact()
    }

    /// What it cost, for a person.
    pub(crate) fn cost_in_words(&self) -> String {
        let bill = self.bill();
        match bill.exact() {
            None if bill.known == Money::ZERO => "cost unknown".to_owned(),
            _ => bill.in_words(|cost| cost.rounded(4)),
        }
    }

    /// The bill, with a request that nobody can tell the cost of where one is open or was lost.
    fn bill(&self) -> Bill {
        let mut bill = self.bill;
        if self.open || self.lost {
            bill += Bill::UNKNOWN;
        }
        bill
    }

    /// From the first record to the last, in milliseconds.
    pub(crate) fn duration_ms(&self) -> u64 {
        self.last_ms
            .saturating_sub(self.first_ms.unwrap_or(self.last_ms))
    }

    /// What was said last without a call: the answer, when the turn ends there.
    pub(crate) fn answer(&self) -> &Words {
        &self.saying.answer
    }

    fn spend(&mut self, record: &Record, usage: Usage) {
        self.open = false;
        self.usage += usage;
        self.bill += Bill::of(&record.event).unwrap_or_default();
    }
}

/// A message and what to do about it, on two lines.
pub(crate) fn with_hint(message: &str, hint: &str) -> String {
    if hint.is_empty() {
        message.to_owned()
    } else {
        format!("{message}\n{hint}")
    }
}

#[cfg(test)]
mod tests {
    use quire_protocol::{ModelError, Purpose, RequestId, Seq, TokenStop, TurnId};

    use super::*;

    fn failed(output: u64, cost: Option<&str>) -> Record {
        let event = Event::ModelFailed {
            request: RequestId(1),
            error: ModelError {
                kind: ModelErrorKind::Busy,
                message: "busy".into(),
                hint: "wait".into(),
                status: None,
            },
            usage: Usage {
                output,
                ..Usage::default()
            },
            cost: cost.map(|text| text.parse().unwrap()),
            retries: Vec::new(),
        };
        Record {
            seq: Seq(1),
            at_ms: 1000 + output,
            event,
        }
    }

    fn cut_off(kind: ModelErrorKind, output: u64, cost: Option<&str>) -> Record {
        let mut record = failed(output, cost);
        if let Event::ModelFailed { error, .. } = &mut record.event {
            error.kind = kind;
        }
        record
    }

    #[test]
    fn what_agents_used_is_part_of_it() {
        let mut tally = Tally::default();
        tally.add(&failed(5, Some("0.25")));
        let spent = quire_protocol::Spending {
            requests: 3,
            usage: Usage {
                output: 7,
                ..Usage::default()
            },
            cost: "0.5".parse().unwrap(),
            ..quire_protocol::Spending::default()
        };
        let done = quire_protocol::ToolStatus::Done;
        let outcome = quire_protocol::ToolOutcome {
            spent: Some(spent),
            ..quire_protocol::ToolOutcome::text(done, "green")
        };
        tally.add(&Record {
            seq: Seq(2),
            at_ms: 2000,
            event: Event::ToolEnded {
                call: quire_protocol::CallId(1),
                outcome,
            },
        });
        assert_eq!((tally.requests, tally.usage.output), (3, 12));
        assert_eq!(tally.cost_in_words(), "$0.75");
    }

    #[test]
    fn a_request_that_was_cut_off_does_not_count_as_free_or_as_known() {
        use ModelErrorKind::{Cancelled, Lost};
        for (cut_off, cost) in [
            (cut_off(Cancelled, 0, None), "at least $0.25"),
            (cut_off(Cancelled, 3, Some("0.01")), "at least $0.26"),
            (cut_off(Lost, 0, None), "at least $0.25"),
            (cut_off(Cancelled, 0, Some("0")), "$0.25"),
        ] {
            let mut tally = Tally::default();
            tally.add(&failed(5, Some("0.25")));
            tally.add(&cut_off);
            assert_eq!(tally.cost_in_words(), cost, "{cut_off:?}");
        }
    }

    #[test]
    fn a_request_without_an_answer_at_the_end_does_not_count_as_free() {
        let mut tally = Tally::default();
        let event = Event::ModelCalled {
            request: RequestId(1),
            items: 1,
            purpose: Purpose::Work,
            estimate: 0,
            chosen: None,
            worked_ms: 0,
        };
        let called = Record {
            event,
            ..failed(0, None)
        };
        tally.add(&called);
        assert_eq!(tally.cost_in_words(), "cost unknown");
        tally.add(&failed(5, Some("0.25")));
        assert_eq!(tally.cost_in_words(), "$0.25");
    }

    #[test]
    fn a_request_that_was_lost_with_its_process_counts_in_the_run_that_goes_on_with_its_turn() {
        let mut tally = Tally::default();
        tally.learn(&cut_off(ModelErrorKind::Lost, 0, None));
        tally.add(&failed(5, Some("0.25")));
        assert_eq!(tally.cost_in_words(), "at least $0.25");
        let event = Event::TurnStarted { turn: TurnId(2) };
        let next = Record {
            event,
            ..failed(0, None)
        };
        tally.learn(&next);
        assert_eq!(tally.cost_in_words(), "$0.25");
    }

    #[test]
    fn an_answer_whose_tokens_were_not_reported_does_not_count_as_free() {
        let mut record = failed(0, None);
        record.event = Event::ModelReplied {
            request: RequestId(1),
            model: "m".into(),
            items: Vec::new(),
            plans: Vec::new(),
            stop: TokenStop::EndTurn,
            usage: Usage::default(),
            cost: None,
            retries: Vec::new(),
        };
        let mut tally = Tally::default();
        tally.add(&record);
        assert_eq!(tally.cost(), None);
    }

    #[test]
    fn an_unknown_price_makes_the_cost_unknown_but_an_unused_request_does_not() {
        let mut tally = Tally::default();
        assert_eq!(tally.cost(), Some(Money::ZERO));
        tally.add(&failed(0, None));
        tally.add(&failed(5, Some("0.25")));
        assert_eq!(tally.cost(), Some("0.25".parse().unwrap()));
        tally.add(&failed(7, None));
        tally.add(&failed(9, Some("0.5")));
        assert_eq!(tally.cost(), None);
        assert_eq!(tally.cost_in_words(), "at least $0.75");
        assert_eq!(tally.usage.output, 21);
        assert_eq!(tally.duration_ms(), 9);
        assert_eq!(tally.failure.as_deref(), Some("busy\nwait"));
    }
}
