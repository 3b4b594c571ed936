//! How much is served: to one address in a minute or a day, and to one user and to all users at a time.

mod api_responses;
mod document_fetches;
mod in_flight;
mod rate;
mod registrations;
mod request_permit;

pub(crate) use api_responses::ApiResponses;
pub(crate) use document_fetches::DocumentFetches;
pub(crate) use in_flight::{Excess, UserConcurrency};
pub(crate) use rate::{admit, remote_source};
pub(crate) use registrations::Registrations;
