//! Requests to `PingOne`, with discovery and keys cached in this process.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use http::{StatusCode, header};
use serde_json::Value;
use tracing::Instrument as _;

use super::{
    PingOneError,
    breaker::{Breaker, Outcome},
    document::{Need, Published},
};
use crate::{
    config::Config,
    host::{FetchLimits, Host, Reach, Timestamp},
    metrics::{Stopwatch, outcome},
    oauth::{PingOneLogin, session_digest},
    oidc::{
        AccessTokenClaims, AccessTokenError, Authentication, CodeVerifier, Discovery, DiscoveryError,
        IdTokenError, KeySet, Proof, Request, Response, TokenError, TokenResponse, UserInfo, UserInfoError,
        VerifiedIdToken, clocks_differ, code_request, error_code, get, refresh_request, revocation_request,
        rotated_refresh_token,
    },
    retry,
    secret::Secret,
    trace,
    types::User,
};

/// The client of `PingOne` with its caches. They belong to one process; losing them costs a few requests.
#[derive(Debug, Default)]
pub(crate) struct PingOneClient {
    discovery: Published<Discovery>,
    keys: Published<KeySet>,
    breaker: Breaker,
    /// Whether the difference of the clocks was logged.
    clocks_differ: AtomicBool,
    /// Whether responses have a `Date`.
    has_dates: AtomicBool,
}

/// Why a refresh gave no access token.
#[derive(Debug)]
pub(crate) struct RefreshFailure {
    pub(crate) error: PingOneError,
    /// The refresh token that `PingOne` issued nevertheless. The old one is used up.
    pub(crate) rotated: Option<Secret<String>>,
    /// Seconds until the next request, as `PingOne` says.
    pub(crate) retry_after: Option<u64>,
}

/// The purpose of a request, in metrics.
#[derive(Clone, Copy, Debug, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub(super) enum Purpose {
    Code,
    Discovery,
    Keys,
    PushedRequest,
    Refresh,
    Revocation,
    UserInfo,
}

/// Verified tokens, and their user.
pub(crate) struct Authenticated {
    pub(crate) tokens: TokenResponse,
    pub(crate) access_token: AccessTokenClaims,
    pub(crate) login: PingOneLogin,
    pub(crate) user: User,
}

impl PingOneClient {
    /// The discovery document.
    pub(crate) async fn discovery(
        &self,
        host: &Host,
        config: &Config,
    ) -> Result<Arc<Discovery>, PingOneError> {
        let issuer = config.pingone.issuer.as_str();
        let fetch = async {
            let malformed = PingOneError::Discovery(DiscoveryError::Issuer);
            let request = Discovery::request(issuer).ok_or(malformed)?;
            let response = self.fetch(host, Purpose::Discovery, request, LIMITS).await?;
            Discovery::read(&response, issuer).map_err(PingOneError::Discovery)
        };
        self.discovery.get(host, Need::Fresh, fetch).await.map(|edition| edition.value)
    }

    /// Whether the discovery document and the keys were read, and may still be used.
    pub(crate) fn has_documents(&self, now: Timestamp) -> bool {
        self.discovery.is_usable(now) && self.keys.is_usable(now)
    }

    /// Reads the discovery document and the keys, unless they are cached.
    pub(crate) async fn read_documents(&self, host: &Host, config: &Config) -> Result<(), PingOneError> {
        self.discovery(host, config).await?;
        self.keys.get(host, Need::Fresh, self.published_keys(host, config)).await.map(|_| ())
    }

    /// Whether a refresh request may be sent, or the seconds until it may.
    pub(crate) fn admits_refresh(&self, now: Timestamp) -> Result<(), u64> {
        self.breaker.admit(now)
    }

