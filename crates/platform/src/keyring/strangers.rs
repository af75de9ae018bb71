//! Secrets that opened nothing a moment ago: to ask the depot for each of them anew would let anybody keep it busy.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use quire_depot::KeyHash;

/// How long a secret counts as unknown, in milliseconds. A key that another server makes of it works by then.
const LIFE_MS: i64 = 1_000;
/// So many are held at most.
const MOST: usize = 4_096;

/// Secrets that opened nothing a moment ago, with the times at which that was found.
#[derive(Default)]
pub(super) struct Strangers(Mutex<HashMap<KeyHash, i64>>);

impl Strangers {
    /// Whether a secret is one of them.
    pub(super) fn has(&self, hash: &KeyHash, now: i64) -> bool {
        self.held().get(hash).is_some_and(|at| is_fresh(*at, now))
    }

    /// Takes one in.
    pub(super) fn add(&self, hash: KeyHash, now: i64) {
        let mut held = self.held();
        if held.len() >= MOST {
            held.retain(|_, at| is_fresh(*at, now));
        }
        // Where there are as many within a second, they are not the same ones over and over.
        if held.len() >= MOST {
            held.clear();
        }
        held.insert(hash, now);
    }

    fn held(&self) -> MutexGuard<'_, HashMap<KeyHash, i64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_fresh(at: i64, now: i64) -> bool {
    (0..LIFE_MS).contains(&(now - at))
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;
    use quire_depot::ApiKey;

    use super::super::{Keyring, hash_of};
    use super::*;
    use crate::clock::{new_id, now_ms};
    use crate::directory::Directory;
    use crate::testing::World;

    const QUIET: &str = "[upstreams.up]\ndialect = \"chat\"\nbase_url = \"http://127.0.0.1:9/v1\"\n\
        [models.m]\nroutes = [{ upstream = \"up\" }]\n";

    async fn opens(keyring: &Keyring, secret: &str, now: i64) -> bool {
        keyring.caller(secret, now).await.is_ok()
    }

    /// A key with a secret that is known before, as another server would make it.
    async fn make(world: &World, secret: &str) {
        let access = world.app.depot().access();
        let workspace = Directory(access.clone()).add_workspace("w").await.unwrap();
        let key = ApiKey {
            id: new_id("apikey_").into(),
            organisation: workspace.organisation,
            workspace: workspace.id,
            name: "for tests".to_owned(),
            hash: hash_of(secret),
            hint: "four".to_owned(),
            created_at: now_ms(),
            expires_at: None,
            revoked_at: None,
            models: Vec::new(),
            regions: Vec::new(),
            limits: quire_depot::Limits::default(),
            budget: None,
        };
        access.add_key(&key).await.unwrap();
    }

    #[tokio::test]
    async fn an_unknown_key_asks_the_depot_once_in_a_second() {
        let world = World::new(QUIET).await;
        let (keyring, now) = (world.app.keyring(), now_ms());
        let looks = || keyring.looks();
        let before = looks();
        assert!(!opens(keyring, "qk-wrong", now).await);
        assert!(!opens(keyring, "qk-wrong", now + LIFE_MS - 1).await);
        assert_eq!(looks(), before + 1);
        assert!(!opens(keyring, "qk-other", now).await);
        assert_eq!(looks(), before + 2);
        // Another server makes it: it works when its second is over, or when this one has looked for changes.
        make(&world, "qk-wrong").await;
        assert!(!opens(keyring, "qk-wrong", now + LIFE_MS - 1).await);
        assert!(opens(keyring, "qk-wrong", now + LIFE_MS).await);
        make(&world, "qk-other").await;
        keyring.refresh().await.unwrap();
        assert!(opens(keyring, "qk-other", now).await);
    }

    #[tokio::test]
    async fn a_flood_of_unknown_keys_asks_little_and_is_held_in_bounds() {
        let world = World::new(QUIET).await;
        let (keyring, now) = (world.app.keyring(), now_ms());
        let before = keyring.looks();
        let secrets: Vec<String> = (0..MOST + 100).map(|n| format!("qk-{n}")).collect();
        let asking = secrets.iter().map(|secret| opens(keyring, secret, now));
        assert!(join_all(asking).await.iter().all(|opened| !opened));
        // Not all of them begin to ask before the first is answered.
        assert!(keyring.looks() <= before + 100, "{}", keyring.looks());
        assert!(keyring.strangers.held().len() <= MOST);
    }
}
