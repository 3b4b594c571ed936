//! The scenarios, by the part that fails.

mod api;
mod events;
mod keys;
mod native;
mod replicas;
mod rotation;
mod token_endpoint;