    /// Exchanges a code. The caller verifies the tokens with [`PingOneClient::authenticate`].
    pub(crate) async fn exchange(
        &self,
        host: &Host,
        config: &Config,
        code: &Secret<String>,
        code_verifier: &CodeVerifier,
    ) -> Result<TokenResponse, PingOneError> {
        let discovery = self.discovery(host, config).await?;
        let callback = config.public_url.callback();
        let (endpoint, random) = (&discovery.token_endpoint, random(host));
        let proof = Proof { now: host.clock.now(), random: &random };
        let request = code_request(endpoint, &config.pingone, code, code_verifier, &callback, proof);
        let response = self.fetch(host, Purpose::Code, request, TOKEN_LIMITS).await;
        let tokens =
            response.and_then(|response| TokenResponse::read(&response).map_err(PingOneError::Token));
        // Recorded, but never blocked: users who log in are few and do not retry automatically.
        self.record(&tokens, None, host);
        tokens
    }

    /// Verifies the tokens that were issued for a code, and asks `UserInfo`.
    pub(crate) async fn authenticate(
        &self,
        host: &Host,
        config: &Config,
        tokens: TokenResponse,
        login: &Authentication,
        now: Timestamp,
    ) -> Result<Authenticated, PingOneError> {
        let discovery = self.discovery(host, config).await?;
        let id_token = self.id_token(host, config, &tokens, login, now).await?;
        let claims = self.access_token(host, config, tokens.access_token.expose(), now).await?;
        let request = UserInfo::request(&discovery.userinfo_endpoint, &tokens.access_token);
        let response = self.fetch(host, Purpose::UserInfo, request, LIMITS).await.unwrap_or_default();
        let info = match UserInfo::read(&response, id_token.subject()) {
            Ok(info) => Some(info),
            // The ID token identifies the user. UserInfo only adds claims.
            Err(error @ UserInfoError::Malformed) => {
                tracing::warn!(%error, "UserInfo is not used");
                None
            }
            Err(error @ UserInfoError::Subject) => return Err(PingOneError::UserInfo(error)),
        };
        let session = id_token.session().map(session_digest);
        let login = PingOneLogin { session, at: id_token.issued_at() };
        Ok(Authenticated { tokens, access_token: claims, login, user: id_token.into_user(info) })
    }

    /// Verifies the ID token of a login that only tells this server the user. The access token is for nothing.
    pub(crate) async fn identify(
        &self,
        host: &Host,
        config: &Config,
        tokens: &TokenResponse,
        login: &Authentication,
        now: Timestamp,
    ) -> Result<User, PingOneError> {
        Ok(self.id_token(host, config, tokens, login, now).await?.into_user(None))
    }

    async fn id_token(
        &self,
        host: &Host,
        config: &Config,
        tokens: &TokenResponse,
        login: &Authentication,
        now: Timestamp,
    ) -> Result<VerifiedIdToken, PingOneError> {
        let id_token = tokens.id_token.as_ref().ok_or(PingOneError::NoIdToken)?.expose();
        let access_token = tokens.access_token.expose();
        let verify = |keys: &KeySet| {
            VerifiedIdToken::verify(id_token, access_token, keys, &config.pingone, login, now)
        };
        let verified = self.with_keys(host, config, verify, IdTokenError::may_pass_with_other_keys).await?;
        verified.map_err(PingOneError::IdToken)
    }

    /// Requests new tokens. The caller stores the new refresh token before anything else can fail, and then verifies
    /// the access token.
    pub(crate) async fn refresh(
        &self,
        host: &Host,
        config: &Config,
        refresh_token: &Secret<String>,
    ) -> Result<TokenResponse, RefreshFailure> {
        let result = async {
            let endpoint = &self.discovery(host, config).await?.token_endpoint;
            let random = random(host);
            let proof = Proof { now: host.clock.now(), random: &random };
            let request = refresh_request(endpoint, &config.pingone, refresh_token.expose(), proof);
            self.fetch(host, Purpose::Refresh, request, REFRESH_LIMITS).await
        };
        let result = result.await;
        let response = result.as_ref().ok();
        let retry_after = response.and_then(|response| retry::retry_after(response, host.clock.now()));
        let tokens = result
            .as_ref()
            .map_err(PingOneError::clone)
            .and_then(|response| TokenResponse::read(response).map_err(PingOneError::Token));
        self.record(&tokens, retry_after, host);
        tokens.map_err(|error| RefreshFailure {
            error,
            rotated: response.and_then(rotated_refresh_token),
            retry_after,
        })
    }

