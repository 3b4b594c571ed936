//! Which client is meant: one that registered, or one whose `client_id` is the URL of its metadata document.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};

use crate::{
    host::{FetchError, FetchLimits, Reach, StoreError, Timestamp},
    http::{has_json, list},
    oauth::{Client, ClientIdUrl, ClientIdUrlError, DocumentError},
    records::{self, Document},
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
    // The same words: a stranger must not learn what is to be found in our network, and what is not.
    #[error("The application's metadata document could not be fetched.")]
    OutOfReach,
    #[error("Too many applications are being looked up just now. Try again in a moment.")]
    Busy,
}

impl Unknown {
    /// What happened, as the title of a page.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::NotRegistered => "This application is not known here",
            Self::Url(_) | Self::Document(_) => "This application cannot be used here",
            // The first two must not be told apart.
            Self::Fetch | Self::OutOfReach | Self::Busy => "This application cannot be looked up now",
        }
    }

    /// The advice to the user.
    pub(crate) const fn advice(self) -> &'static str {
        match self {
            Self::NotRegistered => {
                "Remove and add the server again in your application, so that it registers anew. Nothing was sent to the \
                 application."
            }
            Self::Url(_) | Self::Document(_) => {
                "Only the publisher of the application can mend that. Nothing was sent to the application."
            }
            // These two must not be told apart.
            Self::Fetch | Self::OutOfReach => {
                "Start the connection again from the application in a minute. If that does not help, ask the operator of \
                 this server whether it may fetch such documents. Nothing was sent to the application."
            }
            Self::Busy => {
                "Start the connection again from the application. Nothing was sent to the application."
            }
        }
    }
}

/// The client of an authorization request: one that registered, or that its document describes. `source` is the remote
/// address whose fetches are counted, if there is one.
pub(crate) async fn client(
    server: &Server,
    id: &str,
    source: Option<IpAddr>,
    now: Timestamp,
) -> Result<Result<Client, Unknown>, StoreError> {
    if !server.config.client_id_metadata_documents || !ClientIdUrl::is_meant(id) {
        return Ok(records::authorizing_client(server.host(), id, now).await?.ok_or(Unknown::NotRegistered));
    }
    let url = match ClientIdUrl::parse(id) {
        Ok(url) => url,
        Err(error) => return Ok(Err(Unknown::Url(error))),
    };
    let kept = records::document(server.host(), &url, now).await?;
    let stale = match kept {
        Some(Document { client, fresh_until, .. }) if fresh_until > now => return Ok(Ok(client)),
        Some(Document { client, .. }) => Some(client),
        None => None,
    };
    match described(server, &url, source, now).await {
        Ok((client, Freshness { seconds, may_be_stale })) => {
            let fresh_until = now.plus(seconds);
            let stale_until = if may_be_stale { fresh_until.plus(STALE) } else { fresh_until };
            let document = Document { client: client.clone(), fresh_until, stale_until };
            let document = (seconds > 0).then_some(document);
            keep(server, &url, document, stale.is_some(), now).await;
            Ok(Ok(client))
        }
        Err(unknown) => {
            tracing::info!(client = url.as_str(), %unknown, "a client metadata document was refused");
            // Who cannot be asked has not changed their mind (RFC 9111 §4.2.4). Who answers something else has.
            if matches!(unknown, Unknown::Busy | Unknown::OutOfReach) {
                return Ok(stale.ok_or(unknown));
            }
            keep(server, &url, None, stale.is_some(), now).await;
            Ok(Err(unknown))
        }
    }
}

