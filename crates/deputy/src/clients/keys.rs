//! Verifying client assertions with the keys that a metadata document names (RFC 7523 §3).

use std::net::IpAddr;

use super::{
    authentication_error::AuthenticationError,
    document::{self, DocumentFetchError, Lifetime},
};
use crate::{
    app::App,
    host::Timestamp,
    jose::{ClientKeys, KeySet},
    oauth::{AssertionError, Client, ClientAssertion, ClientAuthError},
    records::{self, StoredKeys},
    types::ClientIdUrl,
};

/// Authenticates `client` by its assertion, which works once.
pub(super) async fn verify(
    app: &App,
    client: &Client,
    assertion: &ClientAssertion,
    source: Option<IpAddr>,
    now: Timestamp,
) -> Result<(), AuthenticationError> {
    let verified = match client.keys.as_ref().ok_or(ClientAuthError::Wrong)? {
        ClientKeys::Inline(jwks) => {
            let keys = KeySet::of_client(jwks).ok_or(ClientAuthError::Wrong)?;
            assertion.verify(&keys, &app.config, now).map_err(ClientAuthError::Assertion)?
        }
        ClientKeys::AtUrl(url) => {
            let stored = records::fetched::<StoredKeys>(app.host(), url, now).await?;
            let (keys, is_new) = match stored {
                Some(stored) if stored.fresh_until > now => (stored, false),
                stale => (fetch(app, url, stale, source, now).await?, true),
            };
            match verify_with(&keys, assertion, app, now) {
                Err(AssertionError::Jwt(error)) if error.may_pass_with_other_keys() && !is_new => {
                    // A client rotates its keys. Made-up key ids must not make this server fetch without end.
                    let wait = keys.fetched_at.plus(PAUSE).since(now);
                    if wait > 0 {
                        return Err(AuthenticationError::KeysUnavailable);
                    }
                    let keys = fetch(app, url, None, source, now).await?;
                    verify_with(&keys, assertion, app, now)
                }
                result => result,
            }
            .map_err(ClientAuthError::Assertion)?
        }
    };
    if records::use_assertion(app.host(), &verified, now).await? {
        Ok(())
    } else {
        Err(ClientAuthError::Replayed.into())
    }
}

fn verify_with(
    stored: &StoredKeys,
    assertion: &ClientAssertion,
    app: &App,
    now: Timestamp,
) -> Result<crate::oauth::VerifiedAssertion, AssertionError> {
    let keys = KeySet::of_client(&stored.jwks).unwrap_or_default();
    assertion.verify(&keys, &app.config, now)
}

/// Fetches keys and stores them. Stale ones are used while no newer ones can be fetched.
async fn fetch(
    app: &App,
    url: &ClientIdUrl,
    stale: Option<StoredKeys>,
    source: Option<IpAddr>,
    now: Timestamp,
) -> Result<StoredKeys, AuthenticationError> {
    match document::fetch_keys(app, url, source).await {
        Ok((jwks, freshness)) => {
            // Kept for a minute at least: each assertion needs them.
            let Lifetime { fresh, stale, stored } = freshness.from(now, PAUSE);
            let keys = StoredKeys { jwks, fetched_at: now, fresh_until: fresh, stale_until: stale };
            if let Err(error) = records::put_fetched(app.host(), url, &keys, stored).await {
                tracing::warn!(url = url.as_str(), %error, "the keys of a client could not be kept");
            }
            Ok(keys)
        }
        Err(error) => match (error, stale) {
            (DocumentFetchError::Busy | DocumentFetchError::OutOfReach, Some(stale)) => Ok(stale),
            // A client must not be able to distinguish these.
            _ => Err(AuthenticationError::KeysUnavailable),
        },
    }
}

/// Seconds between two fetches of the keys of a client.
const PAUSE: u64 = 60;
