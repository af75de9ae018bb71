//! How long the server serves: what outlives a request (background work, WebSockets) is counted here, and told when
//! the server ends.

use tokio::sync::watch;

/// The server's time in office.
#[derive(Debug)]
pub(crate) struct Tenure {
    ending: watch::Sender<bool>,
    guests: watch::Sender<usize>,
}

/// Something that the end waits for, until it is dropped.
pub(crate) struct Guest(watch::Sender<usize>);

impl Tenure {
    /// It has just begun.
    pub(crate) fn new() -> Self {
        Self {
            ending: watch::Sender::new(false),
            guests: watch::Sender::new(0),
        }
    }

    /// Counts something that the end waits for; none where there are too many already.
    pub(crate) fn enter(&self, most: usize) -> Option<Guest> {
        let entered = self.guests.send_if_modified(|guests| {
            let has_room = *guests < most;
            *guests += usize::from(has_room);
            has_room
        });
        entered.then(|| Guest(self.guests.clone()))
    }

    /// Tells everybody to come to an end.
    pub(crate) fn end(&self) {
        self.ending.send_replace(true);
    }

    /// Returns when everybody has been told to.
    pub(crate) async fn ended(&self) {
        // It cannot be closed: this holds the other end.
        let _ = self.ending.subscribe().wait_for(|ending| *ending).await;
    }

    /// Returns when nobody is left.
    pub(crate) async fn empty(&self) {
        let _ = self
            .guests
            .subscribe()
            .wait_for(|guests| *guests == 0)
            .await;
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.0
            .send_modify(|guests| *guests = guests.saturating_sub(1));
    }
}
