//! Access to the API on behalf of a user.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use tracing::Instrument as _;
use url::Url;

use super::refresh::{CurrentTokens, ENDED, current_tokens};
use crate::{
    app::App,
    host::{BoxFuture, FetchError, FetchLimits, GrantId, Reach, Timestamp},
    limits::ApiResponses,
    mcp::{Api, ApiError, ApiToken, lacks_scope},
    metrics::{Stopwatch, outcome},
    oauth::{Due, Grant, RefreshReason},
    oidc::AccessTokenClaims,
    retry,
    seal::SealingKey,
    secret::Secret,
    sync::lock,
    trace,
};

/// The API on behalf of the user of one grant.
pub(crate) struct ApiClient {
    app: Arc<App>,
    grant: GrantId,
    key: SealingKey,
    /// The grant as it was read when the request was authorized, until its tokens are used.
    admitted: Mutex<Option<(Grant, Timestamp)>>,
    responses: Arc<ApiResponses>,
}

impl Api for ApiClient {
    fn fetch(&self, request: http::Request<Bytes>) -> BoxFuture<'_, Result<http::Response<Bytes>, ApiError>> {
        Box::pin(self.call(request))
    }

    fn token(&self) -> BoxFuture<'_, Result<ApiToken, ApiError>> {
        Box::pin(self.describe())
    }
}

impl ApiClient {
    /// The API on behalf of the user of `grant`, which was read `now`.
    pub(crate) fn new(
        app: &Arc<App>,
        grant: Grant,
        key: SealingKey,
        now: Timestamp,
        responses: Arc<ApiResponses>,
    ) -> Self {
        Self {
            app: Arc::clone(app),
            grant: grant.id,
            key,
            admitted: Mutex::new(Some((grant, now))),
            responses,
        }
    }

