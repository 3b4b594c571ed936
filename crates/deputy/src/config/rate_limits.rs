//! How many requests one address may send.

use std::num::NonZeroU32;

use crate::host::Endpoint;

/// `RATE_LIMITS`: requests a minute from one address. An address may be that of a hosted client for all of its users, or of
/// a whole company.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimits {
    /// To `/authorize`.
    pub authorize: NonZeroU32,
    /// To `/register`.
    pub register: NonZeroU32,
    /// To `/token` and `/revoke`.
    pub token: NonZeroU32,
}

impl RateLimits {
    /// Requests a minute to `endpoint`.
    pub const fn of(&self, endpoint: Endpoint) -> NonZeroU32 {
        match endpoint {
            Endpoint::Authorize => self.authorize,
            Endpoint::Register => self.register,
            Endpoint::Token => self.token,
        }
    }
}

impl Default for RateLimits {
    fn default() -> Self {
        const fn number(value: u32) -> NonZeroU32 {
            NonZeroU32::new(value).expect("positive")
        }
        Self { authorize: number(120), register: number(60), token: number(600) }
    }
}

pub(super) fn rate_limits(value: &str) -> Result<Option<RateLimits>, &'static str> {
    const PROBLEM: &str = "must be on, off, or numbers of requests a minute from one address, such as \
                           authorize=120,register=60,token=600";
    let mut limits = RateLimits::default();
    match value {
        "on" => return Ok(Some(limits)),
        "off" => return Ok(None),
        _ => {}
    }
    for part in value.split(',') {
        let (name, number) = part.trim().split_once('=').ok_or(PROBLEM)?;
        let limit = match name {
            "authorize" => &mut limits.authorize,
            "register" => &mut limits.register,
            "token" => &mut limits.token,
            _ => return Err(PROBLEM),
        };
        *limit = number.parse().map_err(|_| PROBLEM)?;
    }
    Ok(Some(limits))
}
