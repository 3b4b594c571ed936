//! How long tokens are valid.

use std::{ops::RangeInclusive, time::Duration};

use super::variable::{DefaultValue, Syntax, Variable};

pub(super) static ACCESS_TOKEN_LIFETIME: Variable = Variable {
    name: "ACCESS_TOKEN_LIFETIME",
    former_name: None,
    summary: "lifetime of Deputy's access tokens",
    details: "",
    syntax: Syntax::Seconds(SECONDS),
    default: DefaultValue::Value("3600"),
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
