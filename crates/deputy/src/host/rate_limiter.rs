//! Rate limits by remote address.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
};

use super::BoxFuture;

/// Counts the requests of remote addresses.
pub trait RateLimiter: Send + Sync {
    /// Counts a request to `endpoint` from `source`, of which `per_minute` are admitted. Memory is bounded. A limiter that has
    /// lost its counts admits.
    fn admit(
        &self,
        endpoint: EndpointKind,
        source: Source,
        per_minute: NonZeroU32,
    ) -> BoxFuture<'_, Result<(), RetryAfter>>;
}

/// The kinds of endpoints that have a rate limit. Those of one kind share it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndpointKind {
    /// `GET /authorize` and `/agents`, which both begin logins.
    Authorize,
    /// `POST /register`
    Register,
    /// `POST /token`, `POST /revoke`, the admin interface, and deliveries of PingOne's webhook without the secret.
    Token,
}

/// The rate-limit key of a request. Cross-site browser traffic has its own count, so that a hostile page cannot exhaust the
/// limit of MCP clients behind the same address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Source {
    /// The remote address, as [`ClientAddress::source`] gives it.
    pub address: IpAddr,
    /// Whether a browser reports that a page of another site sent the request. A page cannot forge that. A program can, and
    /// gains a second limit that is no higher than the first.
    pub page: bool,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, page } = self;
        write!(f, "{address}{}", if *page { " (pages)" } else { "" })
    }
}

/// The request was refused. The next one may come after this many seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryAfter(pub u64);

/// The remote address of a request, in its extensions. A request without one is not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

impl ClientAddress {
    /// The address by which the client is counted. A household with IPv6 has 2⁷² addresses, so an IPv6 address counts as its
    /// network of 56 bits, which is what providers assign.
    ///
    /// ```
    /// use deputy::host::ClientAddress;
    ///
    /// let source = |address: &str| ClientAddress(address.parse().unwrap()).source();
    /// assert_eq!(source("2001:db8:1:2::1"), source("2001:db8:1:ff::1"));
    /// assert_eq!(source("::ffff:192.0.2.1").to_string(), "192.0.2.1");
    /// ```
    pub fn source(self) -> IpAddr {
        match self.0.to_canonical() {
            IpAddr::V6(address) if !address.is_loopback() => {
                let [a, b, c, d, ..] = address.segments();
                Ipv6Addr::new(a, b, c, d & 0xff00, 0, 0, 0, 0).into()
            }
            address => address,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipv6_networks_of_56_bits_and_mapped_addresses_are_sources() {
        let source = |text: &str| ClientAddress(text.parse().unwrap()).source();
        assert_eq!(source("2001:db8:1:2:3:4:5:6"), source("2001:db8:1:2::1"));
        assert_eq!(source("2001:db8:1:2::1"), source("2001:db8:1:ff::1"));
        assert_ne!(source("2001:db8:1:2::1"), source("2001:db8:1:102::1"));
        assert_eq!(source("::ffff:192.0.2.1").to_string(), "192.0.2.1");
        assert!(source("::ffff:127.0.0.1").is_loopback());
        assert!(source("::1").is_loopback());
    }
}
