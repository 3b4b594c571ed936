//! Deputy.

pub mod host;
pub mod mcp;
pub mod secret;
