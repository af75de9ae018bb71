//! What people answer, in time and too late.

use quire_kernel::Input;
use quire_protocol::{Answer, CallId, Op};

use super::{Checked, World};
use crate::actors;

impl World {
    pub(super) fn answer_question(&mut self) -> Checked {
        let asked: Vec<CallId> = self.session.asked().map(|(call, _)| call).collect();
        let Some(call) = self.dice.pick(&asked).copied() else {
            return Ok(());
        };
        let answer = match actors::answer(&mut self.dice) {
            // What "always" does to others is seen where there are others.
            Answer::AllowOnce if asked.len() > 1 => Answer::AllowAlways,
            answer => answer,
        };
        self.see_answer(call, &answer);
        if self.session.is_running(call) {
            self.team.answered.push(call);
        }
        let makes_rule = self.session.policy_with_always(call).is_some();
        let by_rule = makes_rule || self.dice.chance(50);
        if answer != Answer::AllowAlways || !by_rule {
            return self.feed(&Input::Op(Op::Answer { call, answer }));
        }
        let others = asked.into_iter().filter(|other| *other != call);
        let covered: Vec<CallId> = others.filter(|_| self.dice.chance(50)).collect();
        if !covered.is_empty() {
            self.summary.see("answer:allow-always-of-others");
        }
        if covered.iter().any(|other| self.session.is_running(*other)) {
            self.summary.see("answer:allow-always-beside-running");
        }
        let waits = |other: &CallId| !self.session.is_running(*other);
        if makes_rule && self.session.is_running(call) && covered.iter().any(waits) {
            self.summary.see("answer:running-settles-others");
        }
        self.feed(&Input::AnsweredAlways { call, covered })
    }

    fn see_answer(&mut self, call: CallId, answer: &Answer) {
        let runs = self.session.is_running(call);
        self.summary.see(match answer {
            Answer::AllowOnce if runs => "answer:running-allow-once",
            Answer::AllowAlways if runs => "answer:running-allow-always",
            Answer::Deny { .. } if runs => "answer:running-deny",
            Answer::AllowOnce => "answer:allow-once",
            Answer::AllowAlways => "answer:allow-always",
            Answer::Deny { .. } => "answer:deny",
        });
        if self.session.is_stopping() {
            self.summary.see("answer:running-while-stopping");
        }
    }

    /// Answers a call that is not asked about, or no longer.
    pub(super) fn answer_a_stranger(&mut self) -> Checked {
        let answered = self.team.answered.iter().rev().take(3).copied();
        let answered: Vec<CallId> = answered.filter(|_| self.dice.chance(50)).collect();
        let call = match answered.first() {
            Some(call) => *call,
            None => CallId(self.dice.roll(30)),
        };
        if self.session.asked().any(|(asked, _)| asked == call) {
            return Ok(());
        }
        self.summary.see(match () {
            () if self.session.is_running(call) => "answer:too-late-while-running",
            () if answered.contains(&call) => "answer:too-late-for-its-call",
            () => "answer:too-late",
        });
        let answer = actors::answer(&mut self.dice);
        if answer == Answer::AllowAlways {
            let covered = self.session.asked().map(|(asked, _)| asked).collect();
            return self.feed_for_nothing(Input::AnsweredAlways { call, covered });
        }
        self.feed_for_nothing(Input::Op(Op::Answer { call, answer }))
    }
}
