//! The state of a grant that outlives one MCP request: the client's replies to questions, and sealed values that the
//! client keeps.
//!
//! A question is sent in the response to one request. The reply arrives in another request, perhaps at another process.
//! So it is stored under the id of the question, where the first request looks for it. The id is authenticated with the
//! grant's key, so that only requests of this grant can reply. A question stores nothing.

use std::{sync::Arc, time::Duration};

use futures_util::future::{Either, select};
use serde_json::Value;

use super::manage::{self, revoke_ended_grant_with};
use crate::{
    app::{App, CallAudit, access_of},
    encoding::{base64url_decode, base64url_decode_all, base64url_encode},
    host::{AuditedAccess, BoxFuture, CallOutcome, Decision, Digest, GrantId, RefusedBecause, Timestamp},
    log_context,
    mcp::{CallRecord, Challenge, DeliveryError, RequestGrant, Withdrawn},
    oauth::{Grant, ValidAccessToken},
    records,
    seal::{self, Sealed, SealingKey, random_bytes},
    types::ApprovedTools,
};

/// The state of one request's grant.
pub(crate) struct StoredGrant {
    app: Arc<App>,
    grant: GrantId,
    access: AuditedAccess,
    key: SealingKey,
    /// The scopes of the access token.
    scopes: Vec<String>,
    approved_tools: Option<ApprovedTools>,
    changes: u64,
    read_at: Timestamp,
    /// The user and the client, to whom sealed state is bound.
    associated_data: Vec<u8>,
    /// When the access token of the request expires.
    authorized_until: Timestamp,
}

impl RequestGrant for StoredGrant {
    fn question_id(&self) -> String {
        let random: [u8; 16] = random_bytes(&self.app.random());
        let tag = tag(&self.key, &random);
        base64url_encode(&[random, tag].concat())
    }

    fn await_reply(&self, question: &str) -> BoxFuture<'static, Option<Value>> {
        let (app, key, question) = (Arc::clone(&self.app), self.key.clone(), question.to_owned());
        Box::pin(async move {
            let mut pause = FIRST_PAUSE;
            let until = app.now().plus(records::REPLY_LIFETIME);
            while app.now() < until {
                match records::take_reply(app.host(), &key, &question, app.now()).await {
                    Ok(None) => {}
                    Ok(reply) => return reply,
                    // The failure may be temporary.
                    Err(error) => tracing::warn!(%error, "a client's reply could not be read yet"),
                }
                // The client gets an error before the server closes its connection.
                if let Either::Right(_) =
                    select(app.host().clock.sleep(pause), app.host().tasks.stopping()).await
                {
                    return None;
                }
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            None
        })
    }

