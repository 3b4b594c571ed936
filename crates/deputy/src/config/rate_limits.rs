//! How many requests one address may send.

use std::num::NonZeroU32;

use super::variable::{DefaultValue, Syntax, Variable};
use crate::host::EndpointKind;

/// `RATE_LIMITS`: requests a minute from one address, which may be that of a company, or of a hosted client with all of its
/// users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimits {
    /// To the endpoints of [`EndpointKind::Authorize`].
    pub authorize: NonZeroU32,
    /// To the endpoint of [`EndpointKind::Register`].
    pub register: NonZeroU32,
    /// To the endpoints of [`EndpointKind::Token`].
    pub token: NonZeroU32,
}

impl RateLimits {
    /// Requests a minute to `endpoint`.
    ///
    /// ```
    /// use deputy::{config::RateLimits, host::EndpointKind};
    ///
    /// assert_eq!(RateLimits::default().of(EndpointKind::Token).get(), 600);
    /// ```
    pub const fn of(&self, endpoint: EndpointKind) -> NonZeroU32 {
        match endpoint {
            EndpointKind::Authorize => self.authorize,
            EndpointKind::Register => self.register,
            EndpointKind::Token => self.token,
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

pub(super) static RATE_LIMITS: Variable = Variable {
    name: "RATE_LIMITS",
    former_name: None,
    summary: "requests a minute that Deputy accepts from one address",
    details: "`authorize` is the limit of `/authorize` and `/agents` together, and `token` that of `/token`, `/revoke`, \
              the admin interface, and deliveries of PingOne's webhook without the secret. A limit that is left out \
              keeps its default. Further requests get `429`. Requests that pages of other sites make in browsers have limits \
              of their own, with the same numbers. `off` is for load tests.",
    syntax: Syntax::Text(
        "`on`, `off`, or `authorize=<number>`, `register=<number>` and `token=<number>` with commas between them, \
         each number at least 1",
    ),
    default: DefaultValue::Value("authorize=120,register=60,token=600"),
    example: Some("register=10"),
    on_workers: Some("only `on` or `off`; the numbers are in `wrangler.jsonc`, at `ratelimits`"),
    secret: false,
};

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
