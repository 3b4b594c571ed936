//! The MCP server: Streamable HTTP for both eras of the protocol, on one endpoint and without state.
//!
//! [`StreamableHttp`] speaks HTTP and JSON-RPC. It hands each request to a [`Handler`] with a [`Caller`], and the body of the
//! answer owns the handler's future: a client that hangs up cancels its call, on every host alike. [`rmcp`](fn@rmcp) makes a
//! handler of any rmcp `ServerHandler`; Deputy itself takes nothing but types from rmcp.

mod api_error;
mod caller;
mod era;
mod exchange;
mod grant_session;
mod handler;
mod headers;
mod input_round;
mod message;
mod negotiated_state;
mod peer;
#[cfg(feature = "rmcp-handler")]
mod rmcp_handler;
mod rpc_error;
mod streamable_http;

pub use crate::types::User;
pub use api_error::ApiError;
pub(crate) use api_error::lacks_scope;
pub use caller::{Api, ApiToken, Caller, Client, Confirmation};
pub use era::Era;
pub use grant_session::{DeliveryError, GrantSession};
pub use handler::{Call, Handler};
pub use peer::Peer;
#[cfg(feature = "rmcp-handler")]
pub use rmcp_handler::{RmcpHandler, rmcp};
pub use rpc_error::RpcError;
pub use streamable_http::{Reply, Rules, StreamableHttp};

#[cfg(test)]
mod tests;
