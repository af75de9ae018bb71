//! One life: a session, its journal, what is in flight, and everything that can happen to it.

mod asks;
mod counts;
mod questions;
pub(crate) mod servers;
mod team;

use std::panic::{AssertUnwindSafe, catch_unwind};

use quire_kernel::{Decision, Input, Session};
use quire_protocol::{
    CallId, Delivery, Event, JobEnd, JobId, Limits, MessageId, ModelErrorKind, Op, Pause, Purpose,
    RequestId, TokenStop,
};

use crate::actors::{self, Character, Used};
use crate::flight::Flight;
use crate::provider;
use crate::witness::{Cause, Witness};
use crate::{Dice, Summary};
use servers::Servers;
use team::Team;

/// Events shown when a life goes wrong.
const SHOWN: usize = 25;

/// The whole journal is folded again after every so many steps, and at each crash and the end.
const FOLDED: u64 = 8;

type Checked = Result<(), String>;

/// Lives one life of so many steps and returns what happened in it.
///
/// # Panics
/// With the seed and the last events, when the session does anything it must not.
pub fn simulate(seed: u64, steps: u32) -> Summary {
    lived(seed, steps).summary
}

/// The journal of such a life.
pub(crate) fn live(seed: u64, steps: u32) -> Vec<Event> {
    lived(seed, steps).journal
}

fn lived(seed: u64, steps: u32) -> World {
    let mut world = World::new(seed);
    let lived = catch_unwind(AssertUnwindSafe(|| world.live(steps)));
    let what = match lived {
        Ok(Ok(())) => return world,
        Ok(Err(what)) => what,
        Err(_) => "the kernel panicked, see above".to_owned(),
    };
    let first = world.journal.len().saturating_sub(SHOWN);
    let shown = world.journal[first..].iter();
    let shown: Vec<String> = shown.map(|event| format!("\n  {event:?}")).collect();
    let step = world.summary.steps;
    panic!("seed {seed}, step {step}: {what}{}", shown.concat());
}

