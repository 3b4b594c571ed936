//! Expired records.

use super::{LIFE, Outcome, Trial, differs, exists, failed, same};

pub(super) async fn get_expired(trial: Trial<'_>) -> Outcome {
    let key = trial.login(0);
    trial.put(&key, b"value").await?;
    let (before, at) = (trial.now.plus(LIFE - 1), trial.later());
    same("a second before", exists(trial.store.get(&key, before).await)?, true)?;
    same("at the second", exists(trial.store.get(&key, at).await)?, false)?;
    same("long after", exists(trial.store.get(&key, at.plus(LIFE)).await)?, false)
}

pub(super) async fn take_expired(trial: Trial<'_>) -> Outcome {
    let (early, late) = (trial.login(0), trial.login(1));
    trial.put(&early, b"value").await?;
    trial.put(&late, b"value").await?;
    let (before, at) = (trial.now.plus(LIFE - 1), trial.later());
    same("a second before", exists(trial.store.take(&early, before).await)?, true)?;
    same("at the second", exists(trial.store.take(&late, at).await)?, false)
}

pub(super) async fn replace_expired(trial: Trial<'_>) -> Outcome {
    let key = trial.grant(0);
    trial.put(&key, b"value").await?;
    let version = trial.version(&key).await?;
    let (at, end) = (trial.later(), trial.now.plus(2 * LIFE));
    let replaced =
        trial.store.replace(&key, Some(version), b"next".to_vec(), end, at).await.map_err(failed)?;
    same("replaced", replaced, false)?;
    same("the record", exists(trial.store.get(&key, at).await)?, false)
}

pub(super) async fn create_over_expired(trial: Trial<'_>) -> Outcome {
    let key = trial.grant(0);
    trial.put(&key, b"old").await?;
    let old = trial.version(&key).await?;
    let (at, end) = (trial.later(), trial.now.plus(2 * LIFE));
    let created = trial.store.replace(&key, None, b"new".to_vec(), end, at).await.map_err(failed)?;
    same("created", created, true)?;
    let record = trial.store.get(&key, at).await.map_err(failed)?.ok_or("no record")?;
    same("the value", record.value, b"new".to_vec())?;
    differs("the version", record.version, old)
}
