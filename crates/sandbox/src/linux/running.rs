//! One command as the main process sees it: its output, its end, and the means to end it.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};

use quire_protocol::{Process, ProcessEnd, ProcessEvent, Streams};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::Mutex;

use crate::linux::handle::Home;
use crate::linux::mounted::Breach;
use crate::linux::spare::{Ordered, Reached, Slot};
use crate::linux::sys::channel::{self, STATUS_BYTES, Wait};
use crate::linux::sys::process;
use crate::linux::wire::{self, CommandAnswer, CommandOrder, Rest};
use crate::streams::{Input, Reader};

/// Why a command is not running.
pub(crate) enum StartError {
    /// Its cell is broken; another one may not be.
    Cell(String),
    /// The program cannot be started.
    Program(String),
    /// The supervisor died after it was given the command, which may have begun. It is not run
    /// again.
    Lost(String),
}

/// What a supervisor said of its command's end.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Told {
    end: ProcessEnd,
    rest: Rest,
    breach: Option<Breach>,
}

/// A command that was started. Dropping it kills the whole tree.
pub(crate) struct Running {
    home: Arc<Home>,
    /// Can be read when the supervisor is dead, and with it, in a cell, the tree.
    handle: AsyncFd<OwnedFd>,
    answers: AsyncFd<OwnedFd>,
    /// The same channel as its cell knows it.
    _known: Arc<OwnedFd>,
    /// What the supervisor said of the end, once somebody heard it.
    told: OnceLock<Told>,
    /// What was set aside after it, once that was done.
    left: OnceLock<String>,
    printed: Mutex<Printed>,
    /// Its stdin, where somebody talks to it.
    input: Option<Input>,
}

struct Printed {
    reader: Reader,
    /// How it ended, once that is told.
    end: Option<ProcessEnd>,
}

impl Running {
    /// Starts a command in a cell and returns when its program runs.
    pub(crate) async fn start(
        home: &Arc<Home>,
        order: &CommandOrder,
        streams: Streams,
    ) -> Result<Self, StartError> {
        let order = wire::encode(order).map_err(StartError::Program)?;
        if let Some(spare) = home.spare().take() {
            match Self::start_in(home, spare, &order, streams).await {
                // It was killed while it waited; that says nothing of the cell.
                Err(StartError::Cell(_)) => {}
                done => return done,
            }
        }
        let slot = request(home).await?;
        Self::start_in(home, slot, &order, streams).await
    }

    async fn start_in(
        home: &Arc<Home>,
        slot: Slot,
        order: &[u8],
        streams: Streams,
    ) -> Result<Self, StartError> {
        let Ordered {
            ends,
            answers,
            reached,
        } = slot
            .order(order, streams)
            .map_err(|error| not_sent(&error))?;
        // Whatever fails from here on, a command that may have begun is not run again.
        let cell = |error: io::Error| match reached {
            Reached::Supervisor => StartError::Lost(error.to_string()),
            Reached::Nobody => StartError::Cell(error.to_string()),
        };
        let known = Arc::new(answers.try_clone().map_err(cell)?);
        home.runs(&known);
        let answers = channel::register(answers, Interest::READABLE).map_err(cell)?;
        let Launched { handle, told } = launched(&answers).await.map_err(|error| match error {
            StartError::Cell(reason) if reached == Reached::Supervisor => StartError::Lost(
                format!("the command's supervisor died ({reason}); the command may have begun"),
            ),
            error => error,
        })?;
        let (reader, input) = ends.watched().map_err(cell)?;
        Ok(Self {
            home: Arc::clone(home),
            handle: channel::register(handle, Interest::READABLE).map_err(cell)?,
            answers,
            _known: known,
            told,
            left: OnceLock::new(),
            printed: Mutex::new(Printed { reader, end: None }),
            input,
        })
    }

