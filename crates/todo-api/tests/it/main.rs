//! Requests to the API with a real database, a fixed clock and signed tokens.

#![expect(unreachable_pub, reason = "the modules of a test have no users")]

mod binary;
mod identity;
mod keys;
mod requests;
mod store;
mod tokens;
mod world;
