//! Forks of simulated sessions, at every place that a person is offered.

use quire_kernel::{ForkPlace, Input, Session};
use quire_protocol::{Delivery, Event, MessageId, Record, Seq, SessionId, TravelStep};

use crate::Dice;
use crate::world;

/// Moments of a life at which all of it is forked, as one can be that is at work.
const MOMENTS: usize = 8;

/// A session that was forked from a simulated one.
pub struct Fork {
    /// Which, to be found again.
    pub name: String,
    /// The journal that it was forked from, as long as that was then.
    pub before: Vec<Record>,
    /// Its journal.
    pub journal: Vec<Record>,
    /// The last place of that which is the other session's too.
    pub at: Seq,
    /// The message that it was forked before; none where all there was is in it.
    pub message: Option<MessageId>,
    /// What its journal is the fold to.
    pub session: Session,
}

/// Lives a life of so many steps, and forks it before each message that was heard, and at some moments of
/// it.
///
/// # Panics
/// With the seed, when the session does anything it must not, or a message is offered that no fork can begin
/// before.
pub fn forks(seed: u64, steps: u32) -> Vec<Fork> {
    let records: Vec<Record> = (1..)
        .zip(world::live(seed, steps))
        .map(|(seq, event)| Record {
            seq: Seq(seq),
            at_ms: 0,
            event,
        })
        .collect();
    let mut dice = Dice::new(seed);
    let most = u32::try_from(records.len()).unwrap_or(u32::MAX);
    let mut forks: Vec<Fork> = (0..MOMENTS)
        .map(|_| dice.roll(most) as usize + 1)
        .map(|moment| fork(seed, &records[..moment], None))
        .collect();
    forks.extend(heard(&records).map(|message| fork(seed, &records, Some(message))));
    forks
}

/// What a person said, or had put into the queue, that was heard.
pub fn heard(records: &[Record]) -> impl Iterator<Item = &MessageId> {
    let is_said = |wanted: &MessageId| {
        records.iter().any(|record| {
            matches!(&record.event, Event::MessageAccepted { message, delivery, .. }
                if message == wanted && *delivery != Delivery::Note)
        })
    };
    records
        .iter()
        .filter_map(move |record| match &record.event {
            Event::MessageDelivered { message } if is_said(message) => Some(message),
            _ => None,
        })
}

/// Forks a session as the engine does.
fn fork(seed: u64, records: &[Record], message: Option<&MessageId>) -> Fork {
    let name = format!("seed {seed} at {} before {message:?}", records.len());
    let mut place = ForkPlace::new(message);
    for record in records {
        place.follow(record);
    }
    let at = place.place();
    let at = at.unwrap_or_else(|| panic!("{name}: there is no place"));
    let own = records.iter().take_while(|record| record.seq <= at);
    let mut journal: Vec<Record> = own.cloned().collect();
    let mut session = Session::replay(journal.iter().map(|record| &record.event));
    let forked = TravelStep::Forked {
        from: SessionId::new("another"),
        at,
        ahead: Vec::new(),
    };
    let decision = session.decide(Input::Travelled(forked));
    assert_eq!(decision.effects, [], "{name}: nothing is to be done");
    for (seq, event) in (at.0 + 1..).zip(decision.events) {
        session.apply(&event);
        journal.push(Record {
            seq: Seq(seq),
            at_ms: 0,
            event,
        });
    }
    Fork {
        name,
        before: records.to_vec(),
        journal,
        at,
        message: message.cloned(),
        session,
    }
}
