//! The gate: who knows the admin key gets through.

use axum::http::HeaderMap;
use quire_translate::{Reason, Refusal};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::app::App;
use crate::caller;

/// Whether a secret is the admin key. How long this takes says nothing of the key.
pub(crate) fn is_admin(app: &App, secret: &str) -> bool {
    let hash = |text: &str| Sha256::digest(text.as_bytes());
    app.admin_key()
        .is_some_and(|key| hash(&key).ct_eq(&hash(secret)).into())
}

/// Lets nobody through where no key is set.
pub(crate) fn unlocked(app: &App) -> Result<(), Refusal> {
    if app.admin_key().is_some() {
        return Ok(());
    }
    let message = format!(
        "The admin API is closed: start the server with a secret in {}.",
        app.live().config.admin_key_env
    );
    Err(Refusal::new(Reason::Forbidden, message))
}

/// Lets a request through that bears the admin key. A key for models opens nothing here.
pub(super) async fn admin(app: &App, headers: &HeaderMap) -> Result<(), Refusal> {
    unlocked(app)?;
    if is_admin(app, caller::secret(headers)?) {
        return Ok(());
    }
    // Who sends a key for models is told so; any other secret is told nothing.
    app.caller(headers).await?;
    Err(Refusal::new(
        Reason::Forbidden,
        "This needs the admin key; a key for models does not open it.",
    ))
}
