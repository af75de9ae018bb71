//! Organisations, workspaces and keys, as operators make and change them: by the command line and by the admin API.

use std::fmt;

use quire_depot::{
    Access, ApiKey, Budget, KeyFilter, KeyHash, KeyId, Limits, Organisation, OrganisationId, Page,
    Workspace, WorkspaceId,
};
use sha2::{Digest as _, Sha256};

use crate::clock::{new_id, now_ms};
use crate::keyring::KEY_PREFIX;

/// The organisation that is there from the first start on.
pub(crate) const FIRST_ORGANISATION: &str = "org_default";

/// A key's secret. It is shown once and never kept.
#[derive(Clone)]
pub struct KeySecret(String);

impl KeySecret {
    /// The text that programs send.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for KeySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeySecret(…)")
    }
}

/// What a new key is to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewKey {
    /// Its name.
    pub name: String,
    /// When it ceases to open anything, in milliseconds since the Unix epoch.
    pub expires_at: Option<i64>,
    /// Patterns of the models that it may ask for; none for all.
    pub models: Vec<String>,
    /// Regions that it may be served from; none for all.
    pub regions: Vec<String>,
    /// What it may use.
    pub limits: Limits,
    /// What it may spend.
    pub budget: Option<Budget>,
}

/// Makes and finds them.
#[derive(Clone)]
pub(crate) struct Directory(pub(crate) Access);

/// How many things are on a page that is looked through.
const PAGE: u32 = 500;

impl Directory {
    /// The first organisation; it is made if it is not there.
    pub(crate) async fn organisation(&self) -> Result<Organisation, quire_depot::Error> {
        let id = OrganisationId::from(FIRST_ORGANISATION);
        if let Some(organisation) = self.0.organisation(&id).await? {
            return Ok(organisation);
        }
        let organisation = Organisation {
            id: id.clone(),
            name: "default".to_owned(),
            created_at: now_ms(),
            limits: Limits::default(),
            budget: None,
        };
        match self.0.add_organisation(&organisation).await {
            // Another server was quicker.
            Ok(()) | Err(quire_depot::Error::Exists { .. }) => Ok(organisation),
            Err(error) => Err(error),
        }
    }

    /// A workspace by its name or id.
    pub(crate) async fn workspace(
        &self,
        named: &str,
    ) -> Result<Option<Workspace>, quire_depot::Error> {
        let organisation = self.organisation().await?.id;
        if let Some(workspace) = self
            .0
            .workspace(&organisation, &WorkspaceId::from(named))
            .await?
        {
            return Ok(Some(workspace));
        }
        let mut page = Page::first(PAGE);
        loop {
            let listed = self.0.workspaces(&organisation, &page).await?;
            let last = listed
                .items
                .last()
                .map(|workspace| workspace.id.to_string());
            let is_it =
                |workspace: &Workspace| workspace.name == named && workspace.archived_at.is_none();
            if let Some(found) = listed.items.into_iter().find(is_it) {
                return Ok(Some(found));
            }
            match last.filter(|_| listed.more) {
                Some(last) => page = Page::after(&last, PAGE),
                None => return Ok(None),
            }
        }
    }

    /// Makes a workspace.
    pub(crate) async fn add_workspace(&self, name: &str) -> Result<Workspace, quire_depot::Error> {
        let workspace = self.new_workspace(name).await?;
        self.0.add_workspace(&workspace).await?;
        Ok(workspace)
    }

    /// What a workspace begins as; it is not kept yet.
    pub(crate) async fn new_workspace(&self, name: &str) -> Result<Workspace, quire_depot::Error> {
        Ok(Workspace {
            id: new_id("wrkspc_").into(),
            organisation: self.organisation().await?.id,
            name: name.to_owned(),
            created_at: now_ms(),
            archived_at: None,
            limits: Limits::default(),
            budget: None,
            file_quota: None,
        })
    }

    /// Makes a key. The secret is not kept: it is gone when it is dropped.
    pub(crate) async fn add_key(
        &self,
        workspace: &Workspace,
        new: NewKey,
    ) -> Result<(ApiKey, KeySecret), quire_depot::Error> {
        let secret = KeySecret(format!("{KEY_PREFIX}{}", random()?));
        let text = secret.reveal();
        let key = ApiKey {
            id: new_id("apikey_").into(),
            organisation: workspace.organisation.clone(),
            workspace: workspace.id.clone(),
            name: new.name,
            hash: KeyHash(Sha256::digest(text.as_bytes()).into()),
            hint: text[text.len() - 4..].to_owned(),
            created_at: now_ms(),
            expires_at: new.expires_at,
            revoked_at: None,
            models: new.models,
            regions: new.regions,
            limits: new.limits,
            budget: new.budget,
        };
        self.0.add_key(&key).await?;
        Ok((key, secret))
    }

    /// All keys of the first organisation.
    pub(crate) async fn keys(&self) -> Result<Vec<ApiKey>, quire_depot::Error> {
        let organisation = self.organisation().await?.id;
        let mut all = Vec::new();
        let mut page = Page::first(PAGE);
        loop {
            let listed = self
                .0
                .keys(&organisation, &KeyFilter::default(), &page)
                .await?;
            let last = listed.items.last().map(|key| key.id.to_string());
            all.extend(listed.items);
            match last.filter(|_| listed.more) {
                Some(last) => page = Page::after(&last, PAGE),
                None => return Ok(all),
            }
        }
    }

    /// Takes a key back: it opens nothing from now on.
    pub(crate) async fn revoke(&self, id: &str) -> Result<ApiKey, quire_depot::Error> {
        let organisation = self.organisation().await?.id;
        let found = self.0.key(&organisation, &KeyId::from(id)).await?;
        let mut key = found.ok_or_else(|| quire_depot::Error::Missing {
            kind: "key",
            id: id.to_owned(),
        })?;
        key.revoked_at = Some(key.revoked_at.unwrap_or_else(now_ms));
        self.0.update_key(&key).await?;
        Ok(key)
    }
}

/// 32 random bytes, as text.
fn random() -> Result<String, quire_depot::Error> {
    use base64::Engine as _;
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| quire_depot::Error::Disk {
        path: "the system's random numbers".to_owned(),
        source: std::io::Error::other(error.to_string()),
    })?;
    Ok(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes))
}
