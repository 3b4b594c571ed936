//! The way to the API in a person's name: their access token, renewed by one request at a time.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use futures_channel::oneshot;
use http::{HeaderValue, StatusCode, header};
use url::Url;

use super::{issue::upstream_tokens, provider::ProviderError, revoke::give_back};
use crate::{
    host::{BoxFuture, FetchError, FetchLimits, GrantId, Reach, StoreError, Timestamp},
    limits::ApiAnswers,
    mcp::{Api, ApiError, ApiToken},
    oauth::{Grant, UpstreamTokens},
    oidc::TokenError,
    records,
    seal::{Key, random_bytes},
    secret::Secret,
    server::Server,
};

/// When to renew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Renewal {
    /// When the token has a minute or less to live.
    IfExpiring,
    /// When it is still the one of this generation: the API has refused it.
    IfGeneration(u32),
}

/// The tokens of `PingOne` in a grant, renewed if `renewal` says so, and their generation.
pub(super) async fn fresh(
    server: &Server,
    id: GrantId,
    key: &Key,
    renewal: Renewal,
) -> Result<(UpstreamTokens, u32), ApiError> {
    let mut waited_for = None;
    for _ in 0..WAITS {
        let now = server.now();
        let (grant, version) = records::grant(server.host(), id, now).await.map_err(storage)?.ok_or(ENDED)?;
        let generation = grant.upstream.generation;
        let tokens = grant.open_upstream(key).ok_or(ENDED)?;
        let wanted = match renewal {
            Renewal::IfExpiring => tokens.expires_at <= now.plus(EARLY),
            Renewal::IfGeneration(refused) => generation == refused,
        };
        if !wanted {
            return Ok((tokens, generation));
        }
        let usable = renewal == Renewal::IfExpiring && tokens.expires_at > now;
        if !grant.upstream.is_refreshable() {
            return if usable { Ok((tokens, generation)) } else { Err(ENDED) };
        }
        if grant.upstream.is_leased(now) {
            waited_for = Some(generation);
            server.host().sleep(WAIT).await;
            continue;
        }
        // Who waited for this very renewal, and it failed, does not try it once more.
        if waited_for == Some(generation) {
            return if usable { Ok((tokens, generation)) } else { Err(ApiError::Unavailable) };
        }
        let lease: [u8; 16] = random_bytes(&server.random());
        let Ok(leased) = grant.begin_upstream_refresh(lease, now) else { continue };
        if !records::replace_grant(server.host(), &leased, Some(version), now).await.map_err(storage)? {
            continue;
        }
        match renew(server, id, key, lease, tokens).await {
            Err(ApiError::Unavailable) if usable => waited_for = Some(generation),
            Err(error) => return Err(error),
            Ok(()) => {}
        }
    }
    Err(ApiError::Unavailable)
}

/// Renews under a lease, to the end even if this request is dropped: `PingOne` has rotated the refresh token by then.
async fn renew(
    server: &Server,
    id: GrantId,
    key: &Key,
    lease: [u8; 16],
    tokens: UpstreamTokens,
) -> Result<(), ApiError> {
    let (done, wait) = oneshot::channel();
    let (task, key) = (server.clone(), key.clone());
    server.host().detach(Box::pin(async move {
        // Nobody may be waiting any more.
        let _ = done.send(renewal(&task, id, &key, lease, tokens).await);
    }));
    // A host that is shutting down drops the work; the lease runs out by itself.
    wait.await.unwrap_or(Err(ApiError::Unavailable))
}

