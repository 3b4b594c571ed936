//! An example of other tools behind Deputy: notes for the stand-up meeting, stored in the Todo API.
//!
//! [`tools`] is an ordinary rmcp server. [`deputy()`] puts Deputy around it.

pub mod tools;

use std::sync::Arc;

use deputy::{Server, Wording, config::Config, host::Host, mcp::rmcp};

use tools::Standup;

/// The scopes that each tool needs.
const SCOPES: &[(&str, &[&str])] =
    &[("jot", &["todo:write"]), ("stand_up", &["todo:read"]), ("sweep", &["todo:write"])];

/// The scopes in words, for the approval page.
const IN_WORDS: &[(&str, &str)] = &[("todo:read", "Read your notes"), ("todo:write", "Add and sweep notes")];

/// The tools behind Deputy.
pub fn deputy(config: Config, host: Host) -> Server {
    let tools = rmcp(Standup::new()).require_all(SCOPES);
    Server::new(config, host, Arc::new(tools), Wording::new("your stand-up notes", IN_WORDS))
}
