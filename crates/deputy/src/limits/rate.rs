//! Rate limits per remote address.

use std::net::IpAddr;

use http::{Extensions, HeaderMap, request::Parts};

use crate::{
    config::RateLimits,
    host::{ClientAddress, EndpointKind, Host, RetryAfter, Source},
    http::Initiator,
};

/// Counts a request to `endpoint` for its remote address. Cross-site browser traffic has a separate count.
pub(crate) async fn admit(
    host: &Host,
    limits: Option<RateLimits>,
    head: &Parts,
    endpoint: EndpointKind,
) -> Result<(), RetryAfter> {
    let (Some(limits), Some(source)) = (limits, counted(&head.headers, &head.extensions)) else {
        return Ok(());
    };
    let admitted = host.rate_limiter.admit(endpoint, source, limits.of(endpoint)).await;
    if admitted.is_err() {
        tracing::warn!(?endpoint, %source, "too many requests from one address");
    }
    admitted
}

/// The rate-limit key of a request. `None`: it is not counted.
///
/// Requests from a loopback address are not counted. They come from the operator, or through a proxy that does not name
/// its clients, where one client could use up the limit of all. Cross-site browser traffic on this computer is counted.
fn counted(headers: &HeaderMap, extensions: &Extensions) -> Option<Source> {
    let address = extensions.get::<ClientAddress>()?.source();
    let source = Source { address, page: Initiator::of(headers) == Initiator::OtherSite };
    (source.page || !address.is_loopback()).then_some(source)
}

/// The remote address of a request, unless it is a loopback address.
pub(crate) fn remote_source(extensions: &Extensions) -> Option<IpAddr> {
    let address: &ClientAddress = extensions.get()?;
    Some(address.source()).filter(|source| !source.is_loopback())
}
