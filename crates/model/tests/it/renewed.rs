//! Models of settings that change while they are used.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::{FutureExt as _, StreamExt as _};
use quire_model::{Renewed, Router, Scripted};
use quire_protocol::{Model as _, ModelEvent};

use crate::server::request;

/// The models of a provider that is named so.
fn named(name: u32) -> Router {
    let answers = Scripted::new(|_| vec![Scripted::reply(vec![Scripted::text("well")])]);
    Router::new().with(name.to_string(), Arc::new(answers))
}

#[test]
fn what_has_changed_counts_from_the_next_request_on_and_what_is_broken_never() {
    let state = Arc::new(AtomicU32::new(1));
    let (look, again) = (Arc::clone(&state), Arc::clone(&state));
    let made = move || Some(again.load(Ordering::Relaxed)).filter(|state| *state != 3);
    let renewed = Renewed::new(
        (1, named(1)),
        move || look.load(Ordering::Relaxed),
        move || made().map(named),
    );
    let answers = |provider: u32| {
        let mut events = renewed.respond(request(&format!("{provider}/model")));
        let first = events.next().now_or_never();
        matches!(first, Some(Some(ModelEvent::Finished(_))))
    };
    assert!(answers(1) && !answers(2));
    state.store(2, Ordering::Relaxed);
    assert!(answers(2) && !answers(1));
    state.store(3, Ordering::Relaxed);
    assert!(answers(2) && !answers(3));
    state.store(4, Ordering::Relaxed);
    assert!(answers(4) && !answers(2));
}
