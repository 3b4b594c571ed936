//! `PingOne` over the network: requests, its documents as this process caches them, and the circuit breaker.

mod breaker;
mod client;
mod document;
mod error;

pub(crate) use client::{Authenticated, PingOneClient};
pub(crate) use error::PingOneError;