    async fn read(&self) -> ProcessEvent {
        let mut printed = self.printed.lock().await;
        if let Some(end) = printed.end {
            return ProcessEvent::Ended(end);
        }
        if let Some(piece) = printed.reader.next(self.dead()).await {
            return piece;
        }
        self.dead().await;
        let end = self.told_end();
        printed.end = Some(end);
        self.home.keep_spare();
        match self.left() {
            "" => ProcessEvent::Ended(end),
            // Whoever talks to it takes what comes on stdout for its words.
            left if self.input.is_some() => ProcessEvent::Errors(left.into()),
            left => ProcessEvent::Output(left.into()),
        }
    }

    /// What it left behind that it may not, in words; set aside at the first call.
    fn left(&self) -> &str {
        self.left.get_or_init(|| {
            let breach = self.told.get().and_then(|told| told.breach.as_ref());
            let left = self.home.disarm(breach);
            if self.home.looks_later() && self.home.awaits_look() {
                let home = Arc::clone(&self.home);
                tokio::task::spawn_blocking(move || home.look_again());
            }
            left
        })
    }

    /// Waits until nothing of the tree is left.
    async fn dead(&self) {
        tokio::select! {
            biased;
            () = self.told_gone() => {}
            // An error means that the runtime is shutting down; nothing can be awaited then.
            _ = self.handle.readable() => {}
        }
    }

    /// Waits until the supervisor says that nothing is left; for ever, if it does not.
    async fn told_gone(&self) {
        loop {
            match self.told.get() {
                Some(told) if told.rest == Rest::Gone => return,
                Some(_) => break,
                None => {}
            }
            let answers =
                |channel: &OwnedFd| channel::receive(channel.as_fd(), STATUS_BYTES, Wait::Never);
            match self.answers.async_io(Interest::READABLE, answers).await {
                Ok(Some(message)) => self.hear(&message.bytes),
                Ok(None) | Err(_) => break,
            }
        }
        std::future::pending::<()>().await;
    }

    fn hear(&self, answer: &[u8]) {
        if let Ok(CommandAnswer::Ended { end, rest, breach }) = wire::decode(answer) {
            self.told.get_or_init(|| Told { end, rest, breach });
        }
    }

    /// What the supervisor said last; it says nothing when it was killed itself.
    fn told_end(&self) -> ProcessEnd {
        let answers = self.answers.get_ref().as_fd();
        while self.told.get().is_none()
            && let Ok(Some(message)) = channel::receive(answers, STATUS_BYTES, Wait::Never)
        {
            self.hear(&message.bytes);
        }
        let told = self.told.get().map(|told| told.end);
        told.unwrap_or(ProcessEnd::Signalled(libc::SIGKILL))
    }

    /// Tells the supervisor to end, and where that is enough kills it.
    fn end(&self) {
        if self.home.contains_trees() {
            process::kill(self.handle.get_ref().as_fd());
        }
        channel::shut(self.answers.get_ref().as_fd());
    }
}

/// Asks a cell for a supervisor, waiting for room in its channel.
async fn request(home: &Home) -> Result<Slot, StartError> {
    let cell = home.channel().as_fd();
    match Slot::request(cell) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
        done => return done.map_err(|error| not_sent(&error)),
    }
    // A copy, because one descriptor can be watched only once at a time.
    let copy = cell
        .try_clone_to_owned()
        .map_err(|error| not_sent(&error))?;
    let copy = channel::register(copy, Interest::WRITABLE).map_err(|error| not_sent(&error))?;
    let made = copy.async_io(Interest::WRITABLE, |_| Slot::request(cell));
    made.await.map_err(|error| not_sent(&error))
}

fn not_sent(error: &io::Error) -> StartError {
    match error.raw_os_error() {
        Some(libc::EMSGSIZE) => StartError::Program("its arguments are too long".to_owned()),
        _ if error.kind() == io::ErrorKind::InvalidInput => {
            StartError::Program("its arguments are too long".to_owned())
        }
        _ => StartError::Cell(error.to_string()),
    }
}

/// A command whose program ran.
#[derive(Debug)]
struct Launched {
    /// Of its supervisor.
    handle: OwnedFd,
    /// Its end, when that was told already.
    told: OnceLock<Told>,
}

