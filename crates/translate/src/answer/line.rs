//! Blocks that an API interleaves, put one behind another: what grows behind the open block waits for its turn.

use std::collections::VecDeque;

use crate::answer::{Block, Delta, Event};
use crate::request::Own;

/// Blocks that are not closed or not yet told, the first of which is being told.
#[derive(Debug)]
pub(crate) struct Line<K> {
    slots: VecDeque<Slot<K>>,
}

#[derive(Debug)]
struct Slot<K> {
    key: K,
    /// What waits to be told; nothing in the first slot.
    waiting: Vec<Event>,
    is_closed: bool,
}

impl<K: PartialEq> Line<K> {
    pub(crate) fn new() -> Self {
        Self {
            slots: VecDeque::new(),
        }
    }

    pub(crate) fn open(&mut self, key: K, block: Block, out: &mut dyn FnMut(Event)) {
        self.slots.push_back(Slot {
            key,
            waiting: Vec::new(),
            is_closed: false,
        });
        self.tell(self.slots.len() - 1, Event::Open(block), out);
    }

    /// Grows an open block; nothing happens where there is none of this key.
    pub(crate) fn grow(&mut self, key: &K, delta: Delta, out: &mut dyn FnMut(Event)) {
        if let Some(at) = self.find(key) {
            self.tell(at, Event::Grow(delta), out);
        }
    }

    pub(crate) fn close(&mut self, key: &K, own: Own, out: &mut dyn FnMut(Event)) {
        let Some(at) = self.find(key) else { return };
        self.tell(at, Event::Close(own), out);
        self.slots[at].is_closed = true;
        while self.slots.front().is_some_and(|slot| slot.is_closed) {
            self.slots.pop_front();
            if let Some(next) = self.slots.front_mut() {
                next.waiting.drain(..).for_each(&mut *out);
            }
        }
    }

    /// Closes what is open, in order.
    pub(crate) fn close_all(&mut self, out: &mut dyn FnMut(Event)) {
        while let Some(slot) = self.slots.pop_front() {
            slot.waiting.into_iter().for_each(&mut *out);
            if !slot.is_closed {
                out(Event::Close(Own::new()));
            }
        }
    }

    fn find(&self, key: &K) -> Option<usize> {
        self.slots
            .iter()
            .rposition(|slot| slot.key == *key && !slot.is_closed)
    }

    fn tell(&mut self, at: usize, event: Event, out: &mut dyn FnMut(Event)) {
        match at {
            0 => out(event),
            at => self.slots[at].waiting.push(event),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_interleaves_comes_one_behind_another() {
        let mut events = Vec::new();
        let mut out = |event| events.push(event);
        let text = |text: &str| Delta::Text(text.to_owned());
        let mut line = Line::new();
        line.open(1, Block::Text(Own::new()), &mut out);
        line.open(2, Block::Refusal(Own::new()), &mut out);
        line.grow(&2, text("b"), &mut out);
        line.grow(&1, text("a"), &mut out);
        line.close(&2, Own::new(), &mut out);
        line.open(3, Block::Thinking(Own::new()), &mut out);
        line.close(&1, Own::new(), &mut out);
        line.grow(&3, text("c"), &mut out);
        line.grow(&2, text("lost"), &mut out);
        line.close_all(&mut out);
        assert_eq!(
            events,
            [
                Event::Open(Block::Text(Own::new())),
                Event::Grow(text("a")),
                Event::Close(Own::new()),
                Event::Open(Block::Refusal(Own::new())),
                Event::Grow(text("b")),
                Event::Close(Own::new()),
                Event::Open(Block::Thinking(Own::new())),
                Event::Grow(text("c")),
                Event::Close(Own::new()),
            ]
        );
    }
}
