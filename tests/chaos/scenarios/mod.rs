//! The scenarios, by the part that fails.

mod api;
mod keys;
mod native;
mod token_endpoint;
