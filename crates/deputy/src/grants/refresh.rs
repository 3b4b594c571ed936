//! The tokens of `PingOne` in a grant, refreshed by one request at a time.
//!
//! Only `PingOne` ends a grant here, with `invalid_grant`. Any other failure may pass, with other keys, another clock
//! or another configuration. Then the grant keeps the refresh token that `PingOne` has issued, the access token is not
//! used, and the next refresh waits a little.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_channel::oneshot;

use super::issue::pingone_tokens;
use crate::{
    app::{App, access_of},
    grants::{manage::remove_and_record, revoke::revoke_at_pingone},
    host::{EndedBy, GrantId, Timestamp},
    mcp::ApiError,
    metrics,
    oauth::{Due, Grant, LEASE, LONGEST_WAIT, PingOneTokens, RefreshReason},
    oidc::{AccessTokenClaims, TokenError, TokenResponse},
    pingone::PingOneError,
    records::{self, RecordError},
    seal::{SealingKey, random_bytes},
    sync::lock,
};

/// The tokens of `PingOne` in a grant, and the number of refreshes before.
pub(crate) struct CurrentTokens {
    pub(crate) tokens: PingOneTokens,
    pub(crate) generation: u32,
}

/// The tokens of `PingOne` in a grant, refreshed if `reason` still holds and a refresh may begin.
///
/// A valid token is returned at once, also while another request refreshes it. A request refreshes once at most.
pub(crate) async fn current_tokens(
    app: &Arc<App>,
    id: GrantId,
    key: &SealingKey,
    reason: RefreshReason,
) -> Result<CurrentTokens, ApiError> {
    let mut pause = LOOK_AGAIN;
    let (mut refreshed, mut has_waited) = (false, false);
    for _ in 0..LOOKS {
        let now = app.now();
        let (grant, version) = records::grant(app.host(), id, now).await.map_err(internal)?.ok_or(ENDED)?;
        let generation = grant.pingone.generation;
        let tokens = grant.open_pingone_tokens(key).ok_or(ENDED)?;
        let usable = reason == RefreshReason::Expiring && tokens.expires_at > now;
        let due = grant.pingone.due(reason, now);
        let may_refresh = || if refreshed { Err(LATER) } else { app.pingone.admits_refresh(now) };
        match next_step(due, reason, usable, may_refresh, now) {
            Step::Fail(error) => return Err(error),
            Step::Refresh if grant.pingone.has_lease() && !has_waited => {
                has_waited = true;
                app.host().clock.sleep(TAKEOVER).await;
                continue;
            }
            Step::Refresh => {}
            Step::Use => return Ok(CurrentTokens { tokens, generation }),
            Step::Wait => {
                app.host().clock.sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
                continue;
            }
        }
        let lease: [u8; 16] = random_bytes(&app.random());
        let Ok(leased) = grant.clone().begin_refresh(lease, now) else { continue };
        if !records::replace_grant(app.host(), &leased, Some(version), now).await.map_err(internal)? {
            continue;
        }
        let again = usable.then(|| grant.open_pingone_tokens(key)).flatten();
        let (waiting, done) = oneshot::channel();
        let waiting = Mutex::new(Some(waiting));
        let app = Arc::clone(app);
        Refresh { app, grant: id, key: key.clone(), lease, begun: now, reason, waiting }.begin(tokens);
        if let Some(tokens) = again {
            return Ok(CurrentTokens { tokens, generation });
        }
        // A host that shuts down drops the work. The lease expires.
        done.await.unwrap_or(Err(ApiError::TokenUnavailable { retry_after: LATER }))?;
        refreshed = true;
    }
    Err(ApiError::TokenUnavailable { retry_after: LATER })
}

/// The next step of a request that needs tokens.
enum Step {
    Fail(ApiError),
    Refresh,
    Use,
    /// Another request holds the lease.
    Wait,
}

/// Decides the next step. `usable`: the access token of the grant is still valid. `may_refresh` gives the seconds until
/// a refresh may begin, if that is not now.
fn next_step(
    due: Due,
    reason: RefreshReason,
    usable: bool,
    may_refresh: impl FnOnce() -> Result<(), u64>,
    now: Timestamp,
) -> Step {
    let unavailable = |retry_after| {
        if usable { Step::Use } else { Step::Fail(ApiError::TokenUnavailable { retry_after }) }
    };
    match (due, reason) {
        (Due::Nothing, _) => Step::Use,
        (Due::Now, _) => match may_refresh() {
            Ok(()) => Step::Refresh,
            Err(retry_after) => unavailable(retry_after),
        },
        (Due::Leased, _) if !usable => Step::Wait,
        (Due::Never, RefreshReason::Expiring) if !usable => Step::Fail(ENDED),
        // PingOne would issue nothing now but the token that the API refused.
        (Due::Never | Due::NotBefore { failed: false, .. }, RefreshReason::Refused(_)) => {
            Step::Fail(ApiError::Refused)
        }
        (Due::Never | Due::Leased, _) => unavailable(LATER),
        (Due::NotBefore { until, .. }, _) => unavailable(until.since(now)),
    }
}

