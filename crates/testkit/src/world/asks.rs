//! What people ask of the context, of the goal and of their messages, at any moment.

use quire_kernel::Input;
use quire_protocol::{
    CallId, ContextPart, FileStep, Goal, MessageId, Op, Pause, Purpose, Seq, TravelStep, Whose,
};

use super::{Checked, World};

impl World {
    /// Where in a turn something is asked.
    fn moment(&self) -> &'static str {
        match () {
            () if self.session.turn().is_none() => "idle",
            () if self.session.is_stopping() => "stopping",
            () if self.session.is_at_limit() => "paused",
            () if self.session.is_dormant() => "dormant",
            () => match self.session.purpose() {
                Some(Purpose::Judge) => "judging",
                Some(Purpose::Summary | Purpose::Compact { .. }) => "compacting",
                Some(Purpose::Work) | None => "working",
            },
        }
    }

    pub(super) fn compact(&mut self) -> Checked {
        self.summary.see(match self.moment() {
            "idle" => "compact:idle",
            "stopping" => "compact:stopping",
            "paused" => "compact:paused",
            "dormant" => "compact:dormant",
            "judging" => "compact:judging",
            "compacting" => "compact:compacting",
            _ => "compact:working",
        });
        let message = self.dice.pick(&self.said).cloned();
        let message = message.unwrap_or_else(|| MessageId::new("nobody"));
        let part = match self.dice.roll(4) {
            0 => ContextPart::UpTo { message },
            1 => ContextPart::From { message },
            _ => ContextPart::Older,
        };
        let focus = if self.dice.chance(50) {
            "the parser"
        } else {
            ""
        };
        let focus = focus.to_owned();
        self.feed(&Input::Op(Op::Compact { focus, part }))
    }

    /// A person wants the turn to pause.
    pub(super) fn pause(&mut self) -> Checked {
        let seen = match self.moment() {
            "idle" | "stopping" => "pause:of-nothing",
            _ if self.session.pause().is_some() => "pause:again",
            "dormant" => "pause:dormant",
            "judging" => "pause:judging",
            "compacting" => "pause:compacting",
            _ if self.flight.requests.is_empty() => "pause:of-calls",
            _ => "pause:of-request",
        };
        self.summary.see(seen);
        if matches!(seen, "pause:of-nothing" | "pause:again") {
            return self.feed_for_nothing(Input::Op(Op::Pause));
        }
        self.feed(&Input::Op(Op::Pause))
    }

    pub(super) fn resume(&mut self) -> Checked {
        if self.session.is_dormant() {
            self.summary.see("resume");
            return self.feed(&Input::Op(Op::Resume));
        }
        if self.session.pause() == Some(Pause::Asked) {
            self.summary.see("resume:pausing");
            return self.feed(&Input::Op(Op::Resume));
        }
        if self.session.turn().is_none() && self.session.goal().is_some() {
            self.summary.see("resume:for-goal");
            return self.feed(&Input::Op(Op::Resume));
        }
        self.summary.see("resume:of-nothing");
        self.feed_for_nothing(Input::Op(Op::Resume))
    }

    pub(super) fn undo(&mut self) -> Checked {
        if self.session.turn().is_some() {
            return self.feed_for_nothing(Input::Op(Op::UndoCompaction));
        }
        self.feed(&Input::Op(Op::UndoCompaction))
    }

    /// A person takes files back, or has again what was taken back.
    pub(super) fn take_back(&mut self) -> Checked {
        let files = vec![self.file_step()];
        if self.dice.chance(30) {
            self.summary.see("files:had-again");
            let failed = Vec::new();
            return self.feed(&Input::Travelled(TravelStep::Redone { files, failed }));
        }
        self.summary.see("files:taken-back");
        self.feed(&Input::Travelled(TravelStep::TakenBack {
            to: Seq(0),
            files,
            failed: Vec::new(),
        }))
    }

    /// Files changed while a call ran.
    pub(super) fn find_changes(&mut self, call: CallId) -> Checked {
        self.summary.see("files:changed");
        let files = vec![self.file_step()];
        let whose = Whose::Agent;
        self.feed(&Input::Travelled(TravelStep::Kept { call, files, whose }))
    }

    fn file_step(&mut self) -> FileStep {
        FileStep {
            path: format!("file-{}", self.dice.roll(1_000)),
            before: None,
            after: None,
        }
    }

    pub(super) fn set_goal(&mut self) -> Checked {
        let goal = self.dice.chance(75).then(|| self.new_goal());
        if self.session.goal().is_none() && goal.is_none() {
            return self.feed_for_nothing(Input::Op(Op::SetGoal { goal }));
        }
        self.summary.see(match (self.moment(), goal.is_some()) {
            ("judging", true) => "goal:replaced-while-judged",
            ("judging", false) => "goal:dropped-while-judged",
            ("idle", true) => "goal:set-idle",
            (_, true) => "goal:set-in-turn",
            (_, false) => "goal:dropped-by-person",
        });
        self.feed(&Input::Op(Op::SetGoal { goal }))
    }

    fn new_goal(&mut self) -> Goal {
        let checks = (0..self.dice.roll(3)).map(|check| format!("check {check}"));
        let mut goal = Goal::new(format!("goal {}", self.dice.roll(9)), checks.collect());
        goal.patience = self.dice.roll(4);
        goal.verdicts = self.dice.roll(6);
        goal
    }

    /// Takes back what waits, or tries to take back what is beyond recall.
    pub(super) fn withdraw(&mut self) -> Checked {
        let waiting: Vec<MessageId> = self.session.queued().map(|(id, _)| id.clone()).collect();
        if let Some(message) = self.dice.pick(&waiting).cloned() {
            self.summary.see(match () {
                () if self.session.is_stopping() => "withdraw:while-stopping",
                () if self.session.is_at_limit() => "withdraw:paused",
                () if self.session.turn().is_none() => "withdraw:held",
                () => "withdraw",
            });
            self.feed(&Input::Op(Op::Withdraw {
                message: message.clone(),
            }))?;
            return self.feed_for_nothing(Input::Op(Op::Withdraw { message }));
        }
        let Some(message) = self.dice.pick(&self.said).cloned() else {
            return Ok(());
        };
        self.summary.see("withdraw:too-late");
        self.feed_for_nothing(Input::Op(Op::Withdraw { message }))
    }
}