    async fn call(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, ApiError> {
        let not_sent = |error: &ApiError| tracing::warn!(%error, "a request to the API was not sent");
        let request = below_api_url(&self.app.config.api.url, request);
        let request = request.ok_or(ApiError::NotTheApi).inspect_err(not_sent)?;
        let tokens = self.current_tokens(RefreshReason::Expiring).await;
        let CurrentTokens { tokens, generation } = tokens.inspect_err(not_sent)?;
        let response = self.send(request.clone(), &tokens.access_token).await?;
        if response.status() != StatusCode::UNAUTHORIZED || lacks_scope(&response) {
            return Ok(response);
        }
        // The API refuses a token that should be valid: refresh it, once. If the API refuses the new one too, the login
        // has not ended, which only PingOne decides: the API may have wrong keys or a wrong clock.
        match self.current_tokens(RefreshReason::Refused(generation)).await {
            Ok(CurrentTokens { tokens, .. }) => self.send(request, &tokens.access_token).await,
            Err(ApiError::Refused) => Ok(response),
            Err(error) => {
                not_sent(&error);
                Err(error)
            }
        }
    }

    async fn describe(&self) -> Result<ApiToken, ApiError> {
        let CurrentTokens { tokens, .. } = self.current_tokens(RefreshReason::Expiring).await?;
        let config = &self.app.config;
        let claims = AccessTokenClaims::from_stored(tokens.access_token.expose(), self.app.now());
        let claims = claims.map_err(|error| {
            tracing::error!(%error, "the access token cannot be read");
            ApiError::Storage
        })?;
        Ok(ApiToken {
            issuer: config.pingone.issuer.clone(),
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

    async fn current_tokens(&self, reason: RefreshReason) -> Result<CurrentTokens, ApiError> {
        if reason == RefreshReason::Expiring
            && let Some(tokens) = self.admitted_tokens()
        {
            return Ok(tokens);
        }
        current_tokens(&self.app, self.grant, &self.key, reason).await
    }

    /// The tokens of the grant as it was read for authorization, if they need no refresh. Saves most API calls a second
    /// read.
    fn admitted_tokens(&self) -> Option<CurrentTokens> {
        let (grant, at) = lock(&self.admitted).take()?;
        let now = self.app.now();
        if grant.pingone.due(RefreshReason::Expiring, now) != Due::Nothing {
            return None;
        }
        let tokens = grant.open_pingone_tokens(&self.key)?;
        (now.since(at) <= REUSE).then_some(CurrentTokens { tokens, generation: grant.pingone.generation })
    }

    async fn send(
        &self,
        mut request: http::Request<Bytes>,
        token: &Secret<String>,
    ) -> Result<http::Response<Bytes>, ApiError> {
        let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose())).map_err(|_| ENDED)?;
        value.set_sensitive(true);
        request.headers_mut().insert(header::AUTHORIZATION, value);
        let counted = self.responses.begin();
        request.extensions_mut().insert(counted.meter());
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let url = || uri.to_string().split('?').next().unwrap_or_default().to_owned();
        let (stopwatch, begun) = (Stopwatch::start(), self.app.host().clock.monotonic());
        let span = trace::outgoing("api", "", &request);
        let response = self.app.host().http.fetch(request, API_LIMITS).instrument(span.clone()).await;
        stopwatch.api_request(outcome(&response));
        let ms = u64::try_from(self.app.host().clock.monotonic().saturating_sub(begun).as_millis())
            .unwrap_or(u64::MAX);
        trace::fetched(&span, &response);
        let response = response.map_err(|error| {
            tracing::warn!(%method, url = url(), ms, %error, "a request to the API failed");
            match error {
                FetchError::Connection(_) | FetchError::NotPublic => ApiError::Unavailable,
                FetchError::Deadline | FetchError::Interrupted(_) | FetchError::TooMany => {
                    ApiError::NoResponse { may_change: !method.is_safe() }
                }
                FetchError::TooLarge => ApiError::TooLarge,
            }
        })?;
        let Some(response) = counted.keep(response) else {
            tracing::warn!(%method, ms, "a response of the API was dropped: too many large ones at a time");
            return Err(ApiError::NoResponse { may_change: !method.is_safe() });
        };
        let status = response.status();
        // A tool call that fails is a `200` of the MCP endpoint, so the log has the response of the API.
        if status.is_client_error() || status.is_server_error() {
            let retry_after = retry::retry_after(&response, self.app.now());
            tracing::warn!(%method, url = url(), status = status.as_u16(), ms, retry_after, "the API responded with an error");
        } else {
            // Without the URL, which may hold arguments of the tool.
            tracing::info!(%method, status = status.as_u16(), ms, "the API responded");
        }
        Ok(without_token(response, token.expose()))
    }
}

/// The response without the access token. Some APIs repeat it in their errors, and tools show responses to models.
fn without_token(response: http::Response<Bytes>, token: &str) -> http::Response<Bytes> {
    // The last part of a JWT is its signature. The rest is of no use without it.
    let secret = token.rsplit('.').next().filter(|part| part.len() >= 32).unwrap_or(token).as_bytes();
    // Most windows differ in the first byte.
    let is_secret = |window: &[u8]| window.first() == secret.first() && window == secret;
    let repeats = |bytes: &[u8]| bytes.windows(secret.len().max(1)).any(is_secret);
    let (mut head, mut body) = response.into_parts();
    let repeating = head.headers.iter().filter(|(_, value)| repeats(value.as_bytes()));
    let names: Vec<_> = repeating.map(|(name, _)| name.clone()).collect();
    let repeated = repeats(&body);
    if repeated {
        let mut rest = &body[..];
        let mut kept = Vec::with_capacity(body.len());
        while let Some(at) = rest.windows(secret.len()).position(is_secret) {
            kept.extend_from_slice(&rest[..at]);
            kept.extend_from_slice(b"[redacted]");
            rest = &rest[at + secret.len()..];
        }
        kept.extend_from_slice(rest);
        body = kept.into();
    }
    if repeated || !names.is_empty() {
        tracing::warn!("the API repeated the access token in its response; it was removed");
        for name in names {
            head.headers.remove(name);
        }
    }
    http::Response::from_parts(head, body)
}

/// The request with its path below `API_URL`. `None`: it would leave it.
fn below_api_url(base: &Url, request: http::Request<Bytes>) -> Option<http::Request<Bytes>> {
    let (mut parts, body) = request.into_parts();
    let relative = parts.uri.authority().is_none().then(|| parts.uri.path_and_query())??.as_str();
    let prefix = base.as_str().trim_end_matches('/');
    let text = format!("{prefix}{relative}");
    // Parsing as a URL removes dot segments in every spelling.
    let url = Url::parse(&text).ok().filter(|url| relative.starts_with('/') && url.as_str() == text)?;
    parts.uri = url.as_str().parse().ok()?;
    parts.headers.remove(header::HOST);
    parts.headers.remove(header::COOKIE);
    Some(http::Request::from_parts(parts, body))
}

/// Seconds for which a grant that was read at authorization may be used.
const REUSE: u64 = 1;
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
    fn api_response_that_repeats_the_token_loses_it() {
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
    fn request_path_stays_below_api_url() {
        let base = "https://api.example/v1/";
        assert_eq!(target(base, "/api/todos?a=b").as_deref(), Some("https://api.example/v1/api/todos?a=b"));
        for path in ["https://evil.example/", "/../x", "/a/%2e%2e/%2E%2e/x", "//evil.example/../..", "*"] {
            assert_eq!(target(base, path), None, "{path}");
        }
    }
}