/// A refresh under a lease.
struct Refresh {
    app: Arc<App>,
    grant: GrantId,
    key: SealingKey,
    lease: [u8; 16],
    /// The time at which the lease was taken.
    begun: Timestamp,
    reason: RefreshReason,
    /// The request that waits for the result.
    waiting: Mutex<Option<oneshot::Sender<Result<(), ApiError>>>>,
}

impl Refresh {
    /// Refreshes to the end even if this request is dropped, since `PingOne` rotates the refresh token.
    fn begin(self, old: PingOneTokens) {
        let app = Arc::clone(&self.app);
        app.host().detach(Box::pin(async move {
            let result = self.run(old).await;
            metrics::refresh(match &result {
                Ok(()) => "ok",
                Err(ApiError::LoginRequired) => "ended",
                Err(_) => "failed",
            });
            self.report(result);
        }));
    }

    /// Reports the result to the request that waits, unless it has one.
    fn report(&self, result: Result<(), ApiError>) {
        if let Some(waiting) = lock(&self.waiting).take() {
            // The request may have been dropped.
            let _ = waiting.send(result);
        }
    }

    async fn run(&self, old: PingOneTokens) -> Result<(), ApiError> {
        let (app, refresh_token) = (&self.app, old.refresh_token.as_ref().ok_or(ENDED)?);
        let (host, config) = (app.host(), &app.config);
        // A computer that was asleep meanwhile has lost the lease, or will before PingOne responds.
        match app.now().since(self.begun) {
            0..=LATEST => {}
            LEASE.. => return Err(ApiError::TokenUnavailable { retry_after: LATER }),
            _ => return self.fail(&old, None).await,
        }
        match app.pingone.refresh(host, config, refresh_token).await {
            Ok(response) => self.verify(response, old).await,
            Err(failure) if failure.error == PingOneError::Token(TokenError::Grant) => self.end().await,
            Err(failure) => {
                tracing::warn!(grant = ?self.grant, error = %failure.error, "a refresh at PingOne failed");
                let rotated = failure.rotated.or(old.refresh_token);
                let kept = PingOneTokens { refresh_token: rotated, ..old };
                self.fail(&kept, failure.retry_after).await
            }
        }
    }

    /// Verifies the new access token. If that needs a request, the new refresh token is stored first.
    async fn verify(&self, mut response: TokenResponse, old: PingOneTokens) -> Result<(), ApiError> {
        let (app, config) = (&self.app, &self.app.config);
        // PingOne rotates. A provider without rotation expects the old one again.
        let rotated = response.refresh_token.take().or(old.refresh_token);
        let mut kept = PingOneTokens { refresh_token: rotated, ..old };
        let now = app.now();
        let access_token = response.access_token.expose();
        let at_once = app.pingone.access_token_at_once(config, access_token, now);
        let verified = if let Some(verified) = at_once {
            verified
        } else {
            self.store(&kept, Some).await?;
            app.pingone.access_token(app.host(), config, access_token, now).await
        };
        match verified {
            Ok(claims) if claims.sub == kept.subject => {
                response.refresh_token = kept.refresh_token.take();
                self.finish(response, &claims, now).await
            }
            // An administrator may have changed the mapping of `sub`, and may change it back. Until then the token may
            // be another user's, and is not used.
            Ok(_) => {
                tracing::error!(grant = ?self.grant, "PingOne issued a token for another sub; it is not used");
                self.fail(&kept, None).await
            }
            Err(error) => {
                tracing::warn!(grant = ?self.grant, %error, "a new token of PingOne is not used");
                self.fail(&kept, None).await
            }
        }
    }

    async fn finish(
        &self,
        response: TokenResponse,
        claims: &AccessTokenClaims,
        now: Timestamp,
    ) -> Result<(), ApiError> {
        let tokens = pingone_tokens(&self.app, response, claims, now);
        let random = self.app.random();
        let finish = |grant: Grant| grant.finish_refresh(self.lease, self.reason, now, &random);
        self.store(&tokens, finish).await
    }