/// Keeps a document that may be used again, or forgets the one that was kept. If that does not work, it is fetched again.
async fn keep(
    server: &Server,
    url: &ClientIdUrl,
    document: Option<Document>,
    was_kept: bool,
    now: Timestamp,
) {
    let host = server.host();
    let kept = match document {
        // For longer once a person has logged in with it: what strangers publish is not collected.
        Some(document) => records::put_document(host, url, &document, document.fresh_until).await,
        None if was_kept => records::forget_document(host, url, now).await,
        None => Ok(()),
    };
    if let Err(error) = kept {
        tracing::warn!(client = url.as_str(), %error, "a client metadata document could not be kept");
    }
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

/// Fetches a document when it is its turn, and how long it may be used.
async fn described(
    server: &Server,
    url: &ClientIdUrl,
    source: Option<IpAddr>,
    now: Timestamp,
) -> Result<(Client, Freshness), Unknown> {
    let _turn = server.documents.turn(source).ok_or(Unknown::Busy)?;
    let request = Request::builder()
        .method(Method::GET)
        .uri(url.as_str())
        .header(header::ACCEPT, "application/json")
        .body(Bytes::new())
        .map_err(|_| Unknown::Fetch)?;
    let answer = server.host().fetch(request, LIMITS).await.map_err(|error| {
        tracing::info!(client = url.as_str(), %error, "a client metadata document could not be fetched");
        match error {
            FetchError::Connection(_) | FetchError::Deadline => Unknown::OutOfReach,
            FetchError::NotPublic | FetchError::TooLarge | FetchError::TooMany => Unknown::Fetch,
        }
    })?;
    // Who is busy or broken says nothing of the document.
    if answer.status().is_server_error() || answer.status() == StatusCode::TOO_MANY_REQUESTS {
        return Err(Unknown::OutOfReach);
    }
    // A redirect is not followed: its target is not what the person is shown.
    if answer.status() != StatusCode::OK || !has_json(answer.headers()) {
        return Err(Unknown::Fetch);
    }
    let private_use = &server.config.private_use_redirect_uris;
    let client = Client::from_document(url, answer.body(), private_use, now).map_err(Unknown::Document)?;
    Ok((client, freshness(answer.headers())))
}

/// How long an answer may be used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Freshness {
    seconds: u64,
    /// Whether it may also be used later, while nobody can be asked (RFC 9111 §4.2.4).
    may_be_stale: bool,
}

/// What an answer says of that to a cache that is shared (RFC 9111 §5.2.2), within bounds of ours.
fn freshness(headers: &http::HeaderMap) -> Freshness {
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
    let seconds = shared.or_else(|| age("max-age")).map_or(USUAL, |age| age.min(LONGEST));
    let may_be_stale = shared.is_none() && !says("must-revalidate") && !says("proxy-revalidate");
    Freshness { seconds, may_be_stale }
}

/// The documents that this process is fetching, by who caused it. Some addresses take long to answer, and some are made
/// for that: nobody can take the places of all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Documents(Arc<Mutex<Vec<Option<IpAddr>>>>);

impl Documents {
    /// A turn for `source`, which lasts until it is dropped.
    fn turn(&self, source: Option<IpAddr>) -> Option<Turn> {
        let mut sources = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let same = source.map_or(0, |_| sources.iter().filter(|other| **other == source).count());
        (sources.len() < AT_A_TIME && same < OF_ONE_SOURCE).then(|| {
            sources.push(source);
            Turn { all: self.clone(), source }
        })
    }
}

struct Turn {
    all: Documents,
    source: Option<IpAddr>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut sources = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = sources.iter().position(|source| *source == self.source) {
            sources.swap_remove(place);
        }
    }
}

const LIMITS: FetchLimits =
    FetchLimits { deadline: Duration::from_secs(10), max_bytes: 5 * 1024, reach: Reach::PublicInternet };
const AT_A_TIME: usize = 64;
const OF_ONE_SOURCE: usize = 4;
/// Seconds.
const USUAL: u64 = 3600;
const LONGEST: u64 = 24 * 3600;
/// Seconds for which a document is used beyond its freshness while it is out of reach.
const STALE: u64 = 24 * 3600;

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};

    use super::*;

    #[test]
    fn a_document_is_fresh_for_as_long_as_it_says_and_a_day_at_most() {
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

    #[test]
    fn no_more_than_so_many_documents_are_fetched_at_a_time_and_fewer_for_one_stranger() {
        let documents = Documents::default();
        let one = Some([192, 0, 2, 1].into());
        let of_one: Vec<_> = (0..5).filter_map(|_| documents.turn(one)).collect();
        assert_eq!(of_one.len(), 4);
        let of_others: Vec<_> =
            (0..=255).filter_map(|n| documents.turn(Some([198, 51, 100, n].into()))).collect();
        assert_eq!((of_others.len(), documents.turn(None).is_none()), (60, true));
        drop(of_one);
        assert!(documents.turn(one).is_some() && documents.turn(None).is_some());
    }
}
