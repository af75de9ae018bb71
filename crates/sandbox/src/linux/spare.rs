//! A supervisor as the main process knows it before it has a command, and the one that each cell
//! keeps ready.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

use quire_protocol::Streams;

use crate::linux::sys::channel::{self, Wait};
use crate::linux::wire;
use crate::streams::{self, Ends, TheirEnds};

/// A supervisor that was asked for and waits for its one command, or soon will. Dropping it ends
/// the supervisor.
pub(crate) struct Slot(OwnedFd);

impl Slot {
    /// Asks a cell for a supervisor; does not wait for it.
    ///
    /// # Errors
    /// `WouldBlock` when the cell has too much to do already, else the kernel's.
    pub(crate) fn request(cell: BorrowedFd<'_>) -> io::Result<Self> {
        let (ours, theirs) = channel::pair()?;
        channel::send(cell, wire::SUPERVISOR, &[theirs.as_fd()], Wait::Never)?;
        Ok(Self(ours))
    }

    /// Hands it a command, as bytes. Returns the ends of the command's pipes that stay here and the
    /// channel on which the supervisor answers.
    pub(crate) fn order(self, order: &[u8], streams: Streams) -> io::Result<Ordered> {
        let (ends, theirs) = streams::pipes(streams)?;
        let to = self.0.as_fd();
        let sent = match &theirs {
            TheirEnds::Merged(printed) => channel::send(to, order, &[printed.as_fd()], Wait::Never),
            TheirEnds::Apart {
                output,
                errors,
                input,
            } => {
                let ends = [output.as_fd(), errors.as_fd(), input.as_fd()];
                channel::send(to, order, &ends, Wait::Never)
            }
        };
        let reached = match sent {
            // It is gone; why, it may have said before.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Reached::Nobody,
            sent => sent.map(|()| Reached::Supervisor)?,
        };
        Ok(Ordered {
            ends,
            answers: self.0,
            reached,
        })
    }
}

/// A supervisor that was given its command.
pub(crate) struct Ordered {
    /// Of the pipes of the command.
    pub(crate) ends: Ends,
    /// What the supervisor answers.
    pub(crate) answers: OwnedFd,
    /// Whether it can have begun.
    pub(crate) reached: Reached,
}

/// Whom an order reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reached {
    /// The supervisor was dead: nothing was started.
    Nobody,
    /// It may have been read, and the program may have been started.
    Supervisor,
}

/// The supervisor that a cell keeps ready, so that the next command need not wait for one.
pub(crate) struct Spare(Mutex<State>);

enum State {
    None,
    Ready(Slot),
    /// The cell is out of use: there is none any more.
    Retired,
}

impl Spare {
    pub(crate) fn none() -> Self {
        Self(Mutex::new(State::None))
    }

    /// Has the cell make one, unless there is one. Without one the next command starts later.
    pub(crate) fn keep(&self, cell: BorrowedFd<'_>) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*state, State::None)
            && let Ok(slot) = Slot::request(cell)
        {
            *state = State::Ready(slot);
        }
    }

    /// Takes it, for one command.
    pub(crate) fn take(&self) -> Option<Slot> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *state, State::None) {
            State::Ready(slot) => Some(slot),
            State::None => None,
            State::Retired => {
                *state = State::Retired;
                None
            }
        }
    }

    /// Ends it, and has none made any more.
    pub(crate) fn retire(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = State::Retired;
    }
}
