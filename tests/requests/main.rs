//! Requests in, responses out: the whole server on a host in memory, with a simulated PingOne and the real Todo API.
//!
//! With `DEPUTY_NATIVE` set, Deputy runs on the native host's SQLite behind its HTTP server instead; with `DEPUTY_WORKER` set
//! to where `hosts/cloudflare/testing` listens, there, on the Workers runtime. All but the tests of [`in_memory`] hold of both
//! too.

mod answer;
mod api;
mod approval;
mod asking;
mod authorize;
mod callback;
mod cookies;
mod decisions;
mod documents;
mod endpoint;
mod foreign;
mod id_tokens;
mod in_memory;
mod limits;
mod mcp;
mod metadata;
mod misplaced;
mod native;
mod origins;
mod outages;
mod refresh;
mod registration;
mod sessions;
mod subrequests;
mod token;
mod upstream;
mod workers;
mod world;
