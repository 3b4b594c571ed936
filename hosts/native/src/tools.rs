//! The tools that this binary serves. To serve your own, change this file.

use std::sync::Arc;

use deputy::{Server, Wording, config::Config, host::Host, mcp::rmcp};
use todo::TodoServer;

/// Deputy with the Todo tools.
pub(crate) fn server(config: Config, host: Arc<dyn Host>) -> Server {
    let tools = rmcp(TodoServer::new()).require_all(todo::SCOPES);
    Server::new(config, host, Arc::new(tools), wording())
}

/// What the approval page calls the API and its scopes.
fn wording() -> Wording {
    let scopes = [("todo:read", "See your todos"), ("todo:write", "Add, change and delete your todos")];
    Wording {
        api: "your todos".to_owned(),
        scopes: scopes.map(|(scope, text)| (scope.to_owned(), text.to_owned())).into(),
    }
}
