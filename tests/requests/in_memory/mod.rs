//! Tests that need the host in memory: they inspect its store, or need the same randomness in every run.

mod attacks;
mod concurrent_logins;
mod earlier_grants;
mod elicitation_replies;
mod grant_index;
mod log;
mod logins_under_way;
mod mcp_subscriptions;
mod metrics;
mod outgoing_requests;
mod secrets;
mod simulation;
mod source;
mod storage_outage;
mod store;
mod transcript;
mod unreadable_records;
