//! When to try again: what a server says of it, and for how long to pause where it says nothing.

use std::time::UNIX_EPOCH;

use http::{HeaderMap, HeaderValue};

use crate::{
    host::Timestamp,
    seal::{Random, random_bytes},
};

/// Seconds after which a server that refuses a request for now takes the next one: `Retry-After` (RFC 9110 §10.2.3), or
/// what the drafts and customs before and after it say of a rate limit. A day at most.
pub(crate) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<u64> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let named = text("retry-after").and_then(|said| said.parse().ok().or_else(|| until(said, now)));
    let seconds = named
        .or_else(|| text("ratelimit").and_then(|said| member(said, &["t", "reset"])))
        .or_else(|| text("ratelimit-reset").and_then(|said| moment_or_seconds(said, now)))
        .or_else(|| text("x-ratelimit-reset").and_then(|said| moment_or_seconds(said, now)));
    seconds.map(|seconds: u64| seconds.min(DAY))
}

/// A date of HTTP (RFC 9110 §5.6.7).
pub(crate) fn date(value: &HeaderValue) -> Option<Timestamp> {
    let date = httpdate::parse_http_date(value.to_str().ok()?).ok()?;
    Some(Timestamp(date.duration_since(UNIX_EPOCH).ok()?.as_secs()))
}

/// For how many seconds to pause after the last of `failures` in a row: 5, 10, 20 … 60, and up to half as much again at
/// random, so that those who failed together do not try again together.
pub(crate) fn pause(failures: u32, random: Random<'_>) -> u64 {
    let seconds = (5 << failures.saturating_sub(1).min(4)).min(60);
    seconds + below(seconds / 2 + 1, random)
}

/// A random number below `bound`, which is 256 at most.
pub(crate) fn below(bound: u64, random: Random<'_>) -> u64 {
    let [byte] = random_bytes(random);
    u64::from(byte) * bound / 256
}

fn until(said: &str, now: Timestamp) -> Option<u64> {
    Some(date(&HeaderValue::from_str(said).ok()?)?.since(now))
}

/// `"default";r=0;t=7` (draft-ietf-httpapi-ratelimit-headers-08 and later), `limit=10, remaining=0, reset=7` (before).
fn member(said: &str, names: &[&str]) -> Option<u64> {
    said.split([',', ';']).find_map(|member| {
        let (name, value) = member.split_once('=')?;
        names.contains(&name.trim()).then(|| value.trim().parse().ok())?
    })
}

/// Some say when, and some say in how long.
fn moment_or_seconds(said: &str, now: Timestamp) -> Option<u64> {
    let number: u64 = said.parse().ok()?;
    Some(if number > 1_000_000_000 { Timestamp(number).since(now) } else { number })
}

const DAY: u64 = 24 * 3600;

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 9110 §5.6.7 has this date in its three forms.
    const NOW: Timestamp = Timestamp(784_111_777 - 7);

    #[test]
    fn every_form_of_when_to_try_again_is_read() {
        for (name, said, seconds) in [
            ("retry-after", "7", Some(7)),
            ("retry-after", " 7 ", Some(7)),
            ("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT", Some(7)),
            ("retry-after", "Sunday, 06-Nov-94 08:49:37 GMT", Some(7)),
            ("retry-after", "Sun Nov  6 08:49:37 1994", Some(7)),
            ("retry-after", "Sun, 06 Nov 1994 08:49:00 GMT", Some(0)),
            ("retry-after", "99999999", Some(DAY)),
            ("retry-after", "soon", None),
            ("retry-after", "-7", None),
            ("ratelimit", "\"default\";r=0;t=7", Some(7)),
            ("ratelimit", "limit=100, remaining=0, reset=7", Some(7)),
            ("ratelimit", "\"default\";r=0", None),
            ("ratelimit-reset", "7", Some(7)),
            ("x-ratelimit-reset", "7", Some(7)),
            ("x-request-id", "7", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_static(said));
            assert_eq!(retry_after(&headers, NOW), seconds, "{name}: {said}");
        }
    }

    #[test]
    fn a_reset_that_is_a_moment_is_not_read_as_seconds() {
        let mut headers = HeaderMap::new();
        headers.insert("x-ratelimit-reset", HeaderValue::from_static("1767225607"));
        assert_eq!(retry_after(&headers, Timestamp(1_767_225_600)), Some(7));
    }

    #[test]
    fn a_pause_grows_to_a_minute_and_a_half() {
        let least: Random<'_> = &|buffer: &mut [u8]| buffer.fill(0);
        let most: Random<'_> = &|buffer: &mut [u8]| buffer.fill(255);
        let pauses =
            [1, 2, 3, 4, 5, u32::MAX].map(|failures| (pause(failures, least), pause(failures, most)));
        assert_eq!(pauses, [(5, 7), (10, 15), (20, 30), (40, 60), (60, 90), (60, 90)]);
    }
}
