//! The MCP clients: how one is looked up, and how it authenticates.

mod authentication;
mod document;
mod lookup;

pub(crate) use authentication::{AuthenticationError, authenticate};
pub(crate) use lookup::{ClientLookupError, authorizing_client};
