//! What a person at the keyboard, or a supervisor, does to stop a run, and what does not stop it.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// From here on this process outlives its terminal.
pub fn outlive_terminal() -> io::Result<()> {
    // Once somebody has listened, the signal ends nothing any more; what this process starts is not
    // handed that on.
    signal(SignalKind::hangup()).map(drop)
}

/// Counts Ctrl-C and requests to terminate from here on, for [`crate::run`].
pub fn interrupts() -> io::Result<watch::Receiver<u32>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let (count, receiver) = watch::channel(0);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            count.send_modify(|count| *count += 1);
        }
    });
    Ok(receiver)
}
