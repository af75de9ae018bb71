//! The port: all described servers together.

use std::fmt::Write as _;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_core::future::BoxFuture;
use quire_protocol::{Policy, ServerTool, ToolOutcome, ToolServers, ToolSpec, first_sentence};
use serde_json::{Map, Value};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::answer::failed;
use crate::described::{Begin, Ground, Server, ServerReport};
use crate::names::{nearest, prefixes};
use crate::slot::Slot;

/// The servers of one session. Dropping it ends them.
pub struct Servers {
    all: Arc<All>,
}

struct All {
    /// In the order of their names.
    slots: Vec<Arc<Slot>>,
    /// What was offered last: tools, and servers whose tools cannot be had.
    given: Mutex<(Vec<ToolSpec>, Vec<String>)>,
    news: watch::Sender<u64>,
    /// Until when those that are started by themselves are waited for.
    patience: Instant,
}

impl Servers {
    /// These servers, which are started on a task of this runtime where `begin` says so. From now on,
    /// `patience` is the longest that [`ToolServers::settled`] waits.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    #[must_use]
    pub fn new(
        described: Vec<Server>,
        ground: Ground,
        begin: Begin,
        patience: Duration,
    ) -> Arc<Self> {
        let mut described = described;
        described.sort_by(|one, other| one.name.cmp(&other.name));
        let ground = Arc::new(ground);
        let news = watch::Sender::new(0);
        let prefixes = prefixes(described.iter().map(|server| server.name.as_str()));
        let slots: Vec<Arc<Slot>> = described
            .into_iter()
            .zip(prefixes)
            .map(|(server, prefix)| {
                let news = news.clone();
                let ground = Arc::clone(&ground);
                Arc::new(Slot::new(server, ground, prefix, news, begin == Begin::Now))
            })
            .collect();
        if begin == Begin::Now {
            for slot in &slots {
                let slot = Arc::clone(slot);
                let policy = ground.policy.clone();
                // How it went is in the slot.
                tokio::spawn(async move { slot.connected(policy).await.map(drop) });
            }
        }
        let all = All {
            slots,
            given: Mutex::default(),
            news,
            patience: Instant::now() + patience,
        };
        Arc::new(Self { all: Arc::new(all) })
    }

    /// How it stands with each server, in the order of their names.
    #[must_use]
    pub fn report(&self) -> Vec<ServerReport> {
        self.all.slots.iter().map(|slot| slot.report()).collect()
    }

    /// A line for each: how it stands with it.
    #[must_use]
    pub fn in_short(&self) -> String {
        let lines = self
            .report()
            .into_iter()
            .map(|report| format!("{report}\n"));
        lines.collect()
    }

    /// How it stands with each, what it reaches that commands under this policy do not, and its tools
    /// with what they do.
    #[must_use]
    pub fn in_full(&self, policy: &Policy) -> String {
        let mut text = String::new();
        for slot in &self.all.slots {
            let _ = writeln!(text, "{}", slot.report());
            for reach in slot.reaches(policy) {
                let _ = writeln!(text, "  {reach}");
            }
            for spec in slot.specs() {
                let what = first_sentence(&spec.description);
                let _ = writeln!(text, "  {}  {what}", spec.name);
            }
        }
        text
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        for slot in &self.all.slots {
            slot.close();
        }
    }
}

impl All {
    fn given(&self) -> MutexGuard<'_, (Vec<ToolSpec>, Vec<String>)> {
        self.given.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn offer(&self) -> (Vec<ToolSpec>, Vec<String>) {
        let absent = self.slots.iter().filter_map(|slot| slot.absent());
        (self.specs(), absent.collect())
    }

    fn specs(&self) -> Vec<ToolSpec> {
        self.slots.iter().flat_map(|slot| slot.specs()).collect()
    }

    /// Waits until something holds that changes with the news only.
    fn until(
        self: &Arc<Self>,
        holds: impl Fn(&Self) -> bool + Send + 'static,
    ) -> impl Future<Output = ()> + Send + 'static {
        let all = Arc::clone(self);
        let mut news = self.news.subscribe();
        async move {
            while !holds(&all) {
                // The sender is in `all`.
                let _ = news.changed().await;
            }
        }
    }

    fn is_changed(&self) -> bool {
        self.offer() != *self.given()
    }

    fn unknown(&self, name: &str) -> ToolOutcome {
        let specs = self.specs();
        let near = nearest(name, specs.iter().map(|spec| spec.name.as_str()));
        failed(format!(
            "no server has a tool `{name}`; the nearest: {}",
            near.join(", ")
        ))
    }
}

/// The arguments that a model wrote; none at all are an empty object.
fn object(arguments: &str) -> Result<Map<String, Value>, String> {
    if arguments.trim().is_empty() {
        return Ok(Map::new());
    }
    serde_json::from_str(arguments)
        .map_err(|error| format!("the arguments are to be a JSON object: {error}"))
}

impl ToolServers for Servers {
    fn specs(&self) -> Vec<ToolSpec> {
        self.all.specs()
    }

    fn offer(&self) -> (Vec<ToolSpec>, Vec<String>) {
        let offer = self.all.offer();
        self.all.given().clone_from(&offer);
        offer
    }

    fn changed(&self) -> BoxFuture<'static, ()> {
        Box::pin(self.all.until(All::is_changed))
    }

    fn settled(&self) -> BoxFuture<'static, ()> {
        let patience = self.all.patience;
        let settled = self
            .all
            .until(|all| !all.slots.iter().any(|slot| slot.is_awaited()));
        Box::pin(async move {
            let _ = timeout_at(patience, settled).await;
        })
    }

    fn find(&self, name: &str, policy: &Policy) -> Option<ServerTool> {
        let mut slots = self.all.slots.iter();
        slots.find_map(|slot| slot.find(name, policy))
    }

    fn call(
        &self,
        name: &str,
        arguments: &str,
        policy: &Policy,
    ) -> BoxFuture<'static, ToolOutcome> {
        let slot = self.all.slots.iter().find(|slot| slot.part(name).is_some());
        let answer = match (slot, object(arguments)) {
            (None, _) => self.all.unknown(name),
            (Some(_), Err(why)) => failed(why),
            (Some(slot), Ok(arguments)) => {
                let call = Arc::clone(slot).call(name.to_owned(), arguments, policy.clone());
                return Box::pin(call);
            }
        };
        Box::pin(std::future::ready(answer))
    }

    fn end(&self, name: &str) -> BoxFuture<'static, ()> {
        match self.all.slots.iter().find(|slot| slot.part(name).is_some()) {
            Some(slot) => Box::pin(Arc::clone(slot).end()),
            None => Box::pin(std::future::ready(())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_an_object_and_none_are_an_empty_one() {
        for empty in ["", " \n", "{}"] {
            assert_eq!(object(empty), Ok(Map::new()), "{empty:?}");
        }
        assert_eq!(object(r#"{"a":1}"#).unwrap()["a"], 1);
        for wrong in ["[1]", "null", "{", "1", "\"x\""] {
            let why = object(wrong).unwrap_err();
            assert!(
                why.starts_with("the arguments are to be a JSON object: "),
                "{why}"
            );
        }
    }
}
