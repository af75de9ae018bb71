//! Forks of simulated sessions: what a screen folds them to is what the kernel does.

use quire_protocol::MessageId;
use quire_testkit::{Fork, forks, heard};

use super::{Conversation, Doing};

fn every_fork(check: impl Fn(&Fork, &mut Conversation)) {
    for fork in (0..60).flat_map(|seed| forks(seed, 60)) {
        let mut conversation = Conversation::default();
        for record in &fork.journal {
            conversation.record(record);
        }
        check(&fork, &mut conversation);
    }
}

#[test]
fn a_screen_and_the_kernel_agree_on_what_waits_in_a_fork() {
    every_fork(|fork, conversation| {
        let waits: Vec<&MessageId> = conversation.pending.iter().map(|it| &it.message).collect();
        let queued: Vec<&MessageId> = fork.session.queued().map(|(message, _)| message).collect();
        assert_eq!(waits, queued, "{}", fork.name);
        let jobs = conversation.jobs.keys().copied();
        assert!(jobs.eq(fork.session.jobs()), "{}", fork.name);
    });
}

#[test]
fn a_screen_and_the_kernel_agree_on_whether_a_turn_is_open_in_a_fork() {
    every_fork(|fork, conversation| {
        let (open, rests) = (fork.session.turn().is_some(), fork.session.is_dormant());
        assert_eq!(conversation.has_turn(), open, "{}", fork.name);
        let waits = conversation.doing() == Doing::Waits;
        assert_eq!(waits, rests, "{}: {:?}", fork.name, conversation.doing());
    });
}

#[test]
fn a_screen_offers_every_message_that_was_heard_and_tells_of_no_crash_in_its_fork() {
    every_fork(|fork, conversation| {
        let offered = conversation.messages.iter().map(|said| &said.message);
        assert!(offered.eq(heard(&fork.journal)), "{}", fork.name);
        let mut conversation = Conversation::default();
        for record in fork.journal.iter().filter(|it| it.seq > fork.at) {
            conversation.record(record);
        }
        let lines = conversation.take_done().into_iter();
        let lines: Vec<String> = lines.map(|line| line.to_string()).collect();
        let told = lines.join("\n");
        assert!(told.contains("forked from session"), "{told}");
        assert!(!told.contains("crash"), "{}: {told}", fork.name);
    });
}
