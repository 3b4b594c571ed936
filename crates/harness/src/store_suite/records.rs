//! Records that have not expired: values, keys and sizes.

use deputy::host::{Digest, RecordKey};
use futures_util::future::join_all;

use super::{Outcome, Trial, differs, failed, same};

pub(super) async fn absent(trial: Trial<'_>) -> Outcome {
    for key in [trial.grant(0), trial.login(0), trial.client("absent")] {
        same("get", trial.value(&key).await?, None)?;
    }
    same("take", trial.take(&trial.grant(0)).await?, None)
}

pub(super) async fn put_and_get(trial: Trial<'_>) -> Outcome {
    let digest = Digest(trial.bytes(0));
    let keys = [
        trial.approval(0),
        trial.client("known"),
        trial.grant(0),
        trial.login(0),
        RecordKey::Assertion(digest),
        RecordKey::Delivery(digest),
        RecordKey::Reply(digest),
        RecordKey::User(digest),
    ];
    for key in &keys {
        trial.put(key, key.kind().as_bytes()).await?;
    }
    for key in &keys {
        let record = trial.store.get(key, trial.now).await.map_err(failed)?;
        let seen = record.map(|record| (record.value, record.expires_at));
        same(key.kind(), seen, Some((key.kind().as_bytes().to_vec(), trial.later())))?;
    }
    Ok(())
}

pub(super) async fn put_overwrites(trial: Trial<'_>) -> Outcome {
    let key = trial.grant(0);
    trial.put(&key, b"first").await?;
    let first = trial.version(&key).await?;
    trial.put(&key, b"second").await?;
    same("the value", trial.value(&key).await?, Some(b"second".to_vec()))?;
    differs("the version", trial.version(&key).await?, first)
}

pub(super) async fn kinds_are_apart(trial: Trial<'_>) -> Outcome {
    let digest = Digest(trial.bytes(0));
    // These three have one name.
    let (approval, grant, login) = (trial.approval(0), trial.grant(0), trial.login(0));
    let (reply, user) = (RecordKey::Reply(digest), RecordKey::User(digest));
    let client = RecordKey::Client(login.name());
    for key in [&approval, &client, &grant, &login, &reply, &user] {
        trial.put(key, key.kind().as_bytes()).await?;
    }
    same("take of the login", trial.take(&login).await?, Some(b"login".to_vec()))?;
    for key in [&approval, &client, &grant, &reply, &user] {
        same(key.kind(), trial.value(key).await?, Some(key.kind().as_bytes().to_vec()))?;
    }
    same("the login", trial.value(&login).await?, None)
}

/// The records of one login, each of which takes the place of the one before.
pub(super) async fn login_becomes_a_grant(trial: Trial<'_>) -> Outcome {
    let (approval, grant, login) = (trial.approval(0), trial.grant(0), trial.login(0));
    trial.put(&approval, b"approval").await?;
    same("the approval", trial.take(&approval).await?, Some(b"approval".to_vec()))?;
    same("take of the login", trial.take(&login).await?, None)?;
    trial.put(&login, b"login").await?;
    same("the approval", trial.take(&approval).await?, None)?;
    same("the login", trial.take(&login).await?, Some(b"login".to_vec()))?;
    same("the first write", trial.replace(&grant, None, b"grant").await?, true)?;
    same("the second write", trial.replace(&grant, None, b"other").await?, false)?;
    same("the login", trial.take(&login).await?, None)?;
    same("the grant", trial.take(&grant).await?, Some(b"grant".to_vec()))?;
    same("the grant", trial.value(&grant).await?, None)
}

pub(super) async fn sizes(trial: Trial<'_>) -> Outcome {
    let large: Vec<u8> = (0..=u8::MAX).cycle().take(64 * 1024).collect();
    trial.put(&trial.grant(0), &large).await?;
    trial.put(&trial.grant(1), b"").await?;
    let seen = trial.value(&trial.grant(0)).await?;
    if seen.as_ref() != Some(&large) {
        return Err(format!("{:?} bytes came back, or other bytes", seen.map(|value| value.len())));
    }
    same("the empty value", trial.value(&trial.grant(1)).await?, Some(Vec::new()))
}

pub(super) async fn unusual_names(trial: Trial<'_>) -> Outcome {
    let keys: Vec<RecordKey> = UNUSUAL.iter().map(|name| trial.client(name)).collect();
    for (key, name) in keys.iter().zip(UNUSUAL) {
        trial.put(key, name.as_bytes()).await?;
    }
    for (key, name) in keys.iter().zip(UNUSUAL) {
        same(name, trial.value(key).await?, Some(name.as_bytes().to_vec()))?;
    }
    Ok(())
}

pub(super) async fn probe(trial: Trial<'_>) -> Outcome {
    for now in [trial.now, trial.now, trial.later()] {
        trial.store.probe(now).await.map_err(failed)?;
    }
    Ok(())
}

pub(super) async fn many_at_once(trial: Trial<'_>) -> Outcome {
    let trial = &trial;
    let written = join_all((0..200_u64).map(|number| async move {
        trial.put(&trial.grant(number), &number.to_be_bytes()).await?;
        same("a record", trial.value(&trial.grant(number)).await?, Some(number.to_be_bytes().to_vec()))
    }));
    written.await.into_iter().collect()
}

const UNUSUAL: [&str; 10] = [
    "https://client.example/metadata.json?a=1&b=%2F#x",
    "it's \"quoted\" `here`",
    "'; DROP TABLE record; --",
    "100% of_them*",
    "line\r\nbreak\ttab",
    "back\\slash/../..",
    "Ünïcödé",
    "U\u{308}nïcödé",
    "客户端 🤖 \u{202e}rtl",
    " ",
];