async fn renewal(
    server: &Server,
    id: GrantId,
    key: &Key,
    lease: [u8; 16],
    old: UpstreamTokens,
) -> Result<(), ApiError> {
    let refresh_token = old.refresh_token.ok_or(ENDED)?;
    let response = server.provider.refresh(server.host(), &server.config, &refresh_token).await;
    let mut response = match response {
        Ok(response) => response,
        Err(ProviderError::Token(TokenError::Grant)) => {
            return end(server, id, "PingOne ended the login", None).await;
        }
        Err(error) => {
            tracing::warn!(grant = ?id, %error, "the tokens of PingOne could not be renewed");
            settle(server, id, |grant| grant.abandon_upstream_refresh(lease)).await.map_err(storage)?;
            return Err(ApiError::Unavailable);
        }
    };
    // PingOne rotates; a provider that does not expects the old one again.
    response.refresh_token.get_or_insert(refresh_token);
    let now = server.now();
    let checked = server
        .provider
        .access_token(server.host(), &server.config, response.access_token.expose(), now)
        .await;
    let (tokens, result) = match checked {
        Ok(claims) if claims.sub != old.subject => {
            let reason = "PingOne renewed the token for another person";
            return end(server, id, reason, response.refresh_token).await;
        }
        Ok(claims) => (upstream_tokens(response, claims.sub, claims.expires_at, now), Ok(())),
        // The keys cannot be had just now. The rotated refresh token must be kept; the access token waits for nothing.
        Err(error) if error.is_transient() => {
            tracing::warn!(grant = ?id, %error, "a renewed token could not be checked");
            (upstream_tokens(response, old.subject, now, now), Err(ApiError::Unavailable))
        }
        Err(error) => {
            tracing::error!(grant = ?id, %error, "a renewed token is not for the API");
            let reason = "PingOne issued a token that is not for the API";
            return end(server, id, reason, response.refresh_token).await;
        }
    };
    let finish = |grant: Grant| grant.finish_upstream_refresh(lease, &tokens, key, &server.random());
    if !settle(server, id, finish).await.map_err(storage)? {
        // It was revoked meanwhile, with a refresh token that was spent by then.
        give_back(server, tokens.refresh_token);
        return Err(ENDED);
    }
    result
}

/// Applies to the grant what has happened and cannot be undone, however often somebody else writes it meanwhile, and also
/// when storage fails for a moment: `PingOne` has rotated the refresh token, and what is not written is lost. `false`: the
/// grant is gone.
pub(super) async fn settle(
    server: &Server,
    id: GrantId,
    transition: impl Fn(Grant) -> Option<Grant> + Send + Sync,
) -> Result<bool, StoreError> {
    let mut failures = 0;
    for _ in 0..records::MOST_RACES {
        match settled(server, id, &transition).await {
            Ok(Some(there)) => return Ok(there),
            Ok(None) => {}
            Err(error) if failures == MOST_FAILURES => return Err(error),
            Err(error) => {
                failures += 1;
                tracing::warn!(grant = ?id, %error, "a grant could not be written yet");
                server.host().sleep(WAIT * failures * failures).await;
            }
        }
    }
    Err(StoreError("a grant is contended".to_owned()))
}

/// One try. `None`: somebody else came first.
async fn settled(
    server: &Server,
    id: GrantId,
    transition: &(impl Fn(Grant) -> Option<Grant> + Send + Sync),
) -> Result<Option<bool>, StoreError> {
    let now = server.now();
    let Some((grant, version)) = records::grant(server.host(), id, now).await? else {
        return Ok(Some(false));
    };
    let Some(grant) = transition(grant) else { return Ok(Some(true)) };
    Ok(records::replace_grant(server.host(), &grant, Some(version), now).await?.then_some(true))
}

/// Ends a grant, and with it what PingOne issued for it.
async fn end(
    server: &Server,
    id: GrantId,
    reason: &str,
    refresh_token: Option<Secret<String>>,
) -> Result<(), ApiError> {
    tracing::warn!(grant = ?id, reason, "grant ended");
    give_back(server, refresh_token);
    records::end_grant(server.host(), id, server.now()).await.map_err(storage)?;
    Err(ENDED)
}

/// The API, in the name of the person of one grant.
pub(super) struct ApiAccess {
    server: Server,
    grant: GrantId,
    key: Key,
    /// The grant as the request's token was checked by it, until it is used or too old to be.
    admitted: Mutex<Option<(Grant, Timestamp)>>,
    answers: Arc<ApiAnswers>,
}

impl Api for ApiAccess {
    fn fetch(&self, request: http::Request<Bytes>) -> BoxFuture<'_, Result<http::Response<Bytes>, ApiError>> {
        Box::pin(self.call(request))
    }

    fn token(&self) -> BoxFuture<'_, Result<ApiToken, ApiError>> {
        Box::pin(self.describe())
    }
}

