//! `PingOne` over the network: requests, its documents as this process caches them, the circuit breaker, and events.

mod breaker;
mod client;
mod document;
mod error;
mod event;
mod login_url;

pub(crate) use client::{Authenticated, PingOneClient};
pub(crate) use error::PingOneError;
pub(crate) use event::{DeliveredEvent, LoginEvent, RefusedDelivery, read_delivery};
pub(crate) use login_url::LoginUrl;