/// Waits until the program runs and the handle of its supervisor has come. The two have different
/// senders, so they come in any order, and a short command may have ended before the second.
async fn launched(answers: &AsyncFd<OwnedFd>) -> Result<Launched, StartError> {
    let (mut handle, mut runs, told) = (None, false, OnceLock::new());
    loop {
        if runs && let Some(handle) = handle {
            return Ok(Launched { handle, told });
        }
        let message = answers
            .async_io(Interest::READABLE, |channel| {
                channel::receive(channel.as_fd(), STATUS_BYTES, Wait::Never)
            })
            .await
            .map_err(|error| StartError::Cell(error.to_string()))?;
        let Some(message) = message else {
            return Err(StartError::Cell("the cell died".to_owned()));
        };
        match wire::decode(&message.bytes).map_err(StartError::Cell)? {
            CommandAnswer::Placed => handle = message.descriptors.into_iter().next(),
            CommandAnswer::Started => runs = true,
            CommandAnswer::Failed(reason) => return Err(StartError::Program(reason)),
            CommandAnswer::Ended { end, rest, breach } if runs => {
                told.get_or_init(|| Told { end, rest, breach });
            }
            CommandAnswer::Ended { end, .. } => {
                return Err(StartError::Cell(format!("{end:?} too soon")));
            }
        }
    }
}

impl Process for Running {
    fn next(&self) -> Pin<Box<dyn Future<Output = ProcessEvent> + Send + '_>> {
        Box::pin(self.read())
    }

    fn write(&self, bytes: Vec<u8>) -> Pin<Box<dyn Future<Output = io::Result<()>> + Send + '_>> {
        Box::pin(async move {
            let input = self.input.as_ref().ok_or(io::ErrorKind::Unsupported)?;
            input.write(&bytes, self.dead()).await
        })
    }

    fn kill(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async {
            self.end();
            self.dead().await;
            self.left();
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::BorrowedFd;

    use super::*;

    /// What becomes of answers that came in this order before they were looked at; each `Placed`
    /// comes with a handle.
    fn outcome(answers: &[CommandAnswer]) -> Result<Option<ProcessEnd>, StartError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let (ours, theirs) = channel::pair().expect("a channel");
            for answer in answers {
                let handle: &[BorrowedFd<'_>] = match answer {
                    CommandAnswer::Placed => &[theirs.as_fd()],
                    _ => &[],
                };
                let bytes = wire::encode(answer).expect("bytes");
                channel::send(theirs.as_fd(), &bytes, handle, Wait::Never).expect("sent");
            }
            channel::shut(theirs.as_fd());
            let ours = channel::register(ours, Interest::READABLE).expect("registered");
            launched(&ours)
                .await
                .map(|launched| launched.told.get().map(|told| told.end))
        })
    }

    #[test]
    fn a_command_that_ended_before_its_handle_came_has_run() {
        use CommandAnswer::{Ended, Failed, Placed, Started};
        let (end, rest) = (ProcessEnd::Exited(3), Rest::Gone);
        let ended = Ended {
            end,
            rest,
            breach: None,
        };
        let told =
            |answers: &[CommandAnswer]| outcome(answers).unwrap_or_else(|_| panic!("{answers:?}"));
        assert_eq!(told(&[Placed, Started]), None);
        assert_eq!(told(&[Started, Placed]), None);
        assert_eq!(told(&[Started, ended.clone(), Placed]), Some(end));
        // What comes later is left to whoever waits for the end.
        assert_eq!(told(&[Started, Placed, ended.clone()]), None);
        let cell = |answers: &[CommandAnswer]| matches!(outcome(answers), Err(StartError::Cell(_)));
        assert!(cell(&[ended.clone(), Placed]), "it never ran");
        assert!(
            cell(&[Started, ended]),
            "without a handle nothing can be killed"
        );
        assert!(cell(&[Placed]) && cell(&[]));
        let failed = outcome(&[Placed, Failed("no such file".to_owned())]);
        assert!(matches!(failed, Err(StartError::Program(reason)) if reason == "no such file"));
    }
}
