//! How long tokens are valid.

use std::{ops::RangeInclusive, time::Duration};

use super::variable::{DefaultValue, Syntax, Variable};

pub(super) static ACCESS_TOKEN_LIFETIME: Variable = Variable {
    name: "ACCESS_TOKEN_LIFETIME",
    former_name: None,
    summary: "lifetime of Deputy's access tokens",
    details: "The default is a working day, because some programs do not keep the time at which their token expires: a \
              new process of a program with the Python SDK sends the user to log in again instead of refreshing. The \
              lifetime does not delay the end of an access. Deputy reads the grant for each request, so that a \
              revocation and a change in *Your agents* take effect at once. The end of the user's login at PingOne takes \
              effect when PingOne's webhook reports it, or else with the next refresh at PingOne \
              (`PINGONE_CHECK_INTERVAL`). The lifetime bounds the use of a token that leaks unnoticed. A \
              client keeps its refresh token beside the access token, so a shorter lifetime helps only where an access \
              token can leak alone, such as in the log of a proxy.",
    syntax: Syntax::Seconds(SECONDS),
    default: DefaultValue::Value("28800"),
    example: Some("900"),
    on_workers: None,
    secret: false,
};

pub(super) static REFRESH_TOKEN_LIFETIME: Variable = Variable {
    name: "REFRESH_TOKEN_LIFETIME",
    former_name: None,
    summary: "lifetime of Deputy's refresh tokens",
    details: "It begins anew with each refresh: a login that a client does not use for so long ends. It must not be \
              shorter than `ACCESS_TOKEN_LIFETIME`.",
    syntax: Syntax::Seconds(SECONDS),
    default: DefaultValue::Value("2592000"),
    example: Some("604800"),
    on_workers: None,
    secret: false,
};

pub(super) fn lifetime(value: &str) -> Result<Duration, &'static str> {
    match value.parse::<u64>() {
        Ok(seconds) if SECONDS.contains(&seconds) => Ok(Duration::from_secs(seconds)),
        _ => Err("must be whole seconds, from 60 to 31536000"),
    }
}

/// One minute to one year.
const SECONDS: RangeInclusive<u64> = 60..=31_536_000;
