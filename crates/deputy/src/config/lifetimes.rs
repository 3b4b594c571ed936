//! How long tokens are valid.

use std::time::Duration;

pub(super) fn lifetime(value: &str) -> Result<Duration, &'static str> {
    match value.parse::<u64>() {
        Ok(seconds @ 60..=31_536_000) => Ok(Duration::from_secs(seconds)),
        _ => Err("must be seconds, from 60 to 31536000"),
    }
}

pub(super) const HOUR: Duration = Duration::from_hours(1);
pub(super) const MONTH: Duration = Duration::from_hours(30 * 24);
