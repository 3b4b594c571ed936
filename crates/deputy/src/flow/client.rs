//! Which client is meant: one that registered, or one whose `client_id` is the URL of its metadata document.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};

use crate::{
    host::{FetchLimits, Reach, StoreError, Timestamp},
    http::has_json,
    oauth::{Client, ClientIdUrl, ClientIdUrlError, DocumentError},
    records,
    server::Server,
};

/// Why a client is not known. The text is for the person who was sent here by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unknown {
    #[error("This application is not registered here, or its registration has expired.")]
    NotRegistered,
    #[error("{0}.")]
    Url(ClientIdUrlError),
    #[error("The application's metadata document cannot be used: {0}.")]
    Document(DocumentError),
    #[error("The application's metadata document could not be fetched.")]
    Fetch,
    #[error("Too many applications are being looked up just now. Try again in a moment.")]
    Busy,
}

/// The client with this id, and its document if that is what it has.
pub(crate) async fn client(
    server: &Server,
    id: &str,
    now: Timestamp,
) -> Result<Result<Client, Unknown>, StoreError> {
    if !server.config.client_id_metadata_documents || !ClientIdUrl::is_meant(id) {
        return Ok(records::client(server.host(), id, now).await?.ok_or(Unknown::NotRegistered));
    }
    let url = match ClientIdUrl::parse(id) {
        Ok(url) => url,
        Err(error) => return Ok(Err(Unknown::Url(error))),
    };
    if let Some(client) = records::document(server.host(), &url, now).await? {
        return Ok(Ok(client));
    }
    let Some(_turn) = server.documents.turn() else { return Ok(Err(Unknown::Busy)) };
    let (client, fresh) = match fetch(server, &url, now).await {
        Ok(fetched) => fetched,
        Err(unknown) => {
            tracing::info!(client = url.as_str(), %unknown, "a client metadata document was refused");
            return Ok(Err(unknown));
        }
    };
    if fresh > 0 {
        records::put_document(server.host(), &url, &client, now.plus(fresh)).await?;
    }
    Ok(Ok(client))
}

/// The client with this id where its document does not matter.
pub(crate) async fn authenticating(
    server: &Server,
    id: &str,
    now: Timestamp,
) -> Result<Option<Client>, StoreError> {
    match ClientIdUrl::parse(id) {
        Ok(url) if server.config.client_id_metadata_documents => Ok(Some(Client::at_url(&url, now))),
        _ => records::client(server.host(), id, now).await,
    }
}

/// Fetches a document. Gives for how many seconds it is fresh, too.
async fn fetch(server: &Server, url: &ClientIdUrl, now: Timestamp) -> Result<(Client, u64), Unknown> {
    let request = Request::builder()
        .method(Method::GET)
        .uri(url.as_str())
        .header(header::ACCEPT, "application/json")
        .body(Bytes::new())
        .map_err(|_| Unknown::Fetch)?;
    let answer = server.host().fetch(request, LIMITS).await.map_err(|error| {
        tracing::info!(client = url.as_str(), %error, "a client metadata document could not be fetched");
        Unknown::Fetch
    })?;
    // A redirect is not followed: its target is not what the person is shown.
    if answer.status() != StatusCode::OK || !has_json(answer.headers()) {
        return Err(Unknown::Fetch);
    }
    let private_use = &server.config.private_use_redirect_uris;
    let client = Client::from_document(url, answer.body(), private_use, now).map_err(Unknown::Document)?;
    Ok((client, freshness(answer.headers())))
}

/// Seconds for which an answer may be used again (RFC 9111 §5.2), within bounds of ours.
fn freshness(headers: &http::HeaderMap) -> u64 {
    let values = headers.get_all(header::CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let directives: Vec<_> = values.flat_map(|value| value.split(',')).map(str::trim).collect();
    let says = |directive: &str| directives.iter().any(|said| said.eq_ignore_ascii_case(directive));
    if says("no-store") || says("no-cache") {
        return 0;
    }
    let age = directives.iter().find_map(|said| {
        let (name, seconds) = said.split_once('=')?;
        name.eq_ignore_ascii_case("max-age").then(|| seconds.trim_matches('"').parse().ok())?
    });
    age.map_or(USUAL, |age: u64| age.min(LONGEST))
}

/// How many documents this process fetches at a time.
#[derive(Debug, Default)]
pub(crate) struct Documents(std::sync::Arc<()>);

impl Documents {
    /// A turn, which lasts until it is dropped.
    fn turn(&self) -> Option<std::sync::Arc<()>> {
        let turn = std::sync::Arc::clone(&self.0);
        (std::sync::Arc::strong_count(&turn) <= AT_A_TIME + 1).then_some(turn)
    }
}

const LIMITS: FetchLimits =
    FetchLimits { deadline: Duration::from_secs(10), max_bytes: 5 * 1024, reach: Reach::PublicInternet };
const AT_A_TIME: usize = 16;
/// Seconds.
const USUAL: u64 = 3600;
const LONGEST: u64 = 24 * 3600;

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};

    use super::*;

    #[test]
    fn a_document_is_fresh_for_as_long_as_it_says_and_a_day_at_most() {
        for (said, seconds) in [
            (None, 3600),
            (Some("max-age=60"), 60),
            (Some("public, Max-Age=\"120\", immutable"), 120),
            (Some("max-age=99999999"), 24 * 3600),
            (Some("max-age=-1"), 3600),
            (Some("max-age=0"), 0),
            (Some("no-store, max-age=60"), 0),
            (Some("No-Cache"), 0),
        ] {
            let mut headers = HeaderMap::new();
            headers.extend(said.map(|said| (header::CACHE_CONTROL, HeaderValue::from_static(said))));
            assert_eq!(freshness(&headers), seconds, "{said:?}");
        }
    }

    #[test]
    fn no_more_than_sixteen_documents_are_fetched_at_a_time() {
        let documents = Documents::default();
        let turns: Vec<_> = (0..16).filter_map(|_| documents.turn()).collect();
        assert_eq!((turns.len(), documents.turn().is_none()), (16, true));
        drop(turns);
        assert!(documents.turn().is_some());
    }
}
