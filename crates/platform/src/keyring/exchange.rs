//! Limits that several servers share: each takes from its own buckets at once, and now and then they tell each other
//! through the depot what they took.

use std::sync::{Arc, PoisonError};

use quire_depot::{Debt, Debts};

use super::{Bounded, Keyring};
use crate::allowance::Allowance;

impl Keyring {
    /// Tells the other servers what was taken of the limits here, and learns what all of them together took. While the
    /// depot cannot be reached each goes on by what it knows, and tells it later.
    pub(crate) async fn exchange(&self, debts: &Debts, now: i64) -> Result<(), quire_depot::Error> {
        // One at a time: nothing is told twice.
        let mut version = self.exchanged.lock().await;
        let all: Vec<(Bounded, Arc<Allowance>)> = self.read(|known| {
            let all = known.allowances.iter();
            all.map(|(bounded, allowance)| (bounded.clone(), Arc::clone(allowance)))
                .collect()
        });
        let used: Vec<_> = all
            .iter()
            .flat_map(|(bounded, allowance)| allowance.tell(|kind| bounded.name(kind), now))
            .collect();
        let exchanged = debts.exchange(&used, *version).await?;
        for (_, allowance) in &all {
            allowance.told();
        }
        for debt in &exchanged.debts {
            self.learn(debt, now);
        }
        *version = exchanged.version;
        Ok(())
    }

    fn learn(&self, debt: &Debt, now: i64) {
        // A name that a later version gave bounds nothing here.
        if let Some((kind, bounded)) = Bounded::read(&debt.name) {
            let allowance = {
                let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
                Arc::clone(known.allowances.entry(bounded).or_default())
            };
            allowance.learn(kind, debt, now);
        }
    }
}

impl Bounded {
    /// What the depot calls a kind of its limits.
    fn name(&self, kind: &str) -> String {
        let (what, id) = match self {
            Self::Key(id) => ("key", id.as_str()),
            Self::Workspace(id) => ("workspace", id.as_str()),
            Self::Organisation(id) => ("organisation", id.as_str()),
        };
        format!("{kind}/{what}/{id}")
    }

    /// The kind, and whose limit it is.
    fn read(name: &str) -> Option<(&str, Self)> {
        let (kind, rest) = name.split_once('/')?;
        let (what, id) = rest.split_once('/')?;
        let bounded = match what {
            "key" => Self::Key(id.into()),
            "workspace" => Self::Workspace(id.into()),
            "organisation" => Self::Organisation(id.into()),
            _other => return None,
        };
        Some((kind, bounded))
    }
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use quire_depot::Limits;
    use serde_json::{Value, json};

    use super::*;
    use crate::directory::NewKey;
    use crate::testing::{Came, Peer, World, config, reply};

    fn limited(requests: u64) -> NewKey {
        NewKey {
            limits: Limits {
                requests_per_minute: Some(requests),
                output_tokens_per_minute: Some(100_000),
                ..Limits::default()
            },
            ..NewKey::default()
        }
    }

    fn body() -> Value {
        json!({"model": "claude-opus-5", "max_tokens": 9, "messages": []})
    }

    fn left(came: &Came, kind: &str) -> u64 {
        assert_eq!(came.status, StatusCode::OK, "{}", came.text());
        let name = format!("anthropic-ratelimit-{kind}-remaining");
        came.headers[name.as_str()]
            .to_str()
            .unwrap()
            .parse()
            .unwrap()
    }

    #[tokio::test]
    async fn servers_on_one_store_share_a_keys_limits() {
        let peer = Peer::new(&[reply()]);
        let text = config(peer.address, "");
        let one = World::new(&text).await;
        let key = one.key_with("w", limited(5)).await;
        let two = one.beside(&text).await;
        for left_here in [4, 3, 2] {
            let came = one.messages(&key, &[], &body()).await;
            assert_eq!(left(&came, "requests"), left_here);
        }
        // Until they exchange, the other one knows nothing of it.
        assert_eq!(left(&two.messages(&key, &[], &body()).await, "requests"), 4);
        one.app.tidy(1).await;
        two.app.tidy(1).await;
        // Five in all: three there, two here.
        let came = two.messages(&key, &[], &body()).await;
        assert_eq!(left(&came, "requests"), 0);
        let refused = two.messages(&key, &[], &body()).await;
        assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
        two.app.tidy(1).await;
        one.app.tidy(1).await;
        let refused = one.messages(&key, &[], &body()).await;
        assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
        // One that starts now begins with what the others know.
        let three = one.beside(&text).await;
        let refused = three.messages(&key, &[], &body()).await;
        assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    }

    #[tokio::test]
    async fn while_the_store_is_out_of_reach_a_server_goes_on_by_its_own_counts() {
        let peer = Peer::new(&[reply()]);
        let world = World::new(&config(peer.address, "")).await;
        let key = world.key_with("w", limited(3)).await;
        for left_here in [2, 1] {
            let came = world.messages(&key, &[], &body()).await;
            assert_eq!(left(&came, "requests"), left_here);
        }
        let database = world.app.depot().database();
        let hidden = quire_depot::Statement::new("ALTER TABLE debts RENAME TO hidden");
        database.execute(hidden).await.unwrap();
        let debts = world.app.depot().debts();
        let now = crate::clock::now_ms();
        world.app.keyring().exchange(&debts, now).await.unwrap_err();
        assert_eq!(
            left(&world.messages(&key, &[], &body()).await, "requests"),
            0
        );
        let refused = world.messages(&key, &[], &body()).await;
        assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
        // When it is back, all of it is told.
        let back = quire_depot::Statement::new("ALTER TABLE hidden RENAME TO debts");
        database.execute(back).await.unwrap();
        world.app.keyring().exchange(&debts, now).await.unwrap();
        let told = debts.exchange(&[], 0).await.unwrap().debts;
        let requests = told
            .iter()
            .find(|debt| debt.name.starts_with("requests/key/"));
        assert_eq!(requests.unwrap().units, 3 * quire_depot::MINUTE_MS);
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        for bounded in [
            Bounded::Key("apikey_1".into()),
            Bounded::Workspace("wrkspc_1".into()),
            Bounded::Organisation("org/1".into()),
        ] {
            let name = bounded.name("input");
            let read = Bounded::read(&name);
            assert!(read == Some(("input", bounded)), "{name}");
        }
        assert!(Bounded::read("input/team/1").is_none() && Bounded::read("input").is_none());
    }
}
