//! Deputy.

pub mod config;
mod encoding;
pub mod host;
pub mod mcp;
pub mod oauth;
pub mod oidc;
pub mod seal;
pub mod secret;