impl ApiAccess {
    /// The API in the name of the person of `grant`, which has been read `now`.
    pub(super) fn new(
        server: &Server,
        grant: Grant,
        key: Key,
        now: Timestamp,
        answers: Arc<ApiAnswers>,
    ) -> Self {
        Self {
            server: server.clone(),
            grant: grant.id,
            key,
            admitted: Mutex::new(Some((grant, now))),
            answers,
        }
    }

    async fn call(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, ApiError> {
        let request = below_api_url(&self.server.config.api.url, request).ok_or(ApiError::NotTheApi)?;
        let (tokens, generation) = self.fresh(Renewal::IfExpiring).await?;
        let response = self.send(request.clone(), &tokens.access_token).await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return Ok(response);
        }
        // The API refuses a token that should be good. A fresh one, once; then the login is over.
        let refresh_token = match self.fresh(Renewal::IfGeneration(generation)).await {
            Ok((tokens, _)) => {
                let response = self.send(request, &tokens.access_token).await?;
                if response.status() != StatusCode::UNAUTHORIZED {
                    return Ok(response);
                }
                tokens.refresh_token
            }
            Err(ApiError::LoginRequired) => None,
            Err(error) => return Err(error),
        };
        end(&self.server, self.grant, "the API refuses the token", refresh_token).await?;
        Err(ENDED)
    }

    async fn describe(&self) -> Result<ApiToken, ApiError> {
        let (tokens, _) = self.fresh(Renewal::IfExpiring).await?;
        let config = &self.server.config;
        let token = tokens.access_token.expose();
        let claims =
            self.server.provider.access_token(self.server.host(), config, token, self.server.now()).await;
        let claims = claims.map_err(|error| {
            tracing::warn!(%error, "the access token could not be read");
            ApiError::Unavailable
        })?;
        Ok(ApiToken {
            issuer: config.upstream.issuer.clone(),
            subject: claims.sub,
            audience: claims.audience,
            scopes: claims
                .scope
                .unwrap_or_default()
                .split(' ')
                .filter(|s| !s.is_empty())
                .map(str::to_owned)
                .collect(),
            expires_at: tokens.expires_at,
            raw: config.api.reveal_token.then_some(tokens.access_token),
        })
    }

    async fn fresh(&self, renewal: Renewal) -> Result<(UpstreamTokens, u32), ApiError> {
        if renewal == Renewal::IfExpiring
            && let Some(tokens) = self.admitted_tokens()
        {
            return Ok(tokens);
        }
        fresh(&self.server, self.grant, &self.key, renewal).await
    }

    /// The tokens of the grant that the request came with, if nothing has to be done for them. Spares most calls of the
    /// API a second reading.
    fn admitted_tokens(&self) -> Option<(UpstreamTokens, u32)> {
        let (grant, at) = self.admitted.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        let now = self.server.now();
        let tokens = grant.open_upstream(&self.key).filter(|tokens| tokens.expires_at > now.plus(EARLY))?;
        (now.since(at) <= STILL_TRUE).then_some((tokens, grant.upstream.generation))
    }

    async fn send(
        &self,
        mut request: http::Request<Bytes>,
        token: &Secret<String>,
    ) -> Result<http::Response<Bytes>, ApiError> {
        let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose())).map_err(|_| ENDED)?;
        value.set_sensitive(true);
        request.headers_mut().insert(header::AUTHORIZATION, value);
        let counted = self.answers.begin();
        request.extensions_mut().insert(counted.meter());
        let response = self.server.host().fetch(request, API_LIMITS).await.map_err(|error| {
            tracing::warn!(%error, "the API did not answer");
            match error {
                FetchError::Connection(_) | FetchError::NotPublic | FetchError::TooMany => {
                    ApiError::Unavailable
                }
                FetchError::Deadline => ApiError::Timeout,
                FetchError::TooLarge => ApiError::TooLarge,
            }
        })?;
        let response = counted.keep(response).ok_or(ApiError::Unavailable)?;
        Ok(without_token(response, token.expose()))
    }
}