    /// Revokes a refresh token, if `PingOne` has a revocation endpoint.
    pub(crate) async fn revoke(
        &self,
        host: &Host,
        config: &Config,
        refresh_token: &Secret<String>,
    ) -> Result<(), PingOneError> {
        let discovery = self.discovery(host, config).await?;
        let Some(endpoint) = &discovery.revocation_endpoint else { return Ok(()) };
        let random = random(host);
        let proof = Proof { now: host.clock.now(), random: &random };
        let request = revocation_request(endpoint, &config.pingone, refresh_token.expose(), proof);
        let status = self.fetch(host, Purpose::Revocation, request, TOKEN_LIMITS).await?.status();
        if status == StatusCode::UNAUTHORIZED {
            tracing::warn!(
                "PingOne refused the client authentication of a revocation: a token stays valid there"
            );
        }
        // Any other refusal is final (RFC 7009 §2.2.1).
        let again = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
        if again { Err(PingOneError::Token(TokenError::Unavailable)) } else { Ok(()) }
    }

    /// Verifies an access token that was just issued. Fetches keys if necessary.
    pub(crate) async fn access_token(
        &self,
        host: &Host,
        config: &Config,
        token: &str,
        now: Timestamp,
    ) -> Result<AccessTokenClaims, PingOneError> {
        let verify = |keys: &KeySet| AccessTokenClaims::verify(token, keys, config, now);
        let other_keys_may_help = AccessTokenError::may_pass_with_other_keys;
        let verified = self.with_keys(host, config, verify, other_keys_may_help).await?;
        let claims = verified.map_err(PingOneError::AccessToken)?;
        if let Some(issued_at) = claims.issued_at.filter(|_| !self.has_dates.load(Ordering::Relaxed)) {
            self.compare_clocks(now, issued_at);
        }
        Ok(claims)
    }

    /// The claims of an access token, with the cached keys alone. `None`: other keys are necessary.
    pub(crate) fn access_token_at_once(
        &self,
        config: &Config,
        token: &str,
        now: Timestamp,
    ) -> Option<Result<AccessTokenClaims, PingOneError>> {
        let keys = self.keys.fresh(now)?;
        match AccessTokenClaims::verify(token, &keys.value, config, now) {
            Err(error) if error.may_pass_with_other_keys() => None,
            verified => Some(verified.map_err(PingOneError::AccessToken)),
        }
    }

    /// Runs `verify` with the cached keys, and again with newer ones if they may change the result (OpenID Connect Core
    /// §10.1.1).
    async fn with_keys<T, E>(
        &self,
        host: &Host,
        config: &Config,
        verify: impl Fn(&KeySet) -> Result<T, E>,
        other_keys_may_help: impl Fn(&E) -> bool,
    ) -> Result<Result<T, E>, PingOneError> {
        let known = match self.keys.fresh(host.clock.now()) {
            Some(known) => known,
            None => self.keys.get(host, Need::Fresh, self.published_keys(host, config)).await?,
        };
        let result = verify(&known.value);
        if !result.as_ref().is_err_and(&other_keys_may_help) {
            return Ok(result);
        }
        match self.keys.get(host, known.superseded(), self.published_keys(host, config)).await {
            Ok(newer) => Ok(verify(&newer.value)),
            Err(error) => {
                tracing::warn!(%error, "newer keys of PingOne cannot be fetched at the moment");
                Ok(result)
            }
        }
    }

