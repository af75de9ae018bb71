//! Work that waits in the store: claimed by whichever server has time, renewed while it goes on, and given back at
//! the end. A server that dies leaves its claims to run out, and another one takes over.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::app::App;
use crate::clock::{new_id, now_ms};

/// How long a claim lasts unless it is renewed.
const LEASE_MS: i64 = 60_000;
/// How often the store is asked for what another server took in, or left.
const ROUND: Duration = Duration::from_secs(1);
/// Rounds after which claims are renewed.
const RENEW: u32 = 15;

/// Those of a server who work on one kind of thing.
pub(crate) struct Crew {
    /// The name under which they claim.
    pub(crate) worker: String,
    work: Notify,
}

impl Crew {
    pub(crate) fn new() -> Self {
        Self {
            worker: new_id("server_"),
            work: Notify::new(),
        }
    }

    /// There is work.
    pub(crate) fn wake(&self) {
        self.work.notify_one();
    }
}

/// One kind of work. What the store fails to do is done in a later round.
pub(crate) trait Trade: Send + Sync + 'static {
    /// A piece of it.
    type Piece: Send + 'static;
    /// How many pieces one server works on at once.
    const AT_ONCE: usize;

    /// Who does it.
    fn crew(app: &App) -> &Crew;
    /// Claims at most so many pieces until a time.
    fn claim(app: &App, most: u32, until: i64) -> impl Future<Output = Vec<Self::Piece>> + Send;
    /// Claims again, until a time, all that is claimed.
    fn renew(app: &App, until: i64) -> impl Future<Output = ()> + Send;
    /// Lets go of a piece, so that it is claimed again once its claim runs out.
    fn let_go(
        app: &App,
        piece: &Self::Piece,
    ) -> impl Future<Output = Result<(), quire_depot::Error>> + Send;
    /// Gives back what is not finished.
    fn release(app: &App) -> impl Future<Output = ()> + Send;
    /// Works on a piece to its end, and writes down what came of it. A piece of which nothing could be written down
    /// comes back.
    fn work(app: Arc<App>, piece: Self::Piece) -> impl Future<Output = Option<Self::Piece>> + Send;
}

/// Works on what waits, until the server ends; then lets what is under way come to its end. What is dropped in the
/// middle is given back by [`Trade::release`].
pub(crate) async fn run<T: Trade>(app: Arc<App>) {
    let mut under_way = JoinSet::new();
    // No worker claims what it has: what it cannot finish it has to let go of, when the store answers again.
    let mut unfinished = Vec::new();
    let mut round = tokio::time::interval(ROUND);
    round.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut rounds = 0_u32;
    let mut is_open = true;
    while is_open || !under_way.is_empty() {
        tokio::select! {
            () = app.tenure().ended(), if is_open => is_open = false,
            () = T::crew(&app).work.notified(), if is_open => {}
            // However much there is to do, claims are renewed in time.
            _ = round.tick() => {
                rounds = rounds.wrapping_add(1);
                if rounds.is_multiple_of(RENEW) {
                    T::renew(&app, lease()).await;
                }
                let_go::<T>(&app, &mut unfinished).await;
            }
            Some(done) = under_way.join_next(), if !under_way.is_empty() => {
                unfinished.extend(done.ok().flatten());
            }
        }
        if is_open {
            claim::<T>(&app, &mut under_way).await;
        }
    }
}

async fn let_go<T: Trade>(app: &App, unfinished: &mut Vec<T::Piece>) {
    while let Some(piece) = unfinished.last() {
        if T::let_go(app, piece).await.is_err() {
            return;
        }
        unfinished.pop();
    }
}

async fn claim<T: Trade>(app: &Arc<App>, under_way: &mut JoinSet<Option<T::Piece>>) {
    let room = u32::try_from(T::AT_ONCE.saturating_sub(under_way.len())).unwrap_or(0);
    if room == 0 {
        return;
    }
    for piece in T::claim(app, room, lease()).await {
        under_way.spawn(T::work(Arc::clone(app), piece));
    }
}

fn lease() -> i64 {
    now_ms().saturating_add(LEASE_MS)
}
