//! `PingOne` over the network: requests, and what this process remembers of it.

mod breaker;
mod client;
mod document;

pub(crate) use client::{Authenticated, PingOneClient, PingOneError};
