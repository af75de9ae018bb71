//! Who may call: the keys, workspaces and organisations of the depot, held in memory and never older than a
//! second.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use quire_depot::{
    Access, ApiKey, Changes, KeyHash, KeyId, Organisation, OrganisationId, Scope, Workspace,
    WorkspaceId,
};
use quire_translate::{Reason, Refusal};
use sha2::{Digest as _, Sha256};

use crate::allowance::Allowance;
use crate::config::pattern_covers;

mod exchange;
mod strangers;

use strangers::Strangers;

/// How the secrets of our keys begin.
pub(crate) const KEY_PREFIX: &str = "qk-";

/// Who is calling, with all that bounds them.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) key: ApiKey,
    pub(crate) workspace: Workspace,
    /// The bounds of the key, the workspace and the organisation, the narrowest first.
    pub(crate) allowances: [Arc<Allowance>; 3],
}

impl Caller {
    /// Whose spending each allowance bounds, in their order.
    pub(crate) fn scopes(&self) -> [Scope; 3] {
        [
            Scope::Key(self.key.id.clone()),
            Scope::Workspace(self.workspace.id.clone()),
            Scope::Organisation(self.key.organisation.clone()),
        ]
    }

    /// Whether the key may ask for a model.
    pub(crate) fn may_use(&self, model: &str) -> bool {
        self.key.models.is_empty()
            || self
                .key
                .models
                .iter()
                .any(|pattern| pattern_covers(pattern, model))
    }
}

/// The keys that are known by now. Clones are handles of the same ring.
#[derive(Clone)]
pub(crate) struct Keyring {
    access: Access,
    known: Arc<RwLock<Known>>,
    strangers: Arc<Strangers>,
    looks: Arc<Looks>,
    /// Up to where this server knows what all servers took of the limits.
    exchanged: Arc<tokio::sync::Mutex<u64>>,
}

/// Looks at the depot for keys that are not known.
#[derive(Default)]
struct Looks {
    begun: AtomicU64,
    /// The number of the last one that succeeded. Whoever looks holds it.
    succeeded: tokio::sync::Mutex<u64>,
}

#[derive(Default)]
struct Known {
    version: u64,
    keys: HashMap<KeyHash, ApiKey>,
    by_id: HashMap<KeyId, KeyHash>,
    workspaces: HashMap<WorkspaceId, Workspace>,
    organisations: HashMap<OrganisationId, Organisation>,
    /// By what they bound; they outlive changes of it, so that nobody gets a new minute by a change.
    allowances: HashMap<Bounded, Arc<Allowance>>,
    /// Those who called since the last change, ready made.
    callers: HashMap<KeyHash, Arc<Caller>>,
}

/// What an allowance bounds.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Bounded {
    Key(KeyId),
    Workspace(WorkspaceId),
    Organisation(OrganisationId),
}

impl Keyring {
    /// An empty ring; [`Keyring::refresh`] fills it.
    pub(crate) fn new(access: Access) -> Self {
        Self {
            access,
            known: Arc::default(),
            strangers: Arc::default(),
            looks: Arc::default(),
            exchanged: Arc::default(),
        }
    }

    /// Learns what changed since the last time.
    pub(crate) async fn refresh(&self) -> Result<(), quire_depot::Error> {
        let version = self.read(|known| known.version);
        let changes = self.access.changed_since(version).await?;
        if changes.version != version {
            let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
            known.take(changes);
        }
        Ok(())
    }

    /// Whose secret it is, at a time.
    pub(crate) async fn caller(&self, secret: &str, now: i64) -> Result<Arc<Caller>, Refusal> {
        let hash = hash_of(secret);
        if !self.knows(&hash) {
            // One made a moment ago, perhaps by another server.
            if !secret.starts_with(KEY_PREFIX) || self.strangers.has(&hash, now) {
                return Err(unknown());
            }
            self.look().await.map_err(|error| {
                Refusal::new(
                    Reason::Overloaded,
                    format!("Keys cannot be checked now: {error}"),
                )
            })?;
            if !self.knows(&hash) {
                self.strangers.add(hash, now);
            }
        }
        self.known_caller(&hash, now)
    }

    fn knows(&self, hash: &KeyHash) -> bool {
        self.read(|known| known.keys.contains_key(hash))
    }

