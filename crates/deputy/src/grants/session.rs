//! What outlives one MCP request: the client's replies to questions of the server, and what the client keeps for it.
//!
//! A question is asked on the answer to one request, and its reply is a request of its own, which may reach another
//! process. So the two meet in the store: the reply is written under a name that only this grant's bearers can have,
//! and whoever asked looks for it. Nothing is stored for a question as long as nobody answers it.

use std::{sync::Arc, time::Duration};

use futures_util::future::{Either, select};
use serde_json::Value;

use crate::{
    app::App,
    encoding::{base64url_decode, base64url_decode_all, base64url_encode},
    host::{BoxFuture, GrantId, Timestamp},
    mcp::{DeliveryError, GrantSession},
    oauth::{Access, Grant},
    records,
    seal::{self, Key, Sealed, random_bytes},
};

/// The grant of one request.
pub(crate) struct StoredSession {
    app: Arc<App>,
    grant: GrantId,
    key: Key,
    /// The user and the client, to whom sealed state is bound.
    associated_data: Vec<u8>,
    /// When the access token of the request expires.
    authorized_until: Timestamp,
}

impl GrantSession for StoredSession {
    fn question(&self) -> String {
        let random: [u8; 16] = random_bytes(&self.app.random());
        let tag = tag(&self.key, &random);
        base64url_encode(&[random, tag].concat())
    }

    fn reply(&self, question: &str) -> BoxFuture<'static, Option<Value>> {
        let (app, key, question) = (Arc::clone(&self.app), self.key.clone(), question.to_owned());
        Box::pin(async move {
            let mut pause = FIRST_PAUSE;
            let until = app.now().plus(records::REPLY_LIFETIME);
            while app.now() < until {
                match records::take_reply(app.host(), &key, &question, app.now()).await {
                    Ok(None) => {}
                    Ok(reply) => return reply,
                    // It may go better next time, and nothing is lost by trying.
                    Err(error) => tracing::warn!(%error, "a client's reply could not be looked for"),
                }
                // The client is told before its connection is cut.
                if let Either::Right(_) = select(app.host().sleep(pause), app.host().stopping()).await {
                    return None;
                }
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            None
        })
    }

    fn deliver(&self, question: &str, reply: Value) -> BoxFuture<'_, Result<bool, DeliveryError>> {
        let ours = base64url_decode::<32>(question).is_some_and(|bytes| {
            let (random, presented) = bytes.split_at(16);
            seal::constant_time_eq(&tag(&self.key, random), presented)
        });
        let question = question.to_owned();
        Box::pin(async move {
            if !ours {
                return Ok(false);
            }
            let (host, now) = (self.app.host(), self.app.now());
            // Clients do not try again. Writing it twice is as good as once.
            for tries in 1.. {
                let kept = match records::put_reply(host, &self.key, &question, &reply, now).await {
                    Ok(true) => return Ok(true),
                    Ok(false) => DeliveryError::Full,
                    Err(error) => DeliveryError::Storage(error.to_string()),
                };
                if tries == MOST_TRIES {
                    return Err(kept);
                }
                tracing::warn!(error = %kept, "a client's reply could not be kept yet");
                host.sleep(TRY_AGAIN * tries).await;
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

    fn ended(&self) -> BoxFuture<'static, ()> {
        let (app, grant, until) = (Arc::clone(&self.app), self.grant, self.authorized_until);
        Box::pin(async move {
            loop {
                let now = app.now();
                // What cannot be read now is not taken for an end.
                if now >= until || matches!(records::grant(app.host(), grant, now).await, Ok(None)) {
                    return;
                }
                let pause = app.host().sleep(Duration::from_secs(until.since(now)).min(LOOK_AGAIN));
                if let Either::Right(_) = select(pause, app.host().stopping()).await {
                    return;
                }
            }
        })
    }
}

impl StoredSession {
    /// The session of a request that `access` has authorized.
    pub(crate) fn new(app: &Arc<App>, grant: &Grant, access: &Access) -> Self {
        Self {
            app: Arc::clone(app),
            grant: grant.id,
            key: access.key.clone(),
            associated_data: associated_data(grant),
            authorized_until: access.expires_at,
        }
    }

    /// The associated data of sealed state: the user, the client and its purpose.
    fn associated_data(&self, purpose: &[u8]) -> Vec<u8> {
        let length = (self.associated_data.len() as u64).to_be_bytes();
        [&length, self.associated_data.as_slice(), purpose].concat()
    }
}

/// The user and the client of a grant, unambiguously.
fn associated_data(grant: &Grant) -> Vec<u8> {
    format!("{} {} {}", grant.user.sub.len(), grant.user.sub, grant.client_id).into_bytes()
}

/// What shows that a question is one of this grant's.
fn tag(key: &Key, random: &[u8]) -> [u8; 16] {
    let mac = key.subkey("question").mac(&[random]);
    let mut tag = [0; 16];
    tag.copy_from_slice(&mac[..16]);
    tag
}

const FIRST_PAUSE: Duration = Duration::from_millis(25);
/// How often a reply is offered to the store: for longer than whoever waits for another one pauses.
const MOST_TRIES: u32 = 6;
/// How soon somebody who listens is told of a revocation.
const LOOK_AGAIN: Duration = Duration::from_secs(15);
const TRY_AGAIN: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
