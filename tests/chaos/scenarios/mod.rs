//! What goes wrong, and what must be right after it.

mod api;
mod keys;
mod native;
mod token_endpoint;
