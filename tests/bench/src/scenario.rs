//! The measured requests.

use clap::ValueEnum;

/// One kind of request, or the requests of one login.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Scenario {
    /// A request to the MCP endpoint without a token
    #[value(name = "401")]
    Unauthenticated,
    /// `GET /health`
    Health,
    /// `tools/list`
    List,
    /// `tools/call` of a tool that sends one request to the API
    Call,
    /// A refresh token is exchanged; what is new is durable before the response
    Refresh,
    /// From the authorization request to the token response, with the pages on the way
    Login,
}

impl Scenario {
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Unauthenticated => "401",
            Self::Health => "/health",
            Self::List => "tools/list",
            Self::Call => "tool call",
            Self::Refresh => "refresh",
            Self::Login => "whole login",
        }
    }
}
