//! Replies of clients to the server's questions, where the request that asked finds them.

use super::{RecordError, decode, encode};
use crate::{
    host::{Digest, Host, Key, Record, Timestamp},
    seal::{self, Random, Sealed},
};

/// How long a client's reply waits for whoever asked, in seconds; and how long a question waits for its reply.
pub(crate) const REPLY_LIFETIME: u64 = 600;

/// Bytes of a reply. Cloudflare keeps no more than 2 MB in one record.
const LONGEST_REPLY: usize = 256 * 1024;

/// Seconds after which a reply that nobody has taken gives its place to another.
const UNCLAIMED: u64 = 5;

/// Replies of one grant that wait at a time. A client that answers what nobody waits for any more fills these and no more.
const REPLIES: u8 = 16;

/// One of the places for replies to the questions of the grant whose key this is.
fn reply_key(key: &seal::Key, question: &str) -> Key {
    let place = seal::digest(REPLY, question.as_bytes()).0[0] % REPLIES;
    Key::Reply(Digest(key.subkey("reply place").mac(&[&[place]])))
}

/// Stores the reply to `question`, sealed under the key of its grant. The first one counts. `false`: its place is taken by
/// another reply that nobody has looked at yet.
pub(crate) async fn put_reply(
    host: &Host,
    key: &seal::Key,
    question: &str,
    reply: &serde_json::Value,
    now: Timestamp,
) -> Result<bool, RecordError> {
    let mut plain = zeroize::Zeroizing::new(encode(reply)?);
    if plain.len() > LONGEST_REPLY {
        // So that whoever waits learns of it.
        let text = "the client's reply is too long";
        *plain = encode(&serde_json::json!({ "error": { "code": -32603, "message": text } }))?;
    }
    let sealed = {
        let random: Random<'_> = &|buffer: &mut [u8]| host.fill_random(buffer);
        key.subkey(REPLY).seal(question.as_bytes(), &plain, random)
    };
    let (place, until) = (reply_key(key, question), now.plus(REPLY_LIFETIME));
    if host.store().replace(&place, None, sealed.0.clone(), until, now).await? {
        return Ok(true);
    }
    let Some(there) = host.store().get(&place, now).await? else { return Ok(false) };
    let (version, waits_since) = (there.version, REPLY_LIFETIME.saturating_sub(there.expires_at.since(now)));
    if open_reply(key, question, there).is_some() {
        return Ok(true);
    }
    // Who waits looks every second, so nobody waits for that one.
    Ok(waits_since > UNCLAIMED && host.store().replace(&place, Some(version), sealed.0, until, now).await?)
}

/// Takes the reply to `question`, if it has come.
pub(crate) async fn take_reply(
    host: &Host,
    key: &seal::Key,
    question: &str,
    now: Timestamp,
) -> Result<Option<serde_json::Value>, RecordError> {
    let place = reply_key(key, question);
    let Some(record) = host.store().get(&place, now).await? else { return Ok(None) };
    // A reply to another question stays for whoever asked that.
    let Some(plain) = open_reply(key, question, record) else { return Ok(None) };
    // What is not removed now expires.
    let _ = host.store().take(&place, now).await;
    decode(&plain).map(Some)
}

fn open_reply(key: &seal::Key, question: &str, record: Record) -> Option<zeroize::Zeroizing<Vec<u8>>> {
    key.subkey(REPLY).open(question.as_bytes(), &Sealed(record.value))
}

const REPLY: &str = "reply";