/// The response without the token that was sent, which some APIs repeat in their errors: tools show answers to models.
fn without_token(response: http::Response<Bytes>, token: &str) -> http::Response<Bytes> {
    // The end of a JWT is its signature, without which the rest opens nothing.
    let secret = token.rsplit('.').next().filter(|part| part.len() >= 32).unwrap_or(token).as_bytes();
    let repeats = |bytes: &[u8]| bytes.windows(secret.len().max(1)).any(|window| window == secret);
    let (mut head, mut body) = response.into_parts();
    let repeating = head.headers.iter().filter(|(_, value)| repeats(value.as_bytes()));
    let names: Vec<_> = repeating.map(|(name, _)| name.clone()).collect();
    let repeated = repeats(&body);
    if repeated {
        let mut rest = &body[..];
        let mut kept = Vec::with_capacity(body.len());
        while let Some(at) = rest.windows(secret.len()).position(|window| window == secret) {
            kept.extend_from_slice(&rest[..at]);
            kept.extend_from_slice(b"[redacted]");
            rest = &rest[at + secret.len()..];
        }
        kept.extend_from_slice(rest);
        body = kept.into();
    }
    if repeated || !names.is_empty() {
        tracing::warn!("the API repeats the access token in its answer; it was taken out");
        for name in names {
            head.headers.remove(name);
        }
    }
    http::Response::from_parts(head, body)
}

/// The request with its path put below `API_URL`. `None`: it would go elsewhere.
fn below_api_url(base: &Url, request: http::Request<Bytes>) -> Option<http::Request<Bytes>> {
    let (mut parts, body) = request.into_parts();
    let relative = parts.uri.authority().is_none().then(|| parts.uri.path_and_query())??.as_str();
    let prefix = base.as_str().trim_end_matches('/');
    let text = format!("{prefix}{relative}");
    // Dot segments, in whatever spelling, change when the text is read as a URL.
    let url = Url::parse(&text).ok().filter(|url| relative.starts_with('/') && url.as_str() == text)?;
    parts.uri = url.as_str().parse().ok()?;
    parts.headers.remove(header::HOST);
    parts.headers.remove(header::COOKIE);
    Some(http::Request::from_parts(parts, body))
}

fn storage(error: StoreError) -> ApiError {
    tracing::error!(%error, "storage failed");
    ApiError::Unavailable
}

/// Seconds for which what was read of a grant is as good as what could be read.
const STILL_TRUE: u64 = 1;
const ENDED: ApiError = ApiError::LoginRequired;
/// Seconds before its expiry at which a token is renewed.
const EARLY: u64 = 60;
/// Failures of storage that a write is tried beyond: 10 seconds in all.
const MOST_FAILURES: u32 = 8;
const WAIT: Duration = Duration::from_millis(50);
/// Times `WAIT`: 15 seconds.
const WAITS: u32 = 300;
const API_LIMITS: FetchLimits =
    FetchLimits { deadline: Duration::from_secs(15), max_bytes: 4 * 1024 * 1024, reach: Reach::Anywhere };

#[cfg(test)]
mod tests {
    use super::*;

    fn target(base: &str, path: &str) -> Option<String> {
        let request = http::Request::builder().uri(path).body(Bytes::new()).ok()?;
        below_api_url(&Url::parse(base).ok()?, request).map(|request| request.uri().to_string())
    }

    #[test]
    fn an_answer_that_repeats_the_token_loses_it() {
        let signature = "s".repeat(40);
        let token = format!("head.claims.{signature}");
        let response = http::Response::builder()
            .header("x-echo", format!("Bearer {token}"))
            .header("x-other", "kept")
            .body(Bytes::from(format!(r#"["Bearer {token}", "and {token}"]"#)));
        let cleaned = without_token(response.unwrap(), &token);
        assert_eq!(cleaned.body(), r#"["Bearer head.claims.[redacted]", "and head.claims.[redacted]"]"#);
        assert!(cleaned.headers().get("x-echo").is_none() && cleaned.headers().get("x-other").is_some());
        let untouched = without_token(http::Response::new(Bytes::from_static(b"todos")), &token);
        assert_eq!(untouched.body(), "todos");
    }

    #[test]
    fn a_path_goes_below_the_api_url_and_nowhere_else() {
        let base = "https://api.example/v1/";
        assert_eq!(target(base, "/api/todos?a=b").as_deref(), Some("https://api.example/v1/api/todos?a=b"));
        for path in ["https://evil.example/", "/../x", "/a/%2e%2e/%2E%2e/x", "//evil.example/../..", "*"] {
            assert_eq!(target(base, path), None, "{path}");
        }
    }
}
