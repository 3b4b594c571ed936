//! A network without sockets: a router for each origin.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

use axum::{Router, body::Body};
use bytes::Bytes;
use http_body_util::BodyExt as _;
use tower_service::Service as _;

/// The routers by origin, and a record of the exchanges. Cheap to clone; clones share everything.
#[derive(Clone, Default)]
pub struct Network(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    routers: BTreeMap<String, Router>,
    stalled: BTreeSet<String>,
    exchanges: Vec<Exchange>,
}

/// A request and its response.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// The request, with an absolute URI.
    pub request: http::Request<Bytes>,
    /// The response.
    pub response: http::Response<Bytes>,
}

impl Network {
    /// Serves `origin` by `router`.
    pub fn serve(&self, origin: &str, router: Router) {
        self.with(|inner| inner.routers.insert(origin.to_owned(), router));
    }

    /// Stops serving `origin`. Further requests to it fail.
    pub fn unplug(&self, origin: &str) {
        self.with(|inner| inner.routers.remove(origin));
    }

    /// Makes a host in memory find no response of `origin` in time.
    pub fn stall(&self, origin: &str) {
        self.with(|inner| inner.stalled.insert(origin.to_owned()));
    }

    /// Whether the origin of a URI gives no response in time.
    pub(crate) fn is_stalled(&self, uri: &http::Uri) -> bool {
        let uri = uri.to_string();
        self.with(|inner| inner.stalled.iter().any(|origin| uri.starts_with(origin)))
    }

    /// All exchanges so far, in the order of their responses.
    pub fn exchanges(&self) -> Vec<Exchange> {
        self.with(|inner| inner.exchanges.clone())
    }

    /// Sends a request to the router for the origin of its URI, and reads the whole response.
    pub async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, String> {
        let sent = request.clone();
        let (parts, body) = self.open(request).await?.into_parts();
        let body = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
        let response = http::Response::from_parts(parts, body);
        self.with(|inner| inner.exchanges.push(Exchange { request: sent, response: response.clone() }));
        Ok(response)
    }

    /// Sends a request and returns the response with a body that may still be streaming. The exchange is not recorded.
    pub async fn open(&self, request: http::Request<Bytes>) -> Result<http::Response<Body>, String> {
        let uri = request.uri().clone();
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(format!("{uri} is not absolute"));
        };
        let origin = format!("{scheme}://{authority}");
        let Some(mut router) = self.with(|inner| inner.routers.get(&origin).cloned()) else {
            return Err(format!("connection to {origin} refused"));
        };
        let (mut parts, body) = request.into_parts();
        let path = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        parts.uri = path.parse().map_err(|_| format!("{path} is not a path"))?;
        if let Ok(host) = http::HeaderValue::try_from(authority.as_str()) {
            parts.headers.entry(http::header::HOST).or_insert(host);
        }
        let Ok(response) = router.call(http::Request::from_parts(parts, Body::from(body))).await;
        Ok(response)
    }

    fn with<T>(&self, act: impl FnOnce(&mut Inner) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
