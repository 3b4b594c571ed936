//! Deliveries of `PingOne`'s webhook that take more than one request.

use serde::{Deserialize, Serialize};

use super::{RecordError, encode, read};
use crate::{
    host::{DAY, Host, RecordKey, Timestamp},
    oauth::LoginsEnd,
    seal::digest,
};

/// How far a delivery was processed: the ends of logins that it reports are processed in the order of the users, and of the ends
/// of one user. A count would not do: the number of ends before a position changes as events become too old.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// `sub` of the user whose logins were ended last.
    pub(crate) sub: String,
    /// The last end that had its effect.
    pub(crate) logins: LoginsEnd,
}

/// The progress of the delivery with this body, if a part of it was processed. `PingOne` repeats a delivery until it is accepted.
pub(crate) async fn progress(
    host: &Host,
    body: &[u8],
    now: Timestamp,
) -> Result<Option<Progress>, RecordError> {
    read(host, &key(body), now).await
}

/// Keeps the progress for the next delivery.
pub(crate) async fn put_progress(
    host: &Host,
    body: &[u8],
    progress: &Progress,
    now: Timestamp,
) -> Result<(), RecordError> {
    Ok(host.store.put(&key(body), encode(progress)?, now.plus(DAY)).await?)
}

fn key(body: &[u8]) -> RecordKey {
    RecordKey::Delivery(digest("delivery of events", body))
}
