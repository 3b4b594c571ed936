//! The tools that this Worker serves. To serve your own, change this file.

use std::sync::Arc;

use deputy::{Server, Wording, config::Config, host::Host, mcp::rmcp};
use todo::TodoServer;

/// Deputy with the Todo tools.
pub(crate) fn server(config: Config, host: Arc<dyn Host>) -> Server {
    let tools = rmcp(TodoServer::new()).require_all(todo::SCOPES);
    Server::new(config, host, Arc::new(tools), Wording::new(todo::API_IN_WORDS, todo::SCOPES_IN_WORDS))
}