    /// Ends the refresh without an access token, and keeps these tokens.
    async fn fail(&self, kept: &PingOneTokens, retry_after: Option<u64>) -> Result<(), ApiError> {
        let (now, random) = (self.app.now(), self.app.random());
        let fail = |grant: Grant| grant.fail_refresh(self.lease, retry_after, now, &random);
        self.store(kept, fail).await?;
        Err(ApiError::TokenUnavailable {
            retry_after: retry_after.unwrap_or(LATER).clamp(LATER, LONGEST_WAIT),
        })
    }

    /// Stores `tokens` in the grant, and applies `then` in the same write.
    async fn store(
        &self,
        tokens: &PingOneTokens,
        then: impl Fn(Grant) -> Option<Grant> + Send + Sync,
    ) -> Result<(), ApiError> {
        let random = self.app.random();
        let transition = |grant: Grant| then(grant.keep_tokens(self.lease, tokens, &self.key, &random)?);
        if self.update_grant(transition).await.map_err(internal)? {
            return Ok(());
        }
        // The grant was revoked meanwhile, and its old refresh token had been used by then.
        revoke_at_pingone(&self.app, tokens.refresh_token.clone());
        Err(ENDED)
    }

    /// Applies a transition to the grant. It repeats after concurrent writes, and while storage fails: `PingOne` has rotated the
    /// refresh token, and a token that is not written is lost. The request that waits gets an error sooner. `false`: there is no such
    /// grant any more.
    async fn update_grant(
        &self,
        transition: impl Fn(Grant) -> Option<Grant> + Send + Sync,
    ) -> Result<bool, RecordError> {
        let (begun, mut pause) = (self.app.now(), LOOK_AGAIN);
        for _ in 0..MOST_WRITES {
            match try_update_grant(&self.app, self.grant, &transition).await {
                Ok(Some(exists)) => return Ok(exists),
                Ok(None) => {}
                Err(error) if self.app.now().since(begun) >= LONGEST_OUTAGE => return Err(error),
                Err(error) => {
                    if pause == LOOK_AGAIN {
                        tracing::warn!(grant = ?self.grant, %error, "a grant could not be written yet");
                    }
                    if self.app.now().since(begun) >= LONGEST_STORAGE_WAIT {
                        self.report(Err(ApiError::Storage));
                    }
                    self.app.host().clock.sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_WRITE_PAUSE);
                }
            }
        }
        Err(RecordError::Contended("grant"))
    }

    async fn end(&self) -> Result<(), ApiError> {
        tracing::warn!(grant = ?self.grant, reason = "PingOne ended the login", "grant ended");
        let (app, now) = (&self.app, self.app.now());
        let grant = records::grant(app.host(), self.grant, now).await.map_err(internal)?;
        if let Some((grant, _)) = grant {
            remove_and_record(app, access_of(&grant), grant.id, EndedBy::Pingone { cause: None }, now)
                .await
                .map_err(internal)?;
        }
        Err(ENDED)
    }
}

/// One attempt. `None`: another request wrote the grant first.
async fn try_update_grant(
    app: &Arc<App>,
    id: GrantId,
    transition: &(impl Fn(Grant) -> Option<Grant> + Send + Sync),
) -> Result<Option<bool>, RecordError> {
    let now = app.now();
    let Some((grant, version)) = records::grant(app.host(), id, now).await? else {
        return Ok(Some(false));
    };
    let Some(grant) = transition(grant) else { return Ok(Some(true)) };
    Ok(records::replace_grant(app.host(), &grant, Some(version), now).await?.then_some(true))
}

pub(super) fn internal(error: RecordError) -> ApiError {
    tracing::error!(%error, "internal failure");
    ApiError::Storage
}

pub(super) const ENDED: ApiError = ApiError::LoginRequired;
const LOOK_AGAIN: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// Reads of the grant. With the pauses between them they take 45 seconds, longer than a request to `PingOne` may take.
const LOOKS: u32 = 50;
/// Seconds from the lease to the request, at most.
const LATEST: u64 = 10;
/// Seconds for which new tokens wait for storage that fails.
const LONGEST_OUTAGE: u64 = 600;
/// Attempts to write them.
const MOST_WRITES: usize = 2_500;
/// Time between two of them. It is shorter than [`TAKEOVER`].
const LONGEST_WRITE_PAUSE: Duration = Duration::from_millis(250);
/// Time after which a request takes over a lease that has expired. Storage may have failed for as long as the lease, and the process
/// with the lease has new tokens, which it writes as soon as storage is back.
const TAKEOVER: Duration = Duration::from_secs(2);
/// Seconds for which a request waits for them.
const LONGEST_STORAGE_WAIT: u64 = 15;
/// Seconds until the next attempt, if nothing better is known.
const LATER: u64 = 5;
