//! The parts of a path that a handler is given.

use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::http::Response;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use crate::app::nothing_here;

/// Parts of a path, decoded. What is no text (`x%ff`) names nothing, and is said to in the words of the path's API.
pub(crate) struct Path<T>(pub(crate) T);

impl<T, S> FromRequestParts<S> for Path<T>
where
    T: DeserializeOwned + Send,
    S: Send + Sync,
{
    type Rejection = Response<Body>;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let decoded = axum::extract::Path::from_request_parts(parts, state).await;
        if let Ok(axum::extract::Path(decoded)) = decoded {
            return Ok(Self(decoded));
        }
        let (method, uri) = (parts.method.clone(), parts.uri.clone());
        Err(nothing_here(method, uri, parts.headers.clone()).await)
    }
}
