//! Requests in, responses out: the whole server on a host in memory, with a simulated PingOne and the real Todo API.

mod api;
mod approval;
mod authorize;
mod callback;
mod mcp;
mod metadata;
mod registration;
mod store;
mod token;
mod transcript;
mod upstream;
mod world;
