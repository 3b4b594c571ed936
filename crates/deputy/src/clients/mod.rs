//! MCP clients: look-up, metadata documents, authentication.

mod authentication;
mod document;
mod lookup;

pub(crate) use authentication::{AuthenticationError, authenticate};
pub(crate) use lookup::{ClientLookupError, authorizing_client};
