//! The MCP server: the resource server half of Deputy.

mod caller;

pub use caller::{Api, ApiError, ApiToken, Caller, Client, User};
