//! The paths of the endpoints, for routes and metadata alike.

/// The prefix of the admin interface.
pub(crate) const ADMIN: &str = "/admin/v1/";
pub(crate) const AGENTS: &str = "/agents";
pub(crate) const APPROVE: &str = "/approve";
pub(crate) const AUTHORIZE: &str = "/authorize";
pub(crate) const CALLBACK: &str = "/callback";
pub(crate) const FAVICON: &str = "/favicon.ico";
pub(crate) const HEALTH: &str = "/health";
pub(crate) const HEALTHZ: &str = "/healthz";
pub(crate) const HOME: &str = "/";
pub(crate) const ICON: &str = "/icon";
pub(crate) const JWKS: &str = "/jwks";
pub(crate) const MCP: &str = "/mcp";
pub(crate) const PINGONE_EVENTS: &str = "/pingone/events";
pub(crate) const READYZ: &str = "/readyz";
pub(crate) const REGISTER: &str = "/register";
pub(crate) const REVOKE: &str = "/revoke";
pub(crate) const TOKEN: &str = "/token";

/// The protected resource metadata of the MCP endpoint (RFC 9728 §3.1).
pub(crate) const RESOURCE_METADATA: &str = "/.well-known/oauth-protected-resource/mcp";
