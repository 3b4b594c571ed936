//! Refusals for authorization that the MCP server decides.

/// Why a request gets a challenge (RFC 6750 §3) instead of a JSON-RPC response.
///
/// These are the refusals for authorization that only the MCP server can decide. The HTTP endpoint renders them,
/// together with its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Challenge {
    /// 403: the access token lacks scopes, or the grant was narrowed while the handler ran.
    InsufficientScope {
        /// Every scope that the request needs.
        required: Vec<String>,
    },
    /// 403: the scopes of the access token open a tool that they did not open when the user approved them.
    NotApproved {
        /// Every scope that the request needs.
        required: Vec<String>,
    },
    /// 401: the user's login at `PingOne`, or the grant, has ended.
    LoginRequired,
}
