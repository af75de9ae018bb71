//! What reaches a face as a signal: that it is to end, a Ctrl+C that the terminal makes one of, and that it
//! goes on after a Ctrl+Z. However a face ends, the terminal is given back as it was.

use std::io;
use std::process::exit;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::thread;

use crossterm::terminal::disable_raw_mode;
use futures_util::FutureExt as _;
use rustix::process::Signal as Number;
use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Whether something is asked before there is a face, which would wait for no signal.
static ASKS: AtomicBool = AtomicBool::new(false);
/// The signal that is to end the process, once one has come: whichever face is next ends too.
static OVER: AtomicI32 = AtomicI32::new(0);
/// What a process that a signal ends gives for its number, as shells have it.
const ENDED_BY: i32 = 128;

/// What a signal says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    /// Ctrl+C.
    Interrupted,
    /// The process is to end, or its terminal is gone.
    Over(SignalKind),
    /// The process was stopped, and goes on.
    GoesOn,
}

/// The signals of a process, from when they are listened to.
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    quit: Signal,
    goes_on: Signal,
}

impl Signals {
    /// Listens for a face, which ends by itself from here on.
    pub(crate) fn listen() -> io::Result<Self> {
        let signals = Self::open()?;
        ASKS.store(false, Ordering::SeqCst);
        Ok(signals)
    }

    fn open() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            quit: signal(SignalKind::quit())?,
            goes_on: signal(SignalKind::from_raw(Number::CONT.as_raw()))?,
        })
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) -> Sign {
        let over = OVER.load(Ordering::SeqCst);
        if over != 0 {
            return Sign::Over(SignalKind::from_raw(over));
        }
        let over = tokio::select! {
            biased;
            _ = self.terminate.recv() => SignalKind::terminate(),
            _ = self.hangup.recv() => SignalKind::hangup(),
            _ = self.quit.recv() => SignalKind::quit(),
            _ = self.interrupt.recv() => return Sign::Interrupted,
            _ = self.goes_on.recv() => return Sign::GoesOn,
        };
        OVER.store(over.as_raw_value(), Ordering::SeqCst);
        Sign::Over(over)
    }

    /// A Ctrl+C was meant for whoever had the terminal.
    pub(crate) fn forget_interrupts(&mut self) {
        while let Some(Some(())) = self.interrupt.recv().now_or_never() {}
    }
}

/// From here until a face listens, a signal that ends the process gives the terminal back first: whoever
/// waits for a line or a key hears of none.
pub(crate) fn guard_terminal() -> io::Result<()> {
    static BEGUN: Once = Once::new();
    ASKS.store(true, Ordering::SeqCst);
    let mut begun = Ok(());
    BEGUN.call_once(|| begun = guard());
    begun
}

#[expect(
    clippy::exit,
    reason = "the thread that asks waits for a key, which may never come"
)]
fn guard() -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_io().build()?;
    let mut signals = {
        let _within = runtime.enter();
        Signals::open()?
    };
    let ended = async move {
        loop {
            let signal = match signals.next().await {
                Sign::Interrupted => SignalKind::interrupt(),
                Sign::Over(signal) => signal,
                Sign::GoesOn => continue,
            };
            if ASKS.load(Ordering::SeqCst) {
                return signal;
            }
        }
    };
    thread::spawn(move || {
        let signal = runtime.block_on(ended);
        let _ = disable_raw_mode();
        exit(ENDED_BY + signal.as_raw_value());
    });
    Ok(())
}