    fn deliver_reply(&self, question: &str, reply: Value) -> BoxFuture<'_, Result<bool, DeliveryError>> {
        let is_own = base64url_decode::<32>(question).is_some_and(|bytes| {
            let (random, presented) = bytes.split_at(16);
            seal::constant_time_eq(&tag(&self.key, random), presented)
        });
        let question = question.to_owned();
        Box::pin(async move {
            if !is_own {
                return Ok(false);
            }
            let (host, now) = (self.app.host(), self.app.now());
            // Clients do not repeat a reply. Writing it twice has the same effect as once.
            for tries in 1.. {
                let error = match records::put_reply(host, &self.key, &question, &reply, now).await {
                    Ok(true) => return Ok(true),
                    Ok(false) => DeliveryError::Full,
                    Err(error) => DeliveryError::Storage(error.to_string()),
                };
                if tries == MOST_TRIES {
                    return Err(error);
                }
                tracing::warn!(%error, "a client's reply could not be kept yet");
                host.clock.sleep(RETRY_PAUSE * tries).await;
            }
            Ok(false)
        })
    }

    fn seal(&self, purpose: &[u8], text: &str, lifetime: u64) -> String {
        let until = self.app.now().plus(lifetime);
        let plain = [&until.0.to_be_bytes(), text.as_bytes()].concat();
        let key = &self.app.config.keys.newest().states;
        base64url_encode(&key.seal(&self.associated_data(purpose), &plain, &self.app.random()).0)
    }

    fn open(&self, purpose: &[u8], sealed: &str) -> Option<String> {
        let sealed = Sealed(base64url_decode_all(sealed)?);
        let data = self.associated_data(purpose);
        let plain = self.app.config.keys.iter().find_map(|keys| keys.states.open(&data, &sealed))?;
        let (until, text) = plain.split_first_chunk::<8>()?;
        let live = Timestamp(u64::from_be_bytes(*until)) > self.app.now();
        live.then(|| String::from_utf8(text.to_vec()).ok())?
    }

    fn until_closed(&self) -> BoxFuture<'static, ()> {
        let (app, until) = (Arc::clone(&self.app), self.authorized_until);
        let mut watch = self.watch(self.scopes.clone());
        Box::pin(async move {
            loop {
                let now = app.now();
                if now >= until || watch.look(now).await.is_some() {
                    return;
                }
                let pause = app.host().clock.sleep(Duration::from_secs(until.since(now)).min(LOOK_AGAIN));
                if let Either::Right(_) = select(pause, app.host().tasks.stopping()).await {
                    return;
                }
            }
        })
    }

    fn until_withdrawn(&self, required: Vec<String>, call: Option<String>) -> BoxFuture<'static, Withdrawn> {
        let (app, mut watch) = (Arc::clone(&self.app), self.watch(required));
        watch.call = call.map(|call| digest_of_call(&call));
        Box::pin(async move {
            loop {
                app.host().clock.sleep(LOOK_AGAIN).await;
                if let Some(withdrawn) = watch.look(app.now()).await {
                    return withdrawn;
                }
            }
        })
    }

    fn cancel(&self, call: &str) -> BoxFuture<'_, ()> {
        let call = digest_of_call(call);
        Box::pin(async move {
            if let Err(error) = manage::cancel(&self.app, self.grant, call, self.app.now()).await {
                tracing::warn!(grant = ?self.grant, %error, "a cancelled call runs on");
            }
        })
    }

    fn has_approved(&self, name: &str) -> bool {
        self.approved_tools.as_ref().is_none_or(|approved| self.app.catalog.is_approved(name, approved))
    }

    fn begin_call(&self, tool: &str, arguments: &Value) -> Box<dyn CallRecord> {
        self.note_call(tool);
        Box::new(CallAudit::begin(&self.app, self.access.clone(), tool, arguments))
    }

    fn refuse_call(&self, tool: Option<&str>, reason: RefusedBecause) {
        let tool = tool.map(str::to_owned);
        self.app.audit(self.access.clone(), Decision::CallRefused { tool, reason });
    }
}

impl CallRecord for CallAudit {
    fn end(self: Box<Self>, outcome: CallOutcome) {
        Self::end(*self, outcome);
    }
}

impl StoredGrant {
    /// Counts a call for *Your agents*.
    fn note_call(&self, tool: &str) {
        // The time of the request.
        let now = self.read_at;
        let Some(activity) = self.app.activity.note(self.grant, tool, now) else { return };
        let (app, id) = (Arc::clone(&self.app), self.grant);
        let sub = self.access.user.clone().unwrap_or_default();
        self.app.host().detach(Box::pin(async move {
            let written = records::add_activity(app.host(), &app.config, &sub, (id, &activity), now).await;
            if let Err(error) = written {
                tracing::warn!(grant = ?id, %error, "the use of a grant could not be noted");
            }
        }));
    }
}

/// Checks whether the grant still authorizes a request that is under way.
struct GrantWatch {
    app: Arc<App>,
    grant: GrantId,
    key: SealingKey,
    /// The scopes that the request depends on.
    scopes: Vec<String>,
    /// The number of changes of grants in this process when the grant was last read; `read_at` is the time.
    changes: u64,
    read_at: Timestamp,
    begun_at: Timestamp,
    /// The call of the request, if the client can cancel it.
    call: Option<Digest>,
}

