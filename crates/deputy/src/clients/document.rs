//! Fetching client metadata documents (draft-ietf-oauth-client-id-metadata-document-00 §4).

use std::{net::IpAddr, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, header};
use serde_json::Value;

use crate::{
    app::App,
    encoding::json,
    host::{FetchError, FetchLimits, Reach, Timestamp},
    http::{has_json, list},
    jose::KeySet,
    oauth::{Client, DocumentError},
    types::ClientIdUrl,
};

/// Why a metadata document gives no client. The text is for the user.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DocumentFetchError {
    /// Too many documents are being fetched.
    #[error("Too many applications are being looked up. Try again in a moment.")]
    Busy,
    /// The document is not valid metadata.
    #[error("The application's metadata document cannot be used: {0}.")]
    Document(DocumentError),
    // The same text as for `Response`: the difference would tell what exists in the network of this server.
    #[error("The application's metadata document could not be fetched.")]
    OutOfReach,
    /// The response was not a document, or was too large, or came from an address that is not public.
    #[error("The application's metadata document could not be fetched.")]
    Response,
}

/// Fetches a document. Returns its client, and for how long it may be used.
pub(super) async fn fetch(
    app: &App,
    url: &ClientIdUrl,
    source: Option<IpAddr>,
) -> Result<(Client, Freshness), DocumentFetchError> {
    let response = get(app, url, source, LIMITS).await?;
    let client = Client::from_document(url, response.body(), &app.config.redirect_policy)
        .map_err(DocumentFetchError::Document)?;
    Ok((client, freshness(response.headers())))
}

/// Fetches the keys at a `jwks_uri`, under the same rules. Returns the JWK set, and for how long it may be used.
pub(super) async fn fetch_keys(
    app: &App,
    url: &ClientIdUrl,
    source: Option<IpAddr>,
) -> Result<(Value, Freshness), DocumentFetchError> {
    let response = get(app, url, source, FetchLimits { max_bytes: LONGEST_KEYS, ..LIMITS }).await?;
    let jwks = json(response.body(), MOST_KEY_VALUES).map_err(|_| DocumentFetchError::Response)?;
    KeySet::of_client(&jwks).ok_or(DocumentFetchError::Response)?;
    Ok((jwks, freshness(response.headers())))
}

/// Sends a request to a site that a client names, and returns the response if it has JSON.
async fn get(
    app: &App,
    url: &ClientIdUrl,
    source: Option<IpAddr>,
    limits: FetchLimits,
) -> Result<http::Response<Bytes>, DocumentFetchError> {
    let _permit = app.document_fetches.begin(source).ok_or(DocumentFetchError::Busy)?;
    let request = Request::builder()
        .method(Method::GET)
        .uri(url.as_str())
        .header(header::ACCEPT, "application/json")
        .body(Bytes::new())
        .map_err(|_| DocumentFetchError::Response)?;
    let response = app.host().http.fetch(request, limits).await.map_err(|error| {
        let is_out_of_reach =
            matches!(error, FetchError::Connection(_) | FetchError::Deadline | FetchError::Interrupted(_));
        // A stranger can name an address that does not respond, so this is a warning until one has responded.
        if is_out_of_reach && !app.document_fetches.has_response() {
            tracing::warn!(url = url.as_str(), %error, "{NO_WAY_OUT}");
        } else {
            tracing::info!(url = url.as_str(), %error, "a document of a client could not be fetched");
        }
        if is_out_of_reach { DocumentFetchError::OutOfReach } else { DocumentFetchError::Response }
    })?;
    app.document_fetches.note_response();
    // These statuses say nothing about the document.
    if response.status().is_server_error() || response.status() == StatusCode::TOO_MANY_REQUESTS {
        return Err(DocumentFetchError::OutOfReach);
    }
    // A redirect is not followed: the user sees the first URL, not its target.
    if response.status() != StatusCode::OK || !has_json(response.headers()) {
        return Err(DocumentFetchError::Response);
    }
    Ok(response)
}