    /// Learns what changed, by one question together with all who ask for it meanwhile.
    async fn look(&self) -> Result<(), quire_depot::Error> {
        let begun = self.looks.begun.load(Ordering::Acquire);
        let mut succeeded = self.looks.succeeded.lock().await;
        if *succeeded > begun {
            // It began after this one asked.
            return Ok(());
        }
        let number = self.looks.begun.fetch_add(1, Ordering::AcqRel) + 1;
        self.refresh().await?;
        *succeeded = number;
        Ok(())
    }

    /// How many looks there were.
    #[cfg(test)]
    fn looks(&self) -> u64 {
        self.looks.begun.load(Ordering::Acquire)
    }

    /// Who calls with a key that is known by now.
    fn known_caller(&self, hash: &KeyHash, now: i64) -> Result<Arc<Caller>, Refusal> {
        let ready = self.read(|known| known.callers.get(hash).cloned());
        let caller = ready.or_else(|| {
            let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
            known.caller(hash)
        });
        opens(caller.ok_or_else(unknown)?, now)
    }

    /// Who calls with a key, by its id, at a time.
    pub(crate) fn caller_by_id(&self, id: &KeyId, now: i64) -> Result<Arc<Caller>, Refusal> {
        let hash = self.read(|known| known.by_id.get(id).copied());
        self.known_caller(&hash.ok_or_else(unknown)?, now)
    }

    /// Every allowance with whom it bounds, to be filled up with what was spent.
    pub(crate) fn allowances(&self) -> Vec<(Scope, Arc<Allowance>)> {
        self.read(|known| {
            let scoped = known.allowances.iter().map(|(bounded, allowance)| {
                let scope = match bounded {
                    Bounded::Key(id) => Scope::Key(id.clone()),
                    Bounded::Workspace(id) => Scope::Workspace(id.clone()),
                    Bounded::Organisation(id) => Scope::Organisation(id.clone()),
                };
                (scope, Arc::clone(allowance))
            });
            scoped.collect()
        })
    }

    fn read<T>(&self, look: impl FnOnce(&Known) -> T) -> T {
        look(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }
}

fn hash_of(secret: &str) -> KeyHash {
    KeyHash(Sha256::digest(secret.as_bytes()).into())
}

/// The same caller, unless the key opens nothing at a time.
fn opens(caller: Arc<Caller>, now: i64) -> Result<Arc<Caller>, Refusal> {
    let key = &caller.key;
    if key.revoked_at.is_some_and(|at| at <= now) {
        return Err(Refusal::new(
            Reason::Unauthenticated,
            "This API key was revoked: make another one.",
        ));
    }
    if key.expires_at.is_some_and(|at| at <= now) {
        return Err(Refusal::new(
            Reason::Unauthenticated,
            "This API key has expired: make another one.",
        ));
    }
    if caller.workspace.archived_at.is_some_and(|at| at <= now) {
        return Err(Refusal::new(
            Reason::Forbidden,
            "The workspace of this API key is archived: use a key of another one.",
        ));
    }
    Ok(caller)
}

fn unknown() -> Refusal {
    Refusal::new(
        Reason::Unauthenticated,
        "invalid API key: send one that this server knows, as `x-api-key` or as `Authorization: Bearer`",
    )
    .coded("invalid_api_key")
}

impl Known {
    fn take(&mut self, changes: Changes) {
        self.version = changes.version;
        for organisation in changes.organisations {
            self.organisations
                .insert(organisation.id.clone(), organisation);
        }
        for workspace in changes.workspaces {
            self.workspaces.insert(workspace.id.clone(), workspace);
        }
        for key in changes.keys {
            self.by_id.insert(key.id.clone(), key.hash);
            self.keys.insert(key.hash, key);
        }
        self.callers.clear();
    }

    fn caller(&mut self, hash: &KeyHash) -> Option<Arc<Caller>> {
        let key = self.keys.get(hash)?.clone();
        let workspace = self.workspaces.get(&key.workspace)?.clone();
        let organisation = self.organisations.get(&key.organisation)?.clone();
        let mut allowance = |bounded: Bounded, limits, budget| {
            let allowance = Arc::clone(self.allowances.entry(bounded).or_default());
            allowance.set(limits, budget);
            allowance
        };
        let allowances = [
            allowance(Bounded::Key(key.id.clone()), key.limits, key.budget),
            allowance(
                Bounded::Workspace(workspace.id.clone()),
                workspace.limits,
                workspace.budget,
            ),
            allowance(
                Bounded::Organisation(organisation.id.clone()),
                organisation.limits,
                organisation.budget,
            ),
        ];
        let caller = Arc::new(Caller {
            key,
            workspace,
            allowances,
        });
        self.callers.insert(*hash, Arc::clone(&caller));
        Some(caller)
    }
}
