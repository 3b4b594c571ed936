//! When to retry: the delay that a server asks for, and the backoff without one.

use std::time::UNIX_EPOCH;

use http::{HeaderValue, Response, StatusCode, header};

use crate::{
    host::{DAY, Timestamp},
    seal::{Random, random_bytes},
};

/// Seconds after which a server that refused a request may accept the next one; a day at most.
///
/// `Retry-After` (RFC 9110 §10.2.3: seconds or a date) comes first. A `429` or `503` may have a rate limit field
/// instead: `RateLimit` (draft-ietf-httpapi-ratelimit-headers), or `RateLimit-Reset` and `X-RateLimit-Reset`, which are
/// older.
pub fn retry_after<T>(response: &Response<T>, now: Timestamp) -> Option<u64> {
    let headers = response.headers();
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    // A date is compared with the clock of the server that sent it (RFC 9110 §6.6.1: `Date`).
    let now = headers.get(header::DATE).and_then(http_date).unwrap_or(now);
    let retry_after =
        text("retry-after").and_then(|value| seconds(value).or_else(|| seconds_until(value, now)));
    // Some servers send rate limit fields with every response.
    let is_rate_limited =
        matches!(response.status(), StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
    let reset_after = || {
        let reset = text("ratelimit-reset").or_else(|| text("x-ratelimit-reset"));
        text("ratelimit").and_then(rate_limit).or_else(|| timestamp_or_seconds(reset?, now))
    };
    let delay: Option<u64> = retry_after.or_else(|| is_rate_limited.then(reset_after)?);
    delay.map(|seconds| seconds.min(DAY))
}

/// Parses an HTTP date in any of its three forms (RFC 9110 §5.6.7).
pub fn http_date(value: &HeaderValue) -> Option<Timestamp> {
    let date = httpdate::parse_http_date(value.to_str().ok()?).ok()?;
    Some(Timestamp(date.duration_since(UNIX_EPOCH).ok()?.as_secs()))
}

/// Seconds to wait after `failures` failures in a row: 5, 10, 20, 40, 60. Up to half of it is added at random, so that
/// requests which failed at the same time do not retry at the same time.
pub(crate) fn backoff(failures: u32, random: Random<'_>) -> u64 {
    let seconds = (5 << failures.saturating_sub(1).min(4)).min(60);
    seconds + random_below(seconds / 2 + 1, random)
}

/// Draws a number below `bound`, which must be 256 or less.
pub(crate) fn random_below(bound: u64, random: Random<'_>) -> u64 {
    let [byte] = random_bytes(random);
    u64::from(byte) * bound / 256
}

fn seconds_until(value: &str, now: Timestamp) -> Option<u64> {
    Some(http_date(&HeaderValue::from_str(value).ok()?)?.since(now))
}

/// Seconds in a `RateLimit` field: `"default";r=0;t=7`, with one limit for each policy
/// (draft-ietf-httpapi-ratelimit-headers-08 and later), or `limit=10, remaining=0, reset=7` (earlier drafts).
fn rate_limit(value: &str) -> Option<u64> {
    let policies = if value.contains(';') { value.split(',').collect() } else { vec![value] };
    let resets = policies.into_iter().filter_map(|policy| {
        let member = |names: [&str; 2]| {
            let members = policy.split([',', ';']).filter_map(|member| member.split_once('='));
            let value =
                members.filter(|(name, _)| names.contains(&name.trim())).map(|(_, value)| value).next();
            seconds(value?.trim())
        };
        // A policy with requests remaining did not refuse this one.
        member(["t", "reset"]).filter(|_| member(["r", "remaining"]).is_none_or(|remaining| remaining == 0))
    });
    resets.max()
}

/// Seconds in `RateLimit-Reset`. Servers write a delay in seconds, or a Unix timestamp in seconds or milliseconds.
fn timestamp_or_seconds(value: &str, now: Timestamp) -> Option<u64> {
    Some(match seconds(value)? {
        millis @ 1_000_000_000_000.. => Timestamp(millis / 1000).since(now),
        timestamp @ 1_000_000_000.. => Timestamp(timestamp).since(now),
        delay => delay,
    })
}

/// Parses a number of seconds. A fraction, which some servers write, is rounded up.
fn seconds(value: &str) -> Option<u64> {
    let (whole, fraction) = value.split_once('.').unwrap_or((value, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    // A number that does not fit is a long delay.
    let seconds: u64 = whole.parse().unwrap_or(u64::MAX);
    Some(seconds.saturating_add(u64::from(fraction.bytes().any(|byte| byte != b'0'))))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 9110 §5.6.7 has this date in its three forms.
    const NOW: Timestamp = Timestamp(784_111_777 - 7);

    #[test]
    fn every_form_of_a_retry_delay_is_parsed() {
        for (name, value, seconds) in [
            ("retry-after", "7", Some(7)),
            ("retry-after", " 7 ", Some(7)),
            ("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT", Some(7)),
            ("retry-after", "Sunday, 06-Nov-94 08:49:37 GMT", Some(7)),
            ("retry-after", "Sun Nov  6 08:49:37 1994", Some(7)),
            ("retry-after", "Sun, 06 Nov 1994 08:49:00 GMT", Some(0)),
            ("retry-after", "99999999", Some(DAY)),
            ("retry-after", "soon", None),
            ("retry-after", "-7", None),
            ("retry-after", "6.5", Some(7)),
            ("retry-after", "99999999999999999999999999", Some(DAY)),
            ("retry-after", "1e3", None),
            ("retry-after", "", None),
            ("ratelimit", "\"burst\";r=9;t=60, \"day\";r=0;t=7", Some(7)),
            ("ratelimit", "\"burst\";r=9;t=60", None),
            ("ratelimit", "\"default\";r=0;t=7", Some(7)),
            ("ratelimit", "limit=100, remaining=0, reset=7", Some(7)),
            ("ratelimit", "\"default\";r=0", None),
            ("ratelimit-reset", "7", Some(7)),
            ("x-ratelimit-reset", "7", Some(7)),
            ("x-request-id", "7", None),
        ] {
            assert_eq!(delay_of(429, &[(name, value)], NOW), seconds, "{name}: {value}");
        }
    }

    #[test]
    fn reset_with_a_timestamp_is_not_taken_for_seconds() {
        for value in ["1767225607", "1767225607000", "1767225606.5"] {
            assert_eq!(delay_of(429, &[("x-ratelimit-reset", value)], Timestamp(1_767_225_600)), Some(7));
        }
    }

    #[test]
    fn date_is_compared_with_the_clock_of_its_server() {
        let value =
            [("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT"), ("date", "Sun, 06 Nov 1994 08:49:30 GMT")];
        assert_eq!(delay_of(503, &value, Timestamp(1)), Some(7));
    }

    #[test]
    fn rate_limit_that_did_not_refuse_the_request_is_ignored() {
        for name in ["ratelimit", "ratelimit-reset", "x-ratelimit-reset"] {
            let value = if name == "ratelimit" { "limit=9, remaining=0, reset=7" } else { "7" };
            let seconds = [400, 500, 429].map(|status| delay_of(status, &[(name, value)], NOW));
            assert_eq!(seconds, [None, None, Some(7)], "{name}");
        }
    }

    fn delay_of(status: u16, headers: &[(&str, &str)], now: Timestamp) -> Option<u64> {
        let mut response = Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        retry_after(&response.body(()).unwrap(), now)
    }

    #[test]
    fn backoff_grows_to_a_minute_and_a_half() {
        let least: Random<'_> = &|buffer: &mut [u8]| buffer.fill(0);
        let most: Random<'_> = &|buffer: &mut [u8]| buffer.fill(255);
        let pauses =
            [1, 2, 3, 4, 5, u32::MAX].map(|failures| (backoff(failures, least), backoff(failures, most)));
        assert_eq!(pauses, [(5, 7), (10, 15), (20, 30), (40, 60), (60, 90), (60, 90)]);
    }
}