/// For how long a response may be reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Freshness {
    pub(super) seconds: u64,
    /// Whether it may be used later while the origin cannot be reached (RFC 9111 §4.2.4).
    may_be_stale: bool,
}

/// The times until which a document is fresh, used stale, and stored.
pub(super) struct Lifetime {
    pub(super) fresh: Timestamp,
    pub(super) stale: Timestamp,
    /// If the client gets tokens with it, it is stored for longer. Until then an unauthenticated client can fill the storage.
    pub(super) stored: Timestamp,
}

impl Freshness {
    /// The lifetime of a document that was fetched at `now` and stays fresh for at least `least` seconds.
    pub(super) fn from(self, now: Timestamp, least: u64) -> Lifetime {
        let fresh = now.plus(self.seconds.max(least));
        let stale = if self.may_be_stale { fresh.plus(STALE) } else { fresh };
        Lifetime { fresh, stale, stored: fresh.min(now.plus(UNUSED)) }
    }
}

/// The freshness that a response allows a shared cache (RFC 9111 §5.2.2), a day at most.
fn freshness(headers: &HeaderMap) -> Freshness {
    let directives = list(headers, &header::CACHE_CONTROL).filter_map(|said| str::from_utf8(said).ok());
    let directives: Vec<_> = directives.collect();
    let says = |directive: &str| directives.iter().any(|said| said.eq_ignore_ascii_case(directive));
    if says("no-store") || says("no-cache") || says("private") {
        return Freshness { seconds: 0, may_be_stale: false };
    }
    let age = |directive: &str| {
        directives.iter().find_map(|said| {
            let (name, seconds) = said.split_once('=')?;
            name.eq_ignore_ascii_case(directive).then(|| seconds.trim_matches('"').parse().ok())?
        })
    };
    let shared: Option<u64> = age("s-maxage");
    let seconds = shared.or_else(|| age("max-age")).map_or(DEFAULT, |age| age.min(LONGEST));
    let may_be_stale = shared.is_none() && !says("must-revalidate") && !says("proxy-revalidate");
    Freshness { seconds, may_be_stale }
}

const NO_WAY_OUT: &str = "no client metadata document could be fetched yet: clients such as Claude Code and Codex cannot \
                          connect. Let this server reach the Internet on port 443, or set \
                          CLIENT_ID_METADATA_DOCUMENTS=off, so that clients register instead";

/// Bytes of the keys of a client.
const LONGEST_KEYS: usize = 64 * 1024;
/// JSON values in the keys of a client.
const MOST_KEY_VALUES: usize = 2048;
const LIMITS: FetchLimits =
    FetchLimits { deadline: Duration::from_secs(10), max_bytes: 5 * 1024, reach: Reach::PublicInternet };
/// Seconds of freshness of a response that does not state it.
const DEFAULT: u64 = 3600;
/// Seconds of freshness at most.
const LONGEST: u64 = 24 * 3600;
/// Seconds for which a document is stored until the client gets tokens: a login takes ten minutes at most.
const UNUSED: u64 = 600;
/// Seconds for which a stale document is used while the new one cannot be fetched.
const STALE: u64 = 24 * 3600;

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn document_freshness_is_a_day_at_most() {
        for (said, seconds, may_be_stale) in [
            (None, 3600, true),
            (Some("max-age=60"), 60, true),
            (Some("public, Max-Age=\"120\", immutable"), 120, true),
            (Some("max-age=99999999"), 24 * 3600, true),
            (Some("max-age=-1"), 3600, true),
            (Some("max-age=0"), 0, true),
            (Some("max-age=60, must-revalidate"), 60, false),
            (Some("Proxy-Revalidate, max-age=60"), 60, false),
            (Some("s-maxage=30, max-age=60"), 30, false),
            (Some("no-store, max-age=60"), 0, false),
            (Some("private, max-age=60"), 0, false),
            (Some("No-Cache"), 0, false),
        ] {
            let mut headers = HeaderMap::new();
            headers.extend(said.map(|said| (header::CACHE_CONTROL, HeaderValue::from_static(said))));
            assert_eq!(freshness(&headers), Freshness { seconds, may_be_stale }, "{said:?}");
        }
    }
}
