//! What outlives one MCP request: the client's replies to questions of the server, and what the client keeps for it.
//!
//! A question is asked on the answer to one request, and its reply is a request of its own, which may reach another
//! process. So the two meet in the store: the reply is written under a name that only this grant's bearers can have,
//! and whoever asked looks for it. Nothing is stored for a question as long as nobody answers it.

use std::time::Duration;

use futures_util::future::{Either, select};
use serde_json::Value;

use crate::{
    encoding::{base64url_decode, base64url_decode_all, base64url_encode},
    host::{BoxFuture, GrantId, StoreError, Timestamp},
    mcp::Conversation,
    records,
    seal::{self, Key, Sealed, random_bytes},
    server::Server,
};

/// The grant of one request.
pub(super) struct GrantConversation {
    pub(super) server: Server,
    pub(super) grant: GrantId,
    pub(super) key: Key,
    /// Who may open what a client keeps: the person, and the client.
    pub(super) parties: Vec<u8>,
    pub(super) admitted_until: Timestamp,
}

impl Conversation for GrantConversation {
    fn question(&self) -> String {
        let random: [u8; 16] = random_bytes(&self.server.random());
        let tag = tag(&self.key, &random);
        base64url_encode(&[random, tag].concat())
    }

    fn reply(&self, question: &str) -> BoxFuture<'static, Option<Value>> {
        let (server, key, question) = (self.server.clone(), self.key.clone(), question.to_owned());
        Box::pin(async move {
            let mut pause = FIRST_PAUSE;
            let until = server.now().plus(records::REPLY_LIFETIME);
            while server.now() < until {
                match records::take_reply(server.host(), &key, &question, server.now()).await {
                    Ok(None) => {}
                    Ok(reply) => return reply,
                    // It may go better next time, and nothing is lost by trying.
                    Err(error) => tracing::warn!(%error, "a client's reply could not be looked for"),
                }
                // The client is told before its connection is cut.
                if let Either::Right(_) = select(server.host().sleep(pause), server.host().stopping()).await {
                    return None;
                }
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            None
        })
    }

    fn deliver(&self, question: &str, reply: Value) -> BoxFuture<'_, Result<bool, StoreError>> {
        let ours = base64url_decode::<32>(question).is_some_and(|bytes| {
            let (random, presented) = bytes.split_at(16);
            seal::equal(&tag(&self.key, random), presented)
        });
        let question = question.to_owned();
        Box::pin(async move {
            if !ours {
                return Ok(false);
            }
            let (host, now) = (self.server.host(), self.server.now());
            // Clients do not try again. Writing it twice is as good as once.
            for tries in 1.. {
                let kept = match records::put_reply(host, &self.key, &question, &reply, now).await {
                    Ok(true) => return Ok(true),
                    Ok(false) => StoreError("other replies of this client wait in its place".to_owned()),
                    Err(error) => error,
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

    fn seal(&self, place: &[u8], text: &str, lifetime: u64) -> String {
        let until = self.server.now().plus(lifetime);
        let plain = [&until.0.to_be_bytes(), text.as_bytes()].concat();
        let key = &self.server.config.keys.newest().states;
        base64url_encode(&key.seal(&self.place(place), &plain, &self.server.random()).0)
    }

    fn open(&self, place: &[u8], sealed: &str) -> Option<String> {
        let sealed = Sealed(base64url_decode_all(sealed)?);
        let place = self.place(place);
        let plain = self.server.config.keys.iter().find_map(|keys| keys.states.open(&place, &sealed))?;
        let (until, text) = plain.split_first_chunk::<8>()?;
        let live = Timestamp(u64::from_be_bytes(*until)) > self.server.now();
        live.then(|| String::from_utf8(text.to_vec()).ok())?
    }

    fn ended(&self) -> BoxFuture<'static, ()> {
        let (server, grant, until) = (self.server.clone(), self.grant, self.admitted_until);
        Box::pin(async move {
            loop {
                let now = server.now();
                // What cannot be read now is not taken for an end.
                if now >= until || matches!(records::grant(server.host(), grant, now).await, Ok(None)) {
                    return;
                }
                let pause = server.host().sleep(Duration::from_secs(until.since(now)).min(LOOK_AGAIN));
                if let Either::Right(_) = select(pause, server.host().stopping()).await {
                    return;
                }
            }
        })
    }
}

impl GrantConversation {
    /// Where what the client keeps belongs.
    fn place(&self, place: &[u8]) -> Vec<u8> {
        [&(self.parties.len() as u64).to_be_bytes(), self.parties.as_slice(), place].concat()
    }
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
