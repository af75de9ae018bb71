//! A body that is taken in whole, within bounds of size and patience.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::Body;

/// Why a body was not taken in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// It is larger than it may be.
    TooLarge,
    /// Nothing came for too long.
    Silent,
    /// It broke off.
    Broken(String),
}

impl Cut {
    /// What a request is recorded with whose answer ended so.
    pub(crate) const fn status(&self) -> u16 {
        match self {
            Self::Silent => 504,
            Self::TooLarge | Self::Broken(_) => 502,
        }
    }
}

/// What of a body is read that nobody wants, and for how long at most.
const THROWN_AWAY: usize = 64 << 20;
const THROWING_AWAY: Duration = Duration::from_secs(10);

/// Reads what comes of a body that is refused. Most clients send all of it before they read anything: if it were
/// left where it is, they would find a broken connection in place of the refusal.
pub(crate) async fn throw_away<B>(mut body: B)
where
    B: Body<Data = Bytes> + Unpin,
{
    let reading = async {
        let mut left = THROWN_AWAY;
        while let Some(Ok(frame)) = body.frame().await {
            let length = frame.data_ref().map_or(0, Bytes::len);
            let Some(less) = left.checked_sub(length) else {
                return;
            };
            left = less;
        }
    };
    // Whoever takes longer is cut off.
    let _ = tokio::time::timeout(THROWING_AWAY, reading).await;
}

/// Takes a body in.
pub(crate) async fn collect<B>(mut body: B, most: usize, idle: Duration) -> Result<Bytes, Cut>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let hint = body.size_hint();
    if hint.lower() > most as u64 {
        return Err(Cut::TooLarge);
    }
    let mut first: Option<Bytes> = None;
    let mut all = BytesMut::new();
    loop {
        let frame = tokio::time::timeout(idle, body.frame())
            .await
            .map_err(|_| Cut::Silent)?;
        let Some(frame) = frame else {
            break;
        };
        let frame = frame.map_err(|error| Cut::Broken(error.to_string()))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        let sum = first.as_ref().map_or(all.len(), Bytes::len) + data.len();
        if sum > most {
            return Err(Cut::TooLarge);
        }
        if all.is_empty() && first.is_none() {
            // Most bodies come in one piece, which needs no copy.
            first = Some(data);
            continue;
        }
        if let Some(first) = first.take() {
            let exact = hint.exact().and_then(|exact| usize::try_from(exact).ok());
            all.reserve(exact.unwrap_or(2 * sum).min(most));
            all.extend_from_slice(&first);
        }
        all.extend_from_slice(&data);
    }
    Ok(first.unwrap_or_else(|| all.freeze()))
}