impl GrantWatch {
    /// Why the request must end. Reads the grant when this process has changed any grant, and otherwise every 15 seconds,
    /// since another process may have changed it.
    async fn look(&mut self, now: Timestamp) -> Option<Withdrawn> {
        let changes = self.app.changes.count();
        if changes == self.changes && now.since(self.read_at) < REVOCATION_CHECK.as_secs() {
            return None;
        }
        (self.changes, self.read_at) = (changes, now);
        match records::stored_grant(self.app.host(), self.grant, now).await {
            Ok(None) => Some(Withdrawn::Unauthorized(Challenge::LoginRequired)),
            Ok(Some((grant, _))) if grant.has_ended() => {
                revoke_ended_grant_with(&self.app, grant, self.key.clone());
                Some(Withdrawn::Unauthorized(Challenge::LoginRequired))
            }
            Ok(Some((grant, _)))
                if self.call.is_some_and(|call| grant.has_cancelled(call, self.begun_at)) =>
            {
                Some(Withdrawn::Cancelled)
            }
            Ok(Some((grant, _))) => {
                let holds = self.scopes.iter().all(|scope| grant.scopes.contains(scope));
                let required = || Challenge::InsufficientScope { required: self.scopes.clone() };
                (!holds).then(|| Withdrawn::Unauthorized(required()))
            }
            // A grant that cannot be read at the moment does not count as revoked.
            Err(_) => None,
        }
    }
}

impl StoredGrant {
    /// The session of a request that `access` authorizes. `changes` is the number of changes of grants in this process
    /// before `grant` was read at `now`.
    pub(crate) fn new(
        app: &Arc<App>,
        grant: &Grant,
        access: &ValidAccessToken,
        (changes, now): (u64, Timestamp),
    ) -> Self {
        log_context::note("grant", format!("{:?}", grant.id));
        log_context::note_client(grant.client_id.to_string(), grant.client_name.as_deref());
        app.note_user(&grant.user);
        Self {
            app: Arc::clone(app),
            grant: grant.id,
            access: access_of(grant),
            key: access.key.clone(),
            scopes: access.scopes.to_vec(),
            approved_tools: grant.approved_tools.clone(),
            changes,
            read_at: now,
            associated_data: associated_data(grant),
            authorized_until: access.expires_at,
        }
    }

    fn watch(&self, scopes: Vec<String>) -> GrantWatch {
        GrantWatch {
            app: Arc::clone(&self.app),
            grant: self.grant,
            key: self.key.clone(),
            scopes,
            changes: self.changes,
            read_at: self.read_at,
            begun_at: self.read_at,
            call: None,
        }
    }

    /// The associated data of sealed state: the user, the client and its purpose.
    fn associated_data(&self, purpose: &[u8]) -> Vec<u8> {
        let length = (self.associated_data.len() as u64).to_be_bytes();
        [&length, self.associated_data.as_slice(), purpose].concat()
    }
}

fn digest_of_call(call: &str) -> Digest {
    seal::digest("cancelled call", call.as_bytes())
}

/// The user and the client of a grant, encoded unambiguously.
fn associated_data(grant: &Grant) -> Vec<u8> {
    format!("{} {} {}", grant.user.sub.len(), grant.user.sub, grant.client_id).into_bytes()
}

/// The tag that authenticates the id of a question as this grant's.
fn tag(key: &SealingKey, random: &[u8]) -> [u8; 16] {
    key.subkey("question").mac(&[random])
}

/// Pause between two looks at a grant: the time within which a request ends after this process ended or narrowed its
/// grant.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// The pause between two looks at the grant in the store, for a change by another process.
const REVOCATION_CHECK: Duration = Duration::from_secs(15);
/// The pause before the second look for a reply. It doubles up to `LONGEST_PAUSE`.
const FIRST_PAUSE: Duration = Duration::from_millis(25);
/// Attempts to store a reply. They take 6.6 seconds: longer than `LONGEST_PAUSE`, after which a waiting request has taken its
/// reply and freed the place, and longer than an abandoned reply keeps it.
const MOST_TRIES: u32 = 12;
/// The pause after a failed write of a reply, times the number of attempts.
const RETRY_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause between two looks for a reply.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
