//! Limits: per remote address and time, and for the concurrent requests of one user and of all users.

mod api_responses;
mod document_fetches;
mod in_flight;
mod rate;
mod request_permit;

pub(crate) use api_responses::ApiResponses;
pub(crate) use document_fetches::DocumentFetches;
pub(crate) use in_flight::{Excess, UserConcurrency};
pub(crate) use rate::{admit, remote_source};
