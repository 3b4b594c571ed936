//! Replies of clients to the server's questions, where the request that asked finds them.

use super::{RecordError, decode, encode};
use crate::{
    host::{Digest, Host, Record, RecordKey, Timestamp},
    seal::{self, Random, Sealed},
};

/// Seconds for which a reply waits for the request that asked, and for which a question waits for its reply.
pub(crate) const REPLY_LIFETIME: u64 = 600;

/// Bytes of a reply. A Durable Object stores 2 MB at most in one record.
const LONGEST_REPLY: usize = 256 * 1024;

/// Seconds after which an unclaimed reply gives its place to another.
const UNCLAIMED: u64 = 5;

/// Places for the replies of one grant. A client that replies to questions that have ended fills these and no more.
const REPLIES: u8 = 16;

/// The place for the reply to `question`, of the grant with this key.
fn reply_key(key: &seal::SealingKey, question: &str) -> RecordKey {
    let place = seal::digest(REPLY, question.as_bytes()).0[0] % REPLIES;
    RecordKey::Reply(Digest(key.subkey("reply place").mac(&[&[place]])))
}

/// Stores the reply to `question`, sealed under the key of its grant. The first reply counts. `false`: another reply is waiting
/// in its place.
pub(crate) async fn put_reply(
    host: &Host,
    key: &seal::SealingKey,
    question: &str,
    reply: &serde_json::Value,
    now: Timestamp,
) -> Result<bool, RecordError> {
    let mut plain = zeroize::Zeroizing::new(encode(reply)?);
    if plain.len() > LONGEST_REPLY {
        // The request that waits is told so.
        let text = "the client's reply is too long";
        *plain = encode(&serde_json::json!({ "error": { "code": -32603, "message": text } }))?;
    }
    let sealed = {
        let random: Random<'_> = &|buffer: &mut [u8]| host.random.fill(buffer);
        key.subkey(REPLY).seal(question.as_bytes(), &plain, random)
    };
    let (place, until) = (reply_key(key, question), now.plus(REPLY_LIFETIME));
    if host.store.replace(&place, None, sealed.0.clone(), until, now).await? {
        return Ok(true);
    }
    let Some(there) = host.store.get(&place, now).await? else { return Ok(false) };
    let (version, waits_since) = (there.version, REPLY_LIFETIME.saturating_sub(there.expires_at.since(now)));
    if open_reply(key, question, there).is_some() {
        return Ok(true);
    }
    // A waiter polls every second, so this reply has been abandoned.
    Ok(waits_since > UNCLAIMED && host.store.replace(&place, Some(version), sealed.0, until, now).await?)
}

/// Takes the reply to `question`, if it has come.
pub(crate) async fn take_reply(
    host: &Host,
    key: &seal::SealingKey,
    question: &str,
    now: Timestamp,
) -> Result<Option<serde_json::Value>, RecordError> {
    let place = reply_key(key, question);
    let Some(record) = host.store.get(&place, now).await? else { return Ok(None) };
    // A reply to another question stays for the request that asked it.
    let Some(plain) = open_reply(key, question, record) else { return Ok(None) };
    // If this fails, the reply expires.
    let _ = host.store.take(&place, now).await;
    decode(&plain).map(Some)
}

fn open_reply(key: &seal::SealingKey, question: &str, record: Record) -> Option<zeroize::Zeroizing<Vec<u8>>> {
    key.subkey(REPLY).open(question.as_bytes(), &Sealed(record.value))
}

const REPLY: &str = "reply";
