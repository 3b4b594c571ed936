//! `PingOne` over the network: requests, and what this process remembers of it.

mod breaker;
mod client;
mod document;
mod error;

pub(crate) use client::{Authenticated, PingOneClient};
pub(crate) use error::PingOneError;
