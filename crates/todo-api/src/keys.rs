//! The issuer's signing keys, fetched when a token needs an unknown one.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{Request, StatusCode, header};
use jsonwebtoken::DecodingKey;
use serde::Deserialize;
use url::Url;

use crate::{
    backend::Backend,
    config::{Config, is_secure},
};

/// A cache of the issuer's keys by `kid`. A request never waits for the fetch of another request: on Workers, that
/// could hang forever.
#[derive(Default)]
pub(crate) struct Keys(Mutex<Cache>);

/// Why a key was not found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyError {
    /// The issuer's keys cannot be fetched at the moment.
    Unavailable,
    /// The issuer does not publish a key with this `kid`.
    Unknown,
}

impl Keys {
    /// The key with this `kid`, fetched if needed.
    pub(crate) async fn find(
        &self,
        kid: &str,
        config: &Config,
        backend: &dyn Backend,
        now: u64,
    ) -> Result<DecodingKey, KeyError> {
        let step = self.cache().step(kid, now);
        match step {
            Step::Done(result) => result,
            Step::Fetch => {
                let fetched = fetch(config, backend).await;
                if let Err(error) = &fetched {
                    tracing::error!(%error, "cannot fetch the keys of the issuer");
                }
                let mut cache = self.cache();
                cache.fetched(fetched.ok(), now);
                cache.lookup(kid)
            }
        }
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        // The cache is consistent even if a holder of the lock panicked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The fetched keys, and when the next fetch may be.
#[derive(Default)]
struct Cache {
    keys: Option<Arc<KeySet>>,
    fetched_at: u64,
    /// The earliest time of the next fetch while there are keys.
    refetch_at: u64,
    /// The earliest time of the next fetch while there are no keys.
    retry_at: u64,
}

enum Step {
    Done(Result<DecodingKey, KeyError>),
    Fetch,
}

impl Cache {
    fn step(&mut self, kid: &str, now: u64) -> Step {
        let age = now.saturating_sub(self.fetched_at);
        if age >= MAX_AGE {
            self.keys = None;
        }
        let Some(keys) = &self.keys else {
            return if now < self.retry_at { Step::Done(Err(KeyError::Unavailable)) } else { Step::Fetch };
        };
        if (age >= FRESH || !keys.contains_key(kid)) && now >= self.refetch_at {
            self.refetch_at = now.saturating_add(REFETCH_INTERVAL);
            return Step::Fetch;
        }
        Step::Done(self.lookup(kid))
    }

    fn fetched(&mut self, keys: Option<KeySet>, now: u64) {
        match keys {
            Some(keys) => {
                self.keys = Some(Arc::new(keys));
                self.fetched_at = now;
            }
            None => self.retry_at = now.saturating_add(RETRY_INTERVAL),
        }
    }

    fn lookup(&self, kid: &str) -> Result<DecodingKey, KeyError> {
        let keys = self.keys.as_ref().ok_or(KeyError::Unavailable)?;
        keys.get(kid).cloned().ok_or(KeyError::Unknown)
    }
}

type KeySet = HashMap<String, DecodingKey>;

/// Fetches the discovery document, then the keys (OpenID Connect Discovery §4; RFC 7517 §5).
async fn fetch(config: &Config, backend: &dyn Backend) -> Result<KeySet, FetchError> {
    let discovery = format!("{}/.well-known/openid-configuration", config.issuer.trim_end_matches('/'));
    let provider: ProviderMetadata =
        serde_json::from_slice(&get(backend, &discovery).await?).map_err(|_| FetchError::Discovery)?;
    // OpenID Connect Discovery §4.3.
    if provider.issuer != config.issuer {
        return Err(FetchError::Issuer);
    }
    let jwks_uri = Url::parse(&provider.jwks_uri).map_err(|_| FetchError::JwksUri)?;
    if !is_secure(&jwks_uri) {
        return Err(FetchError::JwksUri);
    }
    parse(&get(backend, jwks_uri.as_str()).await?)
}

async fn get(backend: &dyn Backend, url: &str) -> Result<Bytes, FetchError> {
    let request = Request::get(url)
        .header(header::ACCEPT, "application/json")
        .body(Bytes::new())
        .map_err(|error| FetchError::Request(error.to_string()))?;
    let response = backend.fetch(request).await.map_err(FetchError::Request)?;
    if response.status() != StatusCode::OK {
        return Err(FetchError::Status(response.status()));
    }
    Ok(response.into_body())
}

/// The keys of a set that can sign access tokens. A set may have keys for other purposes, which are ignored.
fn parse(jwks: &[u8]) -> Result<KeySet, FetchError> {
    let set: JwkSet = serde_json::from_slice(jwks).map_err(|_| FetchError::Jwks)?;
    let keys: KeySet = set
        .keys
        .into_iter()
        .filter_map(|jwk| serde_json::from_value(jwk).ok())
        .filter_map(signing_key)
        .collect();
    if keys.is_empty() { Err(FetchError::Jwks) } else { Ok(keys) }
}

fn signing_key(jwk: RsaJwk) -> Option<(String, DecodingKey)> {
    let RsaJwk { kty, r#use, alg, kid, n, e } = jwk;
    // PingOne's keys have no `alg`.
    let signs =
        kty == "RSA" && r#use.is_none_or(|r#use| r#use == "sig") && alg.is_none_or(|alg| alg == "RS256");
    let modulus = URL_SAFE_NO_PAD.decode(n).ok()?;
    let exponent = URL_SAFE_NO_PAD.decode(e).ok()?;
    let bytes = modulus.iter().skip_while(|byte| **byte == 0).count();
    (signs && bytes >= MIN_MODULUS_BYTES)
        .then(|| (kid, DecodingKey::from_rsa_raw_components(&modulus, &exponent)))
}

#[derive(Deserialize)]
struct ProviderMetadata {
    issuer: String,
    jwks_uri: String,
}

#[derive(Deserialize)]
struct JwkSet {
    keys: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct RsaJwk {
    kty: String,
    r#use: Option<String>,
    alg: Option<String>,
    kid: String,
    n: String,
    e: String,
}

#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error("the discovery document is malformed")]
    Discovery,
    #[error("the discovery document names another issuer than PINGONE_ISSUER")]
    Issuer,
    #[error("the key set has no usable key")]
    Jwks,
    #[error("`jwks_uri` of the discovery document is not an https:// URL")]
    JwksUri,
    #[error("{0}")]
    Request(String),
    #[error("the issuer responded with status {0}")]
    Status(StatusCode),
}

/// Seconds after which the keys are fetched again, so that withdrawn keys are dropped.
const FRESH: u64 = 60 * 60;

/// Seconds after which keys are dropped if no newer ones could be fetched.
const MAX_AGE: u64 = 24 * 60 * 60;

/// Seconds between fetches for unknown keys: unauthenticated clients can send tokens with a made-up `kid`.
const REFETCH_INTERVAL: u64 = 30;

/// Seconds between attempts while fetches fail.
const RETRY_INTERVAL: u64 = 5;

/// RFC 7518 §3.3: 2048 bits or more.
const MIN_MODULUS_BYTES: usize = 256;
