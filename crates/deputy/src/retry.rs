//! When to try again: what a server says of it, and for how long to pause where it says nothing.

use std::time::UNIX_EPOCH;

use http::{HeaderValue, Response, StatusCode, header};

use crate::{
    host::{DAY, Timestamp},
    seal::{Random, random_bytes},
};

/// Seconds after which a server that refuses a request for now takes the next one: `Retry-After` (RFC 9110 §10.2.3), or,
/// where the refusal is for a rate, what the drafts and customs before and after it say of one. A day at most.
pub(crate) fn retry_after<T>(response: &Response<T>, now: Timestamp) -> Option<u64> {
    let headers = response.headers();
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    // Moments are by the clock that wrote them.
    let now = headers.get(header::DATE).and_then(date).unwrap_or(now);
    let named = text("retry-after").and_then(|said| number(said).or_else(|| until(said, now)));
    // Some servers send these with every response.
    let for_rate =
        matches!(response.status(), StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
    let of_rate = || {
        let reset = text("ratelimit-reset").or_else(|| text("x-ratelimit-reset"));
        text("ratelimit").and_then(rate_limit).or_else(|| moment_or_seconds(reset?, now))
    };
    let seconds = named.or_else(|| for_rate.then(of_rate)?);
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

/// `"default";r=0;t=7` (draft-ietf-httpapi-ratelimit-headers-08 and later), where each policy has its own limit, or
/// `limit=10, remaining=0, reset=7` (before).
fn rate_limit(said: &str) -> Option<u64> {
    let policies = if said.contains(';') { said.split(',').collect() } else { vec![said] };
    let resets = policies.into_iter().filter_map(|policy| {
        let member = |names: [&str; 2]| {
            let members = policy.split([',', ';']).filter_map(|member| member.split_once('='));
            let value =
                members.filter(|(name, _)| names.contains(&name.trim())).map(|(_, value)| value).next();
            number(value?.trim())
        };
        // A policy that would let the next request pass is not the one that refused this.
        member(["t", "reset"]).filter(|_| member(["r", "remaining"]).is_none_or(|remaining| remaining == 0))
    });
    resets.max()
}

/// Some say when, in seconds or milliseconds, and some say in how long.
fn moment_or_seconds(said: &str, now: Timestamp) -> Option<u64> {
    Some(match number(said)? {
        millis @ 1_000_000_000_000.. => Timestamp(millis / 1000).since(now),
        moment @ 1_000_000_000.. => Timestamp(moment).since(now),
        seconds => seconds,
    })
}

/// A number of seconds. Some write fractions, which count whole.
fn number(said: &str) -> Option<u64> {
    let (whole, fraction) = said.split_once('.').unwrap_or((said, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    // Digits that are no number are too many.
    let seconds: u64 = whole.parse().unwrap_or(u64::MAX);
    Some(seconds.saturating_add(u64::from(fraction.bytes().any(|byte| byte != b'0'))))
}

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
            assert_eq!(seconds_of(429, &[(name, said)], NOW), seconds, "{name}: {said}");
        }
    }

    #[test]
    fn a_reset_that_is_a_moment_is_not_read_as_seconds() {
        for said in ["1767225607", "1767225607000", "1767225606.5"] {
            assert_eq!(seconds_of(429, &[("x-ratelimit-reset", said)], Timestamp(1_767_225_600)), Some(7));
        }
    }

    #[test]
    fn a_moment_is_by_the_clock_of_the_server_that_names_it() {
        let said =
            [("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT"), ("date", "Sun, 06 Nov 1994 08:49:30 GMT")];
        assert_eq!(seconds_of(503, &said, Timestamp(1)), Some(7));
    }

    #[test]
    fn a_limit_that_did_not_refuse_the_request_is_no_reason_to_wait() {
        for name in ["ratelimit", "ratelimit-reset", "x-ratelimit-reset"] {
            let value = if name == "ratelimit" { "limit=9, remaining=0, reset=7" } else { "7" };
            let seconds = [400, 500, 429].map(|status| seconds_of(status, &[(name, value)], NOW));
            assert_eq!(seconds, [None, None, Some(7)], "{name}");
        }
    }

    fn seconds_of(status: u16, headers: &[(&str, &str)], now: Timestamp) -> Option<u64> {
        let mut response = Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        retry_after(&response.body(()).unwrap(), now)
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
