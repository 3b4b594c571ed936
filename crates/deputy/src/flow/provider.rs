//! `PingOne` as the flows see it: discovery and keys, cached in this process, and requests.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{
    config::Config,
    host::{FetchError, FetchLimits, Host, Reach, Timestamp},
    oidc::{
        AccessTokenClaims, AccessTokenError, Discovery, DiscoveryError, IdTokenClaims, IdTokenError,
        JwtError, KeySet, Request, Response, TokenError, TokenResponse, UserInfo, UserInfoError,
        code_request, get, refresh_request, revocation_request,
    },
    secret::Secret,
};

/// What this process knows of `PingOne`. Losing it costs a request; sharing it would save one.
#[derive(Debug, Default)]
pub(crate) struct Provider(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    discovery: Option<(Discovery, Timestamp)>,
    keys: Option<(KeySet, Timestamp)>,
    /// When the current minute of refetches began, and how many there were.
    refetches: (u64, u32),
}

/// Why `PingOne` gave no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ProviderError {
    #[error("{0}")]
    AccessToken(AccessTokenError),
    #[error("{0}")]
    Discovery(DiscoveryError),
    #[error("PingOne: {0}")]
    Fetch(FetchError),
    #[error("{0}")]
    IdToken(IdTokenError),
    #[error("PingOne's keys cannot be read")]
    Keys,
    #[error("the token response has no ID token")]
    NoIdToken,
    #[error("{0}")]
    Token(TokenError),
    #[error("{0}")]
    UserInfo(UserInfoError),
}

impl ProviderError {
    /// Whether trying again may help without anybody changing anything.
    pub(crate) const fn is_transient(&self) -> bool {
        match self {
            Self::Fetch(_)
            | Self::Keys
            | Self::Discovery(DiscoveryError::Document)
            | Self::Token(TokenError::Unavailable) => true,
            Self::AccessToken(_)
            | Self::Discovery(_)
            | Self::IdToken(_)
            | Self::NoIdToken
            | Self::Token(_)
            | Self::UserInfo(_) => false,
        }
    }
}

/// Tokens that were checked, and whose they are.
pub(crate) struct Authenticated {
    pub(crate) tokens: TokenResponse,
    pub(crate) access: AccessTokenClaims,
    pub(crate) person: IdTokenClaims,
}

impl Provider {
    /// The discovery document, not older than an hour.
    pub(crate) async fn discovery(
        &self,
        host: &dyn Host,
        config: &Config,
    ) -> Result<Discovery, ProviderError> {
        let now = host.now();
        let known = self.known().discovery.clone();
        if let Some((discovery, _)) = known.filter(|(_, read_at)| now.since(*read_at) < FRESH) {
            return Ok(discovery);
        }
        let malformed = ProviderError::Discovery(DiscoveryError::Issuer);
        let request = Discovery::request(&config.upstream.issuer).ok_or(malformed)?;
        let response = fetch(host, request, LIMITS).await?;
        let discovery =
            Discovery::read(&response, &config.upstream.issuer).map_err(ProviderError::Discovery)?;
        self.known().discovery = Some((discovery.clone(), now));
        Ok(discovery)
    }

    /// Exchanges a code. What comes back is to be checked.
    pub(crate) async fn exchange(
        &self,
        host: &dyn Host,
        config: &Config,
        (code, code_verifier): (&str, &str),
    ) -> Result<TokenResponse, ProviderError> {
        let discovery = self.discovery(host, config).await?;
        let callback = config.public_url.callback();
        let request =
            code_request(&discovery.token_endpoint, &config.upstream, code, code_verifier, &callback);
        TokenResponse::read(&fetch(host, request, TOKEN_LIMITS).await?).map_err(ProviderError::Token)
    }

    /// Checks everything that came back for a code.
    pub(crate) async fn authenticated(
        &self,
        host: &dyn Host,
        config: &Config,
        tokens: TokenResponse,
        nonce: &str,
        now: Timestamp,
    ) -> Result<Authenticated, ProviderError> {
        let upstream = &config.upstream;
        let discovery = self.discovery(host, config).await?;
        let id_token = tokens.id_token.as_ref().ok_or(ProviderError::NoIdToken)?;
        let access_token = tokens.access_token.expose();
        let verify = |keys: &KeySet| {
            IdTokenClaims::verify(id_token.expose(), access_token, keys, upstream, nonce, now)
        };
        let unknown = |error: &IdTokenError| *error == IdTokenError::Jwt(JwtError::UnknownKey);
        let mut person =
            self.with_keys(host, config, verify, unknown).await?.map_err(ProviderError::IdToken)?;
        let access = self.access_token(host, config, access_token, now).await?;
        let request = UserInfo::request(&discovery.userinfo_endpoint, &tokens.access_token);
        match UserInfo::read(&fetch(host, request, LIMITS).await.unwrap_or_default(), &person.sub) {
            Ok(info) => {
                person.name = info.name.or(person.name);
                person.preferred_username = info.preferred_username.or(person.preferred_username);
                person.email = info.email.or(person.email);
            }
            // The ID token says who it is; UserInfo only says more.
            Err(UserInfoError::Unusable) => tracing::warn!("UserInfo could not be read"),
            Err(error @ UserInfoError::Subject) => return Err(ProviderError::UserInfo(error)),
        }
        Ok(Authenticated { tokens, access, person })
    }

