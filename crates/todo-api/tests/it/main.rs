//! Requests in, responses out, with a real file, a frozen clock and really signed tokens.

#![expect(unreachable_pub, reason = "modules of a test are nobody's interface")]

mod binary;
mod identity;
mod keys;
mod requests;
mod store;
mod tokens;
mod world;
