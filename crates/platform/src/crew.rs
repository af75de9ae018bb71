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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::testing::World;

    /// How often its piece was claimed, and told to be let go of.
    static CLAIMED: AtomicU32 = AtomicU32::new(0);
    static LET_GO: AtomicU32 = AtomicU32::new(0);

    /// Work whose result the store does not take at first; nor does it hear at first of what is let go.
    struct Luckless;

    impl Trade for Luckless {
        type Piece = &'static str;
        const AT_ONCE: usize = 4;

        fn crew(app: &App) -> &Crew {
            app.bench()
        }

        async fn claim(_app: &App, _most: u32, _until: i64) -> Vec<&'static str> {
            // Nobody gets what somebody has.
            let is_free = CLAIMED.load(Ordering::SeqCst) == LET_GO.load(Ordering::SeqCst) / 2;
            if is_free && CLAIMED.fetch_add(1, Ordering::SeqCst) < 2 {
                return vec!["a piece"];
            }
            Vec::new()
        }

        async fn renew(_app: &App, _until: i64) {}

        async fn let_go(_app: &App, piece: &&'static str) -> Result<(), quire_depot::Error> {
            assert_eq!(*piece, "a piece");
            match LET_GO.fetch_add(1, Ordering::SeqCst) {
                0 => Err(quire_depot::Error::Unavailable("not now".to_owned())),
                _ => Ok(()),
            }
        }

        async fn release(_app: &App) {}

        async fn work(app: Arc<App>, piece: &'static str) -> Option<&'static str> {
            let is_written = CLAIMED.load(Ordering::SeqCst) == 2;
            if is_written {
                app.tenure().end();
            }
            (!is_written).then_some(piece)
        }
    }

    #[tokio::test]
    async fn what_cannot_be_finished_is_let_go_of_until_the_store_hears_it() {
        let world = World::new("").await;
        let running = run::<Luckless>(Arc::clone(&world.app));
        let ended = tokio::time::timeout(Duration::from_secs(30), running).await;
        ended.expect("the piece is never claimed again");
        assert_eq!(LET_GO.load(Ordering::SeqCst), 2);
    }
}
