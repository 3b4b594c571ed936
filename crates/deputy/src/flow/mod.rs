//! One file for each endpoint: read, decide, write, answer. The only place that waits.

pub(crate) mod approve;
pub(crate) mod authorize;
mod breaker;
pub(crate) mod callback;
mod client;
mod conversation;
mod issue;
mod login;
pub(crate) mod mcp;
mod provider;
mod published;
mod refresh;
pub(crate) mod register;
pub(crate) mod revoke;
pub(crate) mod token;
mod upstream;

pub(crate) use client::Documents;
pub(crate) use provider::Provider;
