//! Others who work for the session's calls: what they spend, and what they ask.

use std::collections::BTreeMap;

use quire_kernel::{Input, Meanwhile};
use quire_protocol::{CallId, Money, Spending};

use super::{Checked, World};
use crate::actors;

/// What others do.
#[derive(Default)]
pub(super) struct Team {
    /// What all of them have spent. It stands in journals of their own, which a crash leaves as they are.
    pub(super) spent: Spending,
    /// What was spent of it for a call that runs.
    for_calls: BTreeMap<CallId, Spending>,
    /// Running calls whose question was answered.
    pub(super) answered: Vec<CallId>,
}

impl World {
    /// What the session's journal does not tell of this moment.
    pub(super) fn meanwhile(&self) -> Meanwhile {
        Meanwhile {
            worked_ms: self.clock,
            others: self.team.spent,
        }
    }

    /// Others spend something, most of it while calls run and for one of them.
    pub(super) fn others_spend(&mut self) {
        let often = match self.character.team {
            0 => 0,
            often if !self.flight.calls.is_empty() => often,
            _ => 2,
        };
        if !self.dice.chance(often) {
            return;
        }
        let unpriced = self.dice.chance(8);
        let spent = Spending {
            requests: 1,
            usage: actors::usage(&mut self.dice),
            cost: if unpriced {
                Money::ZERO
            } else {
                actors::cents(self.dice.roll(15))
            },
            unpriced: u64::from(unpriced),
            // What was stopped is unpriced, and no budget misses it.
            missed: u64::from(unpriced && self.dice.chance(70)),
        };
        self.team.spent += spent;
        let running: Vec<CallId> = self.flight.calls.iter().copied().collect();
        let call = self.dice.pick(&running).copied();
        self.summary.see(match call {
            Some(_) if self.session.is_stopping() => "others:spend-while-stopping",
            Some(_) => "others:spend",
            None => "others:spend-beside",
        });
        if let Some(call) = call.filter(|_| self.dice.chance(80)) {
            *self.team.for_calls.entry(call).or_default() += spent;
        }
    }

    /// What was spent for a call that is over.
    pub(super) fn bill(&mut self, call: CallId) -> Option<Spending> {
        let spent = self.team.for_calls.remove(&call);
        let nothing = self.character.team > 0 && self.dice.chance(10);
        spent.or_else(|| nothing.then(Spending::default))
    }

    /// Whether now is a time to ask something for a running call: the more so while a call that waits is
    /// asked about, and seldom while one that runs is.
    pub(super) fn asks_now(&mut self) -> bool {
        let runs = |(call, _)| self.session.is_running(call);
        let often = match self.session.asked().map(runs).max() {
            Some(true) => self.character.team / 4,
            Some(false) => self.character.team * 2,
            None => self.character.team,
        };
        !self.flight.calls.is_empty() && self.dice.chance(often)
    }

    /// Who works for a running call asks something, perhaps while a question of it is open.
    pub(super) fn ask(&mut self) -> Checked {
        let running: Vec<CallId> = self.flight.calls.iter().copied().collect();
        let Some(call) = self.dice.pick(&running).copied() else {
            return Ok(());
        };
        let open = self.session.asked().any(|(asked, _)| asked == call);
        self.summary.see(match () {
            () if self.session.is_stopping() => "asks:while-stopping",
            () if open => "asks:again",
            () if self.team.answered.contains(&call) => "asks:after-an-answer",
            () if self.session.asked().next().is_some() => "asks:beside-another",
            () => "asks",
        });
        self.asks(call)
    }

    /// Something is asked for a call that does not run, or a question more for one that does.
    pub(super) fn ask_out_of_place(&mut self) -> Checked {
        let call = match self.dice.roll(4) {
            0 => return self.ask(),
            1 => self.session.asked().next().map(|(call, _)| call),
            2 => self.flight.calls.last().map(|call| call.next()),
            _ => self.given.iter().rev().find_map(|input| match input {
                Input::ToolEnded { call, .. } => Some(*call),
                _ => None,
            }),
        };
        let call = call.unwrap_or_else(|| CallId(self.dice.roll(30)));
        let asked = self.session.asked().any(|(asked, _)| asked == call);
        self.summary.see(match () {
            () if self.session.is_running(call) => "asks",
            () if asked => "asks:of-a-call-that-is-asked",
            () if self.session.call(call).is_some() => "asks:of-a-call-in-the-step",
            () => "asks:of-no-call",
        });
        self.asks(call)
    }

    fn asks(&mut self, call: CallId) -> Checked {
        let approval = actors::approval(&mut self.dice);
        self.feed(&Input::Asks { call, approval })
    }
}