    /// Records whether the token endpoint works.
    fn record(&self, tokens: &Result<TokenResponse, PingOneError>, retry_after: Option<u64>, host: &Host) {
        let outcome = match tokens {
            // A refusal of this request does not concern other requests.
            Ok(_) | Err(PingOneError::Token(TokenError::Grant | TokenError::Refused(400 | 413))) => {
                Outcome::Works
            }
            Err(_) => Outcome::Fails { retry_after },
        };
        self.breaker.record(outcome, host.clock.now(), &|buffer| host.random.fill(buffer));
    }

    async fn published_keys(&self, host: &Host, config: &Config) -> Result<KeySet, PingOneError> {
        let discovery = self.discovery(host, config).await?;
        let response = self.fetch(host, Purpose::Keys, get(&discovery.jwks_uri), LIMITS).await?;
        KeySet::read(&response).ok_or(PingOneError::Keys)
    }

    /// Sends a request to `PingOne`. An error is logged with the URL, without its query.
    pub(super) async fn fetch(
        &self,
        host: &Host,
        purpose: Purpose,
        request: Request,
        limits: FetchLimits,
    ) -> Result<Response, PingOneError> {
        let method = request.method().clone();
        let url = request.uri().to_string().split('?').next().unwrap_or_default().to_owned();
        let stopwatch = Stopwatch::start();
        let span = trace::outgoing("pingone", purpose.into(), &request);
        let response = host.http.fetch(request, limits).instrument(span.clone()).await;
        stopwatch.pingone_request(purpose.into(), outcome(&response));
        trace::fetched(&span, &response);
        let response = response.map_err(|error| {
            tracing::warn!(%method, url, %error, "a request to PingOne failed");
            PingOneError::Fetch(error)
        })?;
        let (status, now) = (response.status(), host.clock.now());
        // The date of a cached response is in the past (RFC 9111 §5.1).
        let dated =
            response.headers().get(header::DATE).filter(|_| !response.headers().contains_key(header::AGE));
        if let Some(date) = dated.and_then(retry::http_date) {
            self.has_dates.store(true, Ordering::Relaxed);
            self.compare_clocks(now, date);
        }
        if !status.is_success() {
            let retry_after = retry::retry_after(&response, now);
            let status = status.as_u16();
            let body: Value = serde_json::from_slice(response.body()).unwrap_or_default();
            let said = body["error"].as_str().and_then(error_code);
            tracing::warn!(%method, url, status, said, retry_after, "PingOne responded with an error");
        }
        Ok(response)
    }

    /// Logs a difference between the clock of this host and that of `PingOne`, once until they agree again.
    fn compare_clocks(&self, ours: Timestamp, theirs: Timestamp) {
        let ahead = ours.ahead_of(theirs);
        let differ = ahead.unsigned_abs() > TOLERATED;
        if self.clocks_differ.swap(differ, Ordering::Relaxed) != differ && differ {
            tracing::warn!(seconds = ahead, "{}", clocks_differ(ahead));
        }
    }
}

/// The randomness of `host`, as the pure modules take it.
pub(super) fn random(host: &Host) -> impl Fn(&mut [u8]) + Sync + '_ {
    |buffer| host.random.fill(buffer)
}

/// A login may send six requests, one after the other, while the user waits.
pub(super) const LIMITS: FetchLimits =
    FetchLimits { deadline: Duration::from_secs(5), max_bytes: 256 * 1024, reach: Reach::Anywhere };
/// A request with a code has longer: a second attempt may find the code used up.
const TOKEN_LIMITS: FetchLimits = FetchLimits { deadline: Duration::from_secs(10), ..LIMITS };
/// A refresh has almost as long as its lease: without the response, the new refresh token is lost.
const REFRESH_LIMITS: FetchLimits = FetchLimits { deadline: Duration::from_secs(38), ..LIMITS };
/// Seconds by which the clocks may differ without a log entry.
const TOLERATED: u64 = 30;
