//! Forks of simulated sessions: each is at rest, holds all that was heard before it, and can be gone on with.

use std::collections::BTreeSet;

use quire_kernel::{Decision, Input, Session};
use quire_protocol::{
    Content, Delivery, Event, MessageId, Op, Pause, Record, StopReason, TravelStep,
};
use quire_testkit::{Fork, forks, heard};

/// How much happens in one life.
const STEPS: u32 = 60;

fn every_fork(check: impl Fn(&Fork)) {
    let forks = (0..100).flat_map(|seed| forks(seed, STEPS));
    let count = forks.inspect(&check).count();
    assert!(count > 1_000, "{count} forks show little");
}

/// What was recorded of the fork itself.
fn own(fork: &Fork) -> impl Iterator<Item = &Event> {
    let own = fork.journal.iter().filter(|record| record.seq > fork.at);
    own.map(|record| &record.event)
}

#[test]
fn a_fork_is_at_rest_and_nobody_crashed() {
    every_fork(|fork| {
        for event in own(fork) {
            let is_known = match event {
                Event::Travel(step) => matches!(step, TravelStep::Forked { .. }),
                Event::TurnPaused { pause, .. } => *pause == Pause::Person,
                Event::TurnEnded { reason, .. } => {
                    matches!(reason, StopReason::EndTurn | StopReason::Cancelled)
                }
                _ => false,
            };
            assert!(is_known, "{}: {event:?}", fork.name);
        }
        let session = &fork.session;
        assert!(session.is_idle() && session.is_quiet(), "{}", fork.name);
        assert!(
            session.turn().is_none() || session.is_dormant(),
            "{}: its turn works",
            fork.name
        );
        assert_eq!(session.recover(), Decision::default(), "{}", fork.name);
        assert_eq!(session.worked_ms(), 0, "{}", fork.name);
    });
}

#[test]
fn a_fork_before_a_message_holds_what_was_heard_before_it_and_nothing_later() {
    every_fork(|fork| {
        let before: BTreeSet<&MessageId> = heard(&fork.before)
            .take_while(|message| Some(*message) != fork.message.as_ref())
            .collect();
        let there: BTreeSet<&MessageId> = heard(&fork.journal).collect();
        assert_eq!(there, before, "{}", fork.name);
    });
}

#[test]
fn only_notes_wait_in_a_fork() {
    every_fork(|fork| {
        let mut waiting = fork.session.queued();
        assert!(
            waiting.all(|(_, delivery)| delivery == Delivery::Note),
            "{}: another session's message waits",
            fork.name
        );
        drop(waiting);
        let noted = |records: &[Record]| -> usize {
            let session = Session::replay(records.iter().map(|record| &record.event));
            let notes = session.queued().filter(|(_, of)| *of == Delivery::Note);
            notes.count()
        };
        let cut = &fork.before[..usize::try_from(fork.at.0).unwrap()];
        assert_eq!(noted(&fork.journal), noted(cut), "{}", fork.name);
    });
}

#[test]
fn no_turn_is_open_in_which_nothing_was_asked() {
    every_fork(|fork| {
        let Some(turn) = fork.session.turn() else {
            return;
        };
        let began = fork.journal.iter().rposition(
            |record| matches!(record.event, Event::TurnStarted { turn: of } if of == turn),
        );
        let of_turn = &fork.journal[began.unwrap()..];
        let asked = of_turn.iter().any(|record| match &record.event {
            Event::ModelCalled { purpose, .. } => purpose.is_work(),
            Event::Noticed { text } => text.starts_with("The goal is not met yet"),
            _ => false,
        });
        let said = heard(&fork.journal).any(|message| {
            of_turn.iter().any(|record| {
                matches!(&record.event, Event::MessageDelivered { message: of } if of == message)
            })
        });
        assert!(asked || said, "{}: {of_turn:?}", fork.name);
    });
}

#[test]
fn what_is_said_next_in_a_fork_is_heard_with_its_notes() {
    every_fork(|fork| {
        let said = MessageId::new("said next");
        let op = Op::Say {
            message: said.clone(),
            delivery: Delivery::Steer,
            content: vec![Content::text("go on")],
            effort: None,
        };
        let decision = fork.session.decide(Input::Op(op));
        let mut session = fork.session.clone();
        for event in &decision.events {
            session.apply(event);
        }
        // A limit that is reached keeps what is said until it is raised.
        assert!(
            session.queued().next().is_none() || session.is_at_limit(),
            "{}: {decision:?}",
            fork.name
        );
    });
}
