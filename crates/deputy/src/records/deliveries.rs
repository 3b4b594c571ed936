//! Deliveries of `PingOne`'s webhook that take more than one request.

use serde::{Deserialize, Serialize};

use super::{RecordError, encode, read};
use crate::{
    host::{DAY, Host, RecordKey, Timestamp},
    seal::digest,
};

/// How far a delivery was processed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// Ends of logins that have had their effect, of all that the delivery reports.
    pub(crate) ends: usize,
}

/// The progress of the delivery with this body. `PingOne` repeats a delivery until it is accepted.
pub(crate) async fn progress(host: &Host, body: &[u8], now: Timestamp) -> Result<Progress, RecordError> {
    Ok(read(host, &key(body), now).await?.unwrap_or_default())
}

/// Keeps the progress for the next delivery.
pub(crate) async fn put_progress(
    host: &Host,
    body: &[u8],
    progress: Progress,
    now: Timestamp,
) -> Result<(), RecordError> {
    Ok(host.store().put(&key(body), encode(&progress)?, now.plus(DAY)).await?)
}

fn key(body: &[u8]) -> RecordKey {
    RecordKey::Delivery(digest("delivery of events", body))
}
