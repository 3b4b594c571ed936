//! The MCP server: Streamable HTTP for both eras of the protocol, on one endpoint and without state.
//!
//! [`StreamableHttp`] speaks HTTP and JSON-RPC. It gives each request to a [`Handler`] with a [`Caller`]. The body of
//! the response owns the handler's future, so that a client that hangs up cancels its call on every host.
//! [`rmcp`](fn@rmcp) turns any rmcp `ServerHandler` into a handler; the rest of Deputy uses only types of rmcp.
//!
//! A request that is not authorized gets no JSON-RPC response, but a [`Challenge`]: its token lacks scopes, or the
//! user's login or the grant has ended. `endpoint::mcp` renders it.

mod accept;
mod api_error;
mod batch;
mod caller;
mod catalog;
mod challenge;
mod client_messages;
mod declined;
mod era;
mod exchange;
mod handler;
mod headers;
mod input_round;
mod message;
mod methods;
mod negotiated_state;
mod peer;
mod refusal;
mod request_grant;
#[cfg(feature = "rmcp-handler")]
mod rmcp_handler;
mod rpc_error;
mod span;
mod streamable_http;
mod tool_call;
mod tool_summary;

pub use crate::types::User;
pub use api_error::ApiError;
pub(crate) use api_error::lacks_scope;
pub use caller::{Api, ApiToken, Caller, Client, Confirmation};
pub(crate) use catalog::Catalog;
pub use challenge::Challenge;
pub use era::Era;
pub use handler::{Call, Handler};
pub use peer::Peer;
pub use request_grant::{CallRecord, DeliveryError, RequestGrant, Withdrawn};
#[cfg(feature = "rmcp-handler")]
pub use rmcp_handler::{RmcpHandler, rmcp};
pub use rpc_error::RpcError;
pub use streamable_http::{Rules, StreamableHttp};
pub use tool_summary::ToolSummary;

#[cfg(test)]
mod tests;
