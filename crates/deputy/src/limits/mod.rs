//! How much is served: to one address in a minute or a day, and to one user and to all users at a time.

mod api_responses;
mod concurrency;
mod rate;
mod registrations;

pub(crate) use api_responses::ApiResponses;
pub(crate) use concurrency::{Excess, UserConcurrency};
pub(crate) use rate::{admit, remote_source};
pub(crate) use registrations::Registrations;
