//! MCP clients: look-up, metadata documents, authentication.

mod authentication;
mod authentication_error;
mod document;
mod keys;
mod lookup;

pub(crate) use authentication::{Authenticated, authenticate};
pub(crate) use authentication_error::AuthenticationError;
pub(crate) use lookup::{ClientLookupError, authorizing_client};
