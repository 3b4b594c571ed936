//! Replacement by version, removal, and races.

use std::ops::Range;

use deputy::host::{RecordKey, Version};
use futures_util::future::join_all;

use super::{Outcome, Trial, differs, same};

pub(super) async fn replace_creates(trial: Trial<'_>) -> Outcome {
    let key = trial.grant(0);
    same("without a record", trial.replace(&key, None, b"first").await?, true)?;
    same("with a record", trial.replace(&key, None, b"second").await?, false)?;
    same("the value", trial.value(&key).await?, Some(b"first".to_vec()))
}

pub(super) async fn replace_by_version(trial: Trial<'_>) -> Outcome {
    let key = trial.grant(0);
    trial.put(&key, b"first").await?;
    let version = trial.version(&key).await?;
    same("with the version", trial.replace(&key, Some(version), b"second").await?, true)?;
    same("with it again", trial.replace(&key, Some(version), b"third").await?, false)?;
    same("the value", trial.value(&key).await?, Some(b"second".to_vec()))?;
    differs("the version", trial.version(&key).await?, version)
}

pub(super) async fn replace_removed(trial: Trial<'_>) -> Outcome {
    let key = trial.grant(0);
    trial.put(&key, b"value").await?;
    let version = trial.version(&key).await?;
    same("take", trial.take(&key).await?, Some(b"value".to_vec()))?;
    same("replaced", trial.replace(&key, Some(version), b"next").await?, false)?;
    same("the record", trial.value(&key).await?, None)
}

pub(super) async fn create_race(trial: Trial<'_>) -> Outcome {
    race(trial, trial.grant(0), None).await
}

pub(super) async fn replace_race(trial: Trial<'_>) -> Outcome {
    let key = trial.grant(0);
    trial.put(&key, b"value").await?;
    let version = trial.version(&key).await?;
    race(trial, key, Some(version)).await
}

/// Replaces `expected` from many callers at once: one succeeds, and its value is stored.
pub(super) async fn race(trial: Trial<'_>, key: RecordKey, expected: Option<Version>) -> Outcome {
    let (trial, key) = (&trial, &key);
    let results =
        join_all(RACERS.map(|racer| async move { trial.replace(key, expected, &[racer]).await })).await;
    let results: Vec<bool> = results.into_iter().collect::<Result<_, _>>()?;
    let winners: Vec<u8> = RACERS.zip(results).filter(|(_, won)| *won).map(|(racer, _)| racer).collect();
    same("the number of winners", winners.len(), 1)?;
    same("the value", trial.value(key).await?, Some(winners))
}

pub(super) async fn take_removes(trial: Trial<'_>) -> Outcome {
    let key = trial.login(0);
    trial.put(&key, b"value").await?;
    same("the first", trial.take(&key).await?, Some(b"value".to_vec()))?;
    same("the second", trial.take(&key).await?, None)?;
    same("get", trial.value(&key).await?, None)
}

pub(super) async fn take_race(trial: Trial<'_>) -> Outcome {
    let key = trial.login(0);
    trial.put(&key, b"value").await?;
    let (trial, key) = (&trial, &key);
    let results = join_all(RACERS.map(|_| async move { trial.take(key).await })).await;
    let results: Vec<Option<Vec<u8>>> = results.into_iter().collect::<Result<_, _>>()?;
    same("the results", results.into_iter().flatten().collect(), vec![b"value".to_vec()])
}

pub(super) async fn take_against_replace(trial: Trial<'_>) -> Outcome {
    for number in 0..8 {
        let key = trial.grant(number);
        trial.put(&key, b"old").await?;
        let version = trial.version(&key).await?;
        let (taken, replaced) =
            futures_util::future::join(trial.take(&key), trial.replace(&key, Some(version), b"new")).await;
        match (taken?.as_deref(), replaced?) {
            (Some(b"old"), false) | (Some(b"new"), true) => {
                same("the record", trial.value(&key).await?, None)?;
            }
            seen => return Err(format!("taken and replaced: {seen:?}")),
        }
    }
    Ok(())
}

pub(super) async fn versions_differ(trial: Trial<'_>) -> Outcome {
    let key = trial.grant(0);
    let mut seen: Vec<Version> = Vec::new();
    for round in 0..6 {
        let created = trial.replace(&key, None, b"value").await?;
        same("created", created, true)?;
        let first = trial.version(&key).await?;
        same("replaced", trial.replace(&key, Some(first), b"next").await?, true)?;
        for version in [first, trial.version(&key).await?] {
            if seen.contains(&version) {
                return Err(format!("{version:?} came again in round {round}"));
            }
            seen.push(version);
        }
        trial.take(&key).await?;
    }
    Ok(())
}

const RACERS: Range<u8> = 0..16;
