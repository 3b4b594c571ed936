//! Requests in, responses out: the whole server on a host in memory, with a simulated PingOne and the real Todo API.
//!
//! With `DEPUTY_WORKER` set to where `hosts/cloudflare/testing` listens, Deputy runs there instead, on the Workers runtime;
//! all but the tests of [`in_memory`] hold of it too.

mod api;
mod approval;
mod asking;
mod authorize;
mod callback;
mod documents;
mod in_memory;
mod limits;
mod mcp;
mod metadata;
mod misplaced;
mod registration;
mod token;
mod upstream;
mod workers;
mod world;