    /// Renews an access token. The caller keeps what comes back before anything else can fail, and then checks it.
    pub(crate) async fn refresh(
        &self,
        host: &dyn Host,
        config: &Config,
        refresh_token: &Secret<String>,
    ) -> Result<TokenResponse, ProviderError> {
        let discovery = self.discovery(host, config).await?;
        let request = refresh_request(&discovery.token_endpoint, &config.upstream, refresh_token.expose());
        TokenResponse::read(&fetch(host, request, TOKEN_LIMITS).await?).map_err(ProviderError::Token)
    }

    /// Revokes a refresh token, if `PingOne` lets us.
    pub(crate) async fn revoke(
        &self,
        host: &dyn Host,
        config: &Config,
        refresh_token: &Secret<String>,
    ) -> Result<(), ProviderError> {
        let Some(endpoint) = self.discovery(host, config).await?.revocation_endpoint else { return Ok(()) };
        let request = revocation_request(&endpoint, &config.upstream, refresh_token.expose());
        fetch(host, request, TOKEN_LIMITS).await.map(|_| ())
    }

    /// The claims of an access token for the API.
    pub(crate) async fn access_token(
        &self,
        host: &dyn Host,
        config: &Config,
        token: &str,
        now: Timestamp,
    ) -> Result<AccessTokenClaims, ProviderError> {
        let verify = |keys: &KeySet| AccessTokenClaims::verify(token, keys, config, now);
        let unknown = |error: &AccessTokenError| *error == AccessTokenError::Jwt(JwtError::UnknownKey);
        self.with_keys(host, config, verify, unknown).await?.map_err(ProviderError::AccessToken)
    }

    /// Runs `verify` with the keys we know, and once more with fresh ones if it met a key that we do not
    /// (OpenID Connect Core §10.1.1).
    async fn with_keys<T, E>(
        &self,
        host: &dyn Host,
        config: &Config,
        verify: impl Fn(&KeySet) -> Result<T, E>,
        met_unknown_key: impl Fn(&E) -> bool,
    ) -> Result<Result<T, E>, ProviderError> {
        let now = host.now();
        let known = self.known().keys.clone();
        if let Some((keys, _)) = known.filter(|(_, read_at)| now.since(*read_at) < FRESH) {
            let result = verify(&keys);
            if !result.as_ref().is_err_and(&met_unknown_key) || !self.known().may_refetch(now) {
                return Ok(result);
            }
        }
        let discovery = self.discovery(host, config).await?;
        let keys =
            KeySet::read(&fetch(host, get(&discovery.jwks_uri), LIMITS).await?).ok_or(ProviderError::Keys)?;
        let result = verify(&keys);
        self.known().keys = Some((keys, now));
        Ok(result)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // What is behind it is whole at every moment.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// Six in a minute: enough for rotations, and no way to make us hammer `PingOne`.
    fn may_refetch(&mut self, now: Timestamp) -> bool {
        let minute = now.0 / 60;
        if self.refetches.0 != minute {
            self.refetches = (minute, 0);
        }
        self.refetches.1 += 1;
        self.refetches.1 <= 6
    }
}

async fn fetch(host: &dyn Host, request: Request, limits: FetchLimits) -> Result<Response, ProviderError> {
    host.fetch(request, limits).await.map_err(ProviderError::Fetch)
}

const FRESH: u64 = 3600;
/// A login may ask five times, one after the other, while the person waits.
const LIMITS: FetchLimits =
    FetchLimits { deadline: Duration::from_secs(5), max_bytes: 256 * 1024, reach: Reach::Anywhere };
/// What a code or a refresh token was sent to is waited for longer: it may be used up by then.
const TOKEN_LIMITS: FetchLimits = FetchLimits { deadline: Duration::from_secs(10), ..LIMITS };
