//! What needs the host in memory: its store to look into, its randomness to be the same every time.

mod attacks;
mod concurrent_logins;
mod elicitation_replies;
mod log;
mod mcp_subscriptions;
mod outgoing_requests;
mod secrets;
mod simulation;
mod source;
mod store;
mod transcript;
