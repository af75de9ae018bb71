//! Work that waits in the store: claimed by whichever server has time, renewed while it goes on, and given back at
//! the end. A server that dies leaves its claims to run out, and another one takes over.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use quire_translate::{Reason, Refusal};
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
    type Piece: Send + Sync + 'static;
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
    /// Works on a piece to its end, and writes down what came of it; says whether that could be written down.
    fn work(app: &Arc<App>, piece: &Self::Piece) -> impl Future<Output = bool> + Send;
    /// Writes down that this server itself failed at a piece; says whether that could be written down.
    fn fail(app: &Arc<App>, piece: &Self::Piece) -> impl Future<Output = bool> + Send;
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
        under_way.spawn(one::<T>(Arc::clone(app), piece));
    }
}

/// Works on one piece. It comes back if nothing could be written down of it.
async fn one<T: Trade>(app: Arc<App>, piece: T::Piece) -> Option<T::Piece> {
    let work = AssertUnwindSafe(T::work(&app, &piece));
    let is_written = if let Ok(is_written) = work.catch_unwind().await {
        is_written
    } else {
        // The panic was told where it happened. Whoever had the piece again would most likely come to the same end.
        app.metrics().panicked();
        let fail = AssertUnwindSafe(T::fail(&app, &piece));
        fail.catch_unwind().await.unwrap_or(false)
    };
    (!is_written).then_some(piece)
}

/// What is said of a piece at which the server itself failed.
pub(crate) fn fault() -> Refusal {
    let message = "The server failed at this request. What it wrote to standard error says how.";
    Refusal::new(Reason::Internal, message)
}

fn lease() -> i64 {
    now_ms().saturating_add(LEASE_MS)
}

#[cfg(test)]
mod tests {
    use std::marker::PhantomData;
    use std::sync::atomic::{AtomicU32, Ordering};

    use axum::http::Method;
    use serde_json::{Value, json};

    use super::*;
    use crate::batches::Items;
    use crate::stored::background::Waiting;
    use crate::testing::{World, config};

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

        async fn work(app: &Arc<App>, _piece: &&'static str) -> bool {
            let is_written = CLAIMED.load(Ordering::SeqCst) == 2;
            if is_written {
                app.tenure().end();
            }
            is_written
        }

        async fn fail(_app: &Arc<App>, _piece: &&'static str) -> bool {
            false
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

    /// Real work in which a panic is planted, once the upstream has been asked.
    struct Planted<T>(PhantomData<T>);

    impl<T: Trade> Trade for Planted<T> {
        type Piece = T::Piece;
        const AT_ONCE: usize = T::AT_ONCE;

        fn crew(app: &App) -> &Crew {
            T::crew(app)
        }

        async fn claim(app: &App, most: u32, until: i64) -> Vec<T::Piece> {
            T::claim(app, most, until).await
        }

        async fn renew(app: &App, until: i64) {
            T::renew(app, until).await;
        }

        async fn let_go(app: &App, piece: &T::Piece) -> Result<(), quire_depot::Error> {
            T::let_go(app, piece).await
        }

        async fn release(app: &App) {
            T::release(app).await;
        }

        async fn work(app: &Arc<App>, piece: &T::Piece) -> bool {
            let asked = async {
                while !app.live().nodes().any(|node| node.state(0).1 > 0) {
                    tokio::task::yield_now().await;
                }
            };
            let planted = async {
                asked.await;
                panic!("planted")
            };
            tokio::select! {
                is_written = T::work(app, piece) => is_written,
                is_written = planted => is_written,
            }
        }

        async fn fail(app: &Arc<App>, piece: &T::Piece) -> bool {
            T::fail(app, piece).await
        }
    }

    /// What is shown at a path once it is over, of what is handed in at another and panics.
    async fn panicked<T: Trade>(path: &str, body: Value) -> (World, Vec<(String, String)>, Value) {
        // It takes connections and says nothing.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let world = World::new(&config(listener.local_addr().unwrap(), "")).await;
        let headers = vec![
            ("x-api-key".to_owned(), world.key("w").await),
            ("anthropic-version".to_owned(), "2023-06-01".to_owned()),
        ];
        let handed_in = asked(&world, &headers, &Method::POST, path, &body.to_string()).await;
        let one = format!("{path}/{}", handed_in["id"].as_str().unwrap());
        let running = tokio::spawn(run::<Planted<T>>(Arc::clone(&world.app)));
        let over = async {
            loop {
                let shown = asked(&world, &headers, &Method::GET, &one, "").await;
                if shown["processing_status"] == "ended" || shown["status"] == "failed" {
                    return shown;
                }
                tokio::task::yield_now().await;
            }
        };
        let shown = tokio::time::timeout(Duration::from_secs(30), over).await;
        let shown = shown.expect("it stays claimed, and renewed, until the server ends");
        world.app.tenure().end();
        running.await.unwrap();
        let metrics = world.app.metrics().text(&[]);
        assert!(metrics.contains("quire_panics_total 1\n"), "{metrics}");
        assert!(metrics.contains("status=\"500\"} 1\n"), "{metrics}");
        assert!(!metrics.contains("status=\"499\""), "{metrics}");
        (world, headers, shown)
    }

    async fn asked(
        world: &World,
        headers: &[(String, String)],
        method: &Method,
        path: &str,
        body: &str,
    ) -> Value {
        let headers: Vec<(&str, &str)> = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let came = world.send(method, path, &headers, body).await;
        assert_eq!(came.status, 200, "{}", came.text());
        came.json()
    }

    #[tokio::test]
    async fn an_item_of_a_batch_that_panics_is_errored() {
        let params = json!({"model": "claude-opus-5", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]});
        let body = json!({"requests": [{"custom_id": "a", "params": params}]});
        let (world, headers, batch) = panicked::<Items>("/v1/messages/batches", body).await;
        assert_eq!(batch["request_counts"]["errored"], 1, "{batch}");
        let path = format!(
            "/v1/messages/batches/{}/results",
            batch["id"].as_str().unwrap()
        );
        let line = asked(&world, &headers, &Method::GET, &path, "").await;
        assert_eq!(
            line["result"]["error"]["error"]["type"], "api_error",
            "{line}"
        );
    }

    #[tokio::test]
    async fn a_response_in_the_background_that_panics_has_failed() {
        let body = json!({"model": "claude-opus-5", "input": "hi", "background": true});
        let (_, _, response) = panicked::<Waiting>("/v1/responses", body).await;
        assert_eq!(response["error"]["code"], "server_error", "{response}");
    }
}
