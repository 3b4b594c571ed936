//! The tools of a deployment: the Todo tools, some of which may be missing or need another scope, or those of an OpenAPI document.

use std::sync::Arc;

use deputy::{
    Server,
    config::{Config, ConfigErrors},
    host::{BoxFuture, Host},
    mcp::{Call, Caller, Handler, Peer, RpcError, ToolSummary},
};
use deputy_openapi::Catalog;
use serde_json::{Map, Value};

/// The name of the variable with the changes of a deployment.
pub const VARIABLE: &str = "TEST_TOOLS";

/// The name of the variable of a deployment with the tools of `examples/invoices`.
pub const INVOICES: &str = "TEST_INVOICES";

/// A deployment.
#[derive(Debug)]
pub enum Deployment {
    /// The Todo tools, with changes if there are some.
    Todo(Option<String>),
    /// The tools of a document.
    Document(Arc<Catalog>),
}

impl Deployment {
    /// The deployment that these variables describe.
    pub fn of(variable: impl Fn(&str) -> Option<String>) -> Self {
        if variable(INVOICES).is_none() {
            return Self::Todo(variable(VARIABLE));
        }
        let document = include_str!("../../../examples/invoices/openapi.yaml");
        let overlay = include_str!("../../../examples/invoices/overlay.yaml");
        Self::Document(Arc::new(Catalog::curated(document, overlay).expect("a document")))
    }

    /// The configuration with these variables.
    pub fn config(&self, variable: impl Fn(&str) -> Option<String>) -> Result<Config, ConfigErrors> {
        match self {
            Self::Document(catalog) => catalog.config(variable),
            Self::Todo(_) => Config::parse(variable),
        }
    }

    /// Deputy with these tools.
    pub fn server(&self, config: Config, host: Host) -> Server {
        match self {
            Self::Document(catalog) => deputy_openapi::deputy(catalog, config, host),
            Self::Todo(None) => todo::deputy(config, host),
            Self::Todo(Some(changes)) => {
                Server::new(config, host, changed(todo::tools(), changes), todo::wording())
            }
        }
    }
}

/// The tools, prompts and resources of `handler` with changes, separated by spaces: `-name` is missing, `name=scope` needs
/// this scope alone, and the tool `name!` declares that it changes nothing.
fn changed(handler: Arc<dyn Handler>, changes: &str) -> Arc<dyn Handler> {
    let change = |text: &str| match (text.strip_prefix('-'), text.strip_suffix('!'), text.split_once('=')) {
        (Some(name), _, _) => (name.to_owned(), Change::Missing),
        (_, Some(name), _) => (name.to_owned(), Change::ReadOnly),
        (_, _, Some((name, scope))) => (name.to_owned(), Change::Scope(scope.to_owned())),
        _ => panic!("{text} is no change"),
    };
    Arc::new(Changed { handler, changes: changes.split_whitespace().map(change).collect() })
}

struct Changed {
    handler: Arc<dyn Handler>,
    changes: Vec<(String, Change)>,
}

enum Change {
    Missing,
    ReadOnly,
    Scope(String),
}

impl Changed {
    fn change(&self, name: &str) -> Option<&Change> {
        self.changes.iter().find(|(changed, _)| changed == name).map(|(_, change)| change)
    }

    fn is_missing(&self, name: &str) -> bool {
        matches!(self.change(name), Some(Change::Missing))
    }
}

impl Handler for Changed {
    fn required_scopes(&self, method: &str, name: Option<&str>) -> Vec<String> {
        match name.and_then(|name| self.change(name)) {
            Some(Change::Missing) => Vec::new(),
            Some(Change::Scope(scope)) => vec![scope.clone()],
            Some(Change::ReadOnly) | None => self.handler.required_scopes(method, name),
        }
    }

    fn declared_scopes(&self) -> Vec<(String, String)> {
        let declared = self.handler.declared_scopes().into_iter();
        declared
            .filter(|(_, name)| !self.is_missing(name))
            .map(|(scope, name)| match self.change(&name) {
                Some(Change::Scope(scope)) => (scope.clone(), name),
                _ => (scope, name),
            })
            .collect()
    }

    fn tools(&self) -> Vec<ToolSummary> {
        let tools = self.handler.tools().into_iter().filter(|tool| !self.is_missing(&tool.name));
        tools
            .map(|tool| match self.change(&tool.name) {
                Some(Change::ReadOnly) => ToolSummary { is_read_only: true, ..tool },
                Some(Change::Scope(scope)) => ToolSummary { scopes: vec![scope.clone()], ..tool },
                Some(Change::Missing) | None => tool,
            })
            .collect()
    }

    fn input_schema(&self, tool: &str) -> Option<Arc<Map<String, Value>>> {
        self.handler.input_schema(tool).filter(|_| !self.is_missing(tool))
    }

    fn handle(&self, call: Call, caller: Caller, peer: Peer) -> BoxFuture<'static, Result<Value, RpcError>> {
        let name = ["name", "uri"].iter().find_map(|name| call.params.get(*name).and_then(Value::as_str));
        if name.is_some_and(|name| self.is_missing(name)) {
            let error = RpcError::new(RpcError::INVALID_PARAMS, "there is no such tool, prompt or resource");
            return Box::pin(std::future::ready(Err(error)));
        }
        self.handler.handle(call, caller, peer)
    }
}
