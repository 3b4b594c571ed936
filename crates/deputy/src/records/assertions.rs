//! The uses of client assertions.

use super::RecordError;
use crate::{
    host::{Host, RecordKey, Timestamp},
    oauth::VerifiedAssertion,
};

/// Records the use of an assertion. `false`: it was used before.
pub(crate) async fn use_assertion(
    host: &Host,
    assertion: &VerifiedAssertion,
    now: Timestamp,
) -> Result<bool, RecordError> {
    let key = RecordKey::Assertion(assertion.name);
    Ok(host.store.replace(&key, None, Vec::new(), assertion.until, now).await?)
}