struct World {
    dice: Dice,
    character: Character,
    journal: Vec<Event>,
    session: Session,
    flight: Flight,
    witness: Witness,
    /// Messages said so far.
    said: Vec<MessageId>,
    /// Answers given so far, to be given again.
    given: Vec<Input>,
    /// How long was worked, in milliseconds, as the clock has it.
    clock: u64,
    team: Team,
    servers: Servers,
    summary: Summary,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        Self {
            character: Character::new(&mut dice),
            dice,
            journal: Vec::new(),
            session: Session::default(),
            flight: Flight::default(),
            witness: Witness::default(),
            said: Vec::new(),
            given: Vec::new(),
            clock: 0,
            team: Team::default(),
            servers: Servers::default(),
            summary: Summary {
                seeds: 1,
                ..Summary::default()
            },
        }
    }

    fn live(&mut self, steps: u32) -> Checked {
        let settings = self.character.settings(&self.used(), &mut self.dice);
        self.feed(&Input::Op(Op::Configure { settings }))?;
        self.begin_with_servers()?;
        if self.dice.chance(35) {
            self.set_goal()?;
        }
        for _ in 0..steps {
            self.summary.steps += 1;
            self.step()?;
        }
        self.come_to_rest()?;
        self.check_fold()
    }

    fn step(&mut self) -> Checked {
        if self.session.turn().is_none() {
            match self.dice.roll(100) {
                0..60 => return self.say(),
                60..64 => return self.undo(),
                64..68 => return self.compact(),
                68..71 => return self.take_back(),
                _ => {}
            }
        }
        // Rare states get more than their share of trouble.
        let works = self.session.purpose().is_none_or(Purpose::is_work);
        let rare = self.session.is_stopping() || self.session.is_dormant() || !works;
        match self.dice.roll(if rare { 45 } else { 100 }) {
            0 => self.crash(),
            1..=2 => self.interrupt(),
            3..=6 => self.say(),
            7 => self.say_again(),
            8..=9 => self.resume(),
            10 => self.configure(),
            11..=13 => self.give_again(),
            14 => self.answer_a_stranger(),
            15..=18 => self.end_job(),
            19..=21 => self.compact(),
            22 => self.undo(),
            23..=24 => self.set_goal(),
            25..=27 => self.withdraw(),
            28..=29 => self.pause(),
            30 => self.ask_out_of_place(),
            31..=33 => self.servers_change(),
            _ if self.session.is_at_limit() => self.configure(),
            _ => self.work(),
        }
    }

    /// Something of what is under way comes to its end.
    fn work(&mut self) -> Checked {
        let asked = self.session.asked().next().is_some();
        match () {
            () if !self.flight.requests.is_empty() => self.end_request(),
            () if self.asks_now() => self.ask(),
            () if asked && self.dice.chance(50) => self.answer_question(),
            () if !self.flight.calls.is_empty() => self.end_call(),
            () if asked => self.answer_question(),
            () if !self.flight.jobs.is_empty() => self.end_job(),
            () if self.session.is_dormant() => self.resume(),
            () => self.say(),
        }
    }

    // What people do.

    fn say(&mut self) -> Checked {
        let (delivery, seen) = match self.dice.roll(100) {
            0..45 => (Delivery::Steer, "say:steer"),
            45..88 => (Delivery::Queue, "say:queue"),
            _ if self.session.turn().is_none() => (Delivery::Note, "say:note-idle"),
            _ => (Delivery::Note, "say:note"),
        };
        self.summary.see(seen);
        if self.session.is_stopping() {
            self.summary.see("say:while-stopping");
        }
        if self.session.is_at_limit() {
            self.summary.see("say:paused");
        } else if self.session.is_dormant() {
            self.summary.see("say:dormant");
        }
        let effort = self.dice.chance(15).then(|| actors::effort(&mut self.dice));
        let message = MessageId::new(format!("m{}", self.said.len()));
        self.said.push(message.clone());
        let content = actors::words(&mut self.dice);
        self.feed(&Input::Op(Op::Say {
            message,
            delivery,
            content,
            effort,
        }))
    }

    fn say_again(&mut self) -> Checked {
        let Some(message) = self.dice.pick(&self.said).cloned() else {
            return Ok(());
        };
        self.summary.see("duplicate:say");
        let content = actors::words(&mut self.dice);
        let op = Op::Say {
            message,
            delivery: Delivery::Steer,
            content,
            effort: None,
        };
        self.feed_for_nothing(Input::Op(op))
    }

    fn interrupt(&mut self) -> Checked {
        let seen = match () {
            () if self.session.is_stopping() => "interrupt:again",
            () if self.session.pause() == Some(Pause::Asked) => "interrupt:pausing",
            () if self.session.is_at_limit() => "interrupt:paused",
            () if self.session.is_dormant() => "interrupt:dormant",
            () if !self.flight.requests.is_empty() => match self.session.purpose() {
                Some(Purpose::Judge) => "interrupt:of-judgement",
                Some(Purpose::Summary | Purpose::Compact { .. }) => "interrupt:of-compaction",
                Some(Purpose::Work) | None => "interrupt:of-request",
            },
            () if !self.flight.calls.is_empty() => "interrupt:of-call",
            () if !self.flight.jobs.is_empty() => "interrupt:of-job",
            () => "interrupt:of-nothing",
        };
        self.summary.see("interrupt");
        self.summary.see(seen);
        let cause = "person".to_owned();
        self.feed(&Input::Op(Op::Interrupt { cause }))
    }

    fn configure(&mut self) -> Checked {
        self.summary.see("configure");
        let mut settings = self.character.settings(&self.used(), &mut self.dice);
        if let Some(before) = self.session.settings().filter(|_| self.dice.chance(30)) {
            settings.limits.budget = before.limits.budget;
        }
        if self.session.has_unpriced() && settings.limits.budget.is_some() {
            self.summary.see("configure:budget-after-unpriced");
        }
        self.feed(&Input::Op(Op::Configure { settings }))
    }

    // What the world answers.

    fn end_request(&mut self) -> Checked {
        let Some(request) = self.flight.requests.first().copied() else {
            return Ok(());
        };
        let kind = match () {
            () if self.flight.cancelled && self.dice.chance(70) => ModelErrorKind::Cancelled,
            () if self.character.fails(&mut self.dice) => ModelErrorKind::Server,
            () if self.character.provider.overflows(&mut self.dice) => {
                ModelErrorKind::ContextOverflow
            }
            () => return self.reply(request),
        };
        self.summary.see("model:failed");
        let failure = actors::failure(kind, &mut self.dice);
        self.land(request, Input::Failed { request, failure })
    }

    fn reply(&mut self, request: RequestId) -> Checked {
        if self.flight.cancelled {
            self.summary.see("model:raced-the-cancel");
        }
        let purpose = self.session.purpose().cloned().unwrap_or_default();
        let (prompt, dice) = (self.prompt(), &mut self.dice);
        let provider = &self.character.provider;
        let reply = match purpose {
            Purpose::Work => {
                let (reply, plans) = self.character.reply(prompt, dice);
                if reply.stop == TokenStop::Pause {
                    self.summary.see("model:paused");
                }
                let input = Input::Replied {
                    request,
                    reply,
                    plans,
                };
                return self.land(request, input);
            }
            Purpose::Summary => provider.summary(prompt, dice),
            Purpose::Compact { .. } => provider.compaction(prompt, dice),
            Purpose::Judge => {
                let judged = provider.judgement(request, self.session.checks(), dice);
                return self.land(request, judged);
            }
        };
        self.land(
            request,
            Input::Replied {
                request,
                reply,
                plans: Vec::new(),
            },
        )
    }

    /// How large the open request is, in bytes.
    fn prompt(&self) -> u64 {
        self.session
            .transcript()
            .items()
            .iter()
            .map(|item| provider::bytes(item))
            .sum()
    }

    fn land(&mut self, request: RequestId, input: Input) -> Checked {
        self.flight.requests.remove(&request);
        self.feed(&input)?;
        self.given.push(input);
        Ok(())
    }

    fn end_call(&mut self) -> Checked {
        let running: Vec<CallId> = self.flight.calls.iter().copied().collect();
        let Some(call) = self.dice.pick(&running).copied() else {
            return Ok(());
        };
        let cancelled = self.flight.cancelled;
        let mut outcome = self.character.outcome(call, cancelled, &mut self.dice);
        outcome.spent = self.bill(call);
        if let Some(job) = outcome.job {
            self.start_job(job)?;
        }
        if self.dice.chance(30) {
            self.find_changes(call)?;
        }
        self.flight.calls.remove(&call);
        let input = Input::ToolEnded { call, outcome };
        self.feed(&input)?;
        self.given.push(input);
        Ok(())
    }

    /// A call started a job, which may be over before the call has said so.
    fn start_job(&mut self, job: JobId) -> Checked {
        self.summary.see("job:started");
        if self.session.is_stopping() {
            self.summary.see("job:started-while-stopping");
        }
        if !self.dice.chance(25) {
            self.flight.jobs.insert(job);
            return Ok(());
        }
        self.summary.see("job:ended-before-its-call");
        self.feed(&Input::JobEnded(JobEnd {
            job,
            outcome: "exit code 1".to_owned(),
        }))
    }

    fn end_job(&mut self) -> Checked {
        let running: Vec<JobId> = self.flight.jobs.iter().copied().collect();
        let Some(job) = self.dice.pick(&running).copied() else {
            return Ok(());
        };
        self.summary.see("job:ended");
        self.flight.jobs.remove(&job);
        let outcome = format!("exit code {}", self.dice.roll(2));
        let input = Input::JobEnded(JobEnd { job, outcome });
        self.feed(&input)?;
        self.given.push(input);
        Ok(())
    }

    /// Gives an old answer once more.
    fn give_again(&mut self) -> Checked {
        let Some(input) = self.dice.pick(&self.given).cloned() else {
            return Ok(());
        };
        self.summary.see("duplicate:stale-answer");
        self.feed_for_nothing(input)
    }

    // Death and rest.

    fn crash(&mut self) -> Checked {
        self.summary.see("crash");
        let lost = [
            ("crash:lost-call", !self.flight.calls.is_empty()),
            ("crash:lost-request", !self.flight.requests.is_empty()),
            ("crash:lost-job", !self.flight.jobs.is_empty()),
            ("crash:while-stopping", self.session.is_stopping()),
            ("crash:paused", self.session.is_at_limit()),
            ("crash:pausing", self.session.pause() == Some(Pause::Asked)),
            (
                "crash:lost-compaction",
                matches!(
                    self.session.purpose(),
                    Some(Purpose::Summary | Purpose::Compact { .. })
                ),
            ),
            (
                "crash:lost-judgement",
                self.session.purpose() == Some(&Purpose::Judge),
            ),
        ];
        for (what, _) in lost.into_iter().filter(|(_, lost)| *lost) {
            self.summary.see(what);
        }
        self.leave_late_answers();
        self.reread()?;
        let mut decision = self.session.recover();
        if self.dice.chance(20) {
            self.summary.see("crash:in-recovery");
            self.reread()?;
            decision = self.session.recover();
        }
        self.commit(decision, &Cause::Recovery)?;
        if self.session.recover() == Decision::default() {
            Ok(())
        } else {
            Err("a recovered session wants to recover again".to_owned())
        }
    }

    /// What was in flight is gone; its answers may still turn up, much too late.
    fn leave_late_answers(&mut self) {
        let lost = std::mem::take(&mut self.flight);
        for call in lost.calls {
            let mut outcome = self.character.outcome(call, false, &mut self.dice);
            outcome.job = None;
            outcome.spent = self.bill(call);
            self.given.push(Input::ToolEnded { call, outcome });
        }
        for request in lost.requests {
            let (reply, plans) = self.character.reply(100, &mut self.dice);
            self.given.push(Input::Replied {
                request,
                reply,
                plans,
            });
        }
    }

    /// Reads the session back from the journal's bytes.
    fn reread(&mut self) -> Checked {
        let mut read = Session::default();
        for event in &self.journal {
            let line = serde_json::to_string(event).map_err(|error| error.to_string())?;
            let event: Event = serde_json::from_str(&line).map_err(|error| error.to_string())?;
            read.apply(&event);
        }
        if read != self.session {
            return Err("the journal's bytes tell another session".to_owned());
        }
        self.session = read;
        Ok(())
    }

    /// Answers everything kindly: the turn must come to its end, and nothing may be left waiting
    /// that is allowed to start.
    fn come_to_rest(&mut self) -> Checked {
        for _ in 0..10_000 {
            if let Some(request) = self.flight.requests.first().copied() {
                let mut reply = actors::farewell();
                if self.session.purpose() == Some(&Purpose::Summary) {
                    reply = provider::kind_summary(reply);
                }
                let plans = Vec::new();
                self.land(
                    request,
                    Input::Replied {
                        request,
                        reply,
                        plans,
                    },
                )?;
            } else if !self.flight.calls.is_empty() {
                self.end_call()?;
            } else if self.session.asked().next().is_some() {
                self.answer_question()?;
            } else if !self.flight.jobs.is_empty() {
                self.end_job()?;
            } else if self.session.is_at_limit() {
                self.take_limits_off()?;
            } else if self.session.is_dormant() {
                self.resume()?;
            } else {
                return self.check_rest();
            }
        }
        Err("the session never comes to rest".to_owned())
    }

    fn take_limits_off(&mut self) -> Checked {
        let mut settings = self.session.settings().cloned().ok_or("no settings")?;
        settings.limits = Limits::default();
        self.feed(&Input::Op(Op::Configure { settings }))
    }

    fn used(&self) -> Used {
        let usage = self.session.usage();
        let others = self.team.spent;
        Used {
            cost: self.session.cost() + others.cost,
            tokens: usage.prompt() + usage.output + others.tokens(),
            turns: self.witness.turns_begun(),
            worked_ms: self.session.worked_ms(),
        }
    }

    fn check_rest(&self) -> Checked {
        if self.session.turn().is_some() || !self.session.is_idle() || !self.flight.is_empty() {
            return Err("nothing runs and nobody is asked, but the turn is open".to_owned());
        }
        let mut waiting = self.session.queued();
        if waiting.any(|(_, delivery)| delivery != Delivery::Note)
            && !self.witness.may_hold_messages()
        {
            return Err("a message waits although its turn has come".to_owned());
        }
        Ok(())
    }

    // How inputs become facts.

    fn feed(&mut self, input: &Input) -> Checked {
        self.clock = match self.dice.roll(100) {
            0 => self.clock / 2,
            _ => self.clock + u64::from(self.dice.roll(300)),
        };
        self.others_spend();
        self.witness.before(input, self.meanwhile());
        let decision = self.session.decide_at(input.clone(), self.meanwhile());
        self.commit(decision, &Cause::Input(input))
    }

    /// Feeds an input that must lead to nothing.
    fn feed_for_nothing(&mut self, input: Input) -> Checked {
        let decision = self.session.decide_at(input, self.meanwhile());
        if decision == Decision::default() {
            Ok(())
        } else {
            Err(format!("a stale or repeated input leads to {decision:?}"))
        }
    }

    fn commit(&mut self, decision: Decision, cause: &Cause<'_>) -> Checked {
        for event in decision.events {
            self.count(&event, cause);
            self.session.apply(&event);
            let seen = self.witness.saw(&event, &self.session, cause);
            self.journal.push(event);
            seen?;
        }
        for effect in &decision.effects {
            self.flight.perform(*effect)?;
        }
        if self.flight.calls.len() > 1 {
            self.summary.see("tool:beside-others");
        }
        self.witness
            .settled(&decision.effects, &self.flight, &self.session, cause)?;
        if self.summary.steps.is_multiple_of(FOLDED) {
            self.check_fold()?;
        }
        Ok(())
    }

    fn check_fold(&self) -> Checked {
        if Session::replay(&self.journal) == self.session {
            Ok(())
        } else {
            Err("the session is not the fold of its journal".to_owned())
        }
    }
}
