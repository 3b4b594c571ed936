//! The MCP server: Streamable HTTP for both eras of the protocol, on one endpoint and without state.
//!
//! [`Front`] speaks HTTP and JSON-RPC. It hands each request to a [`Handler`] with a [`Caller`], and the body of the
//! answer owns the handler's future: a client that hangs up cancels its call, on every host alike. [`rmcp`](fn@rmcp) makes a
//! handler of any rmcp `ServerHandler`; Deputy itself takes nothing but types from rmcp.

mod api_error;
mod caller;
mod conversation;
mod exchange;
mod front;
mod handler;
mod headers;
mod input;
mod message;
mod peer;
#[cfg(feature = "rmcp-handler")]
mod rmcp_handler;
mod session;

pub use api_error::ApiError;
pub(crate) use api_error::lacks_scope;
pub use caller::{Api, ApiToken, Caller, Client, Confirmation, User};
pub use conversation::Conversation;
pub use front::{Front, Reply, Rules};
pub use handler::{Call, Era, Handler, RpcError};
pub use peer::Peer;
#[cfg(feature = "rmcp-handler")]
pub use rmcp_handler::{RmcpHandler, rmcp};

#[cfg(test)]
mod tests;
