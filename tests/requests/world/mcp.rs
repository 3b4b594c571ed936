//! Messages to the MCP endpoint, and the Todo tools behind it.

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use super::{DEPUTY, Response, Stream, World};

pub(crate) const JSON: (&str, &str) = ("content-type", "application/json");

pub(crate) const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

/// The headers of a client of MCP 2025-11-25.
const HEADERS_OF_2025: [(&str, &str); 3] = [
    ("content-type", "application/json"),
    ("accept", "application/json, text/event-stream"),
    ("mcp-protocol-version", "2025-11-25"),
];

impl World {
    /// A request of MCP 2025-11-25 without a session.
    pub(crate) async fn mcp(&self, token: Option<&str>, message: &Value) -> Response {
        let authorization = token.map(|token| format!("Bearer {token}"));
        let mut headers = HEADERS_OF_2025.to_vec();
        headers.extend(authorization.as_deref().map(|value| ("authorization", value)));
        self.request("POST", "/mcp", &headers, &message.to_string()).await
    }

    /// A request of MCP 2025-11-25 in a session, or without one if `session` is empty.
    pub(crate) async fn mcp_in(&self, session: &str, token: &str, message: &Value) -> Response {
        let authorization = format!("Bearer {token}");
        let mut headers = HEADERS_OF_2025.to_vec();
        headers.push(("authorization", &authorization));
        headers.extend(Some(("mcp-session-id", session)).filter(|_| !session.is_empty()));
        self.request("POST", "/mcp", &headers, &message.to_string()).await
    }

    /// The session id for a client of MCP 2025-11-25 with these capabilities.
    pub(crate) async fn session(&self, token: &str, capabilities: Value) -> String {
        let info = json!({ "name": "test", "version": "1" });
        let params =
            json!({ "protocolVersion": "2025-11-25", "capabilities": capabilities, "clientInfo": info });
        let message = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params });
        let response = self.mcp(Some(token), &message).await;
        assert_eq!(response.status, StatusCode::OK, "{}", response.text);
        response.header("mcp-session-id")
    }

    /// The events of the response to a request in a session.
    pub(crate) async fn stream(&self, token: &str, session: &str, message: &Value) -> Stream {
        let request = http::Request::post(format!("{DEPUTY}/mcp"))
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .header("mcp-protocol-version", "2025-11-25")
            .header("mcp-session-id", session)
            .header("authorization", format!("Bearer {token}"))
            .body(Bytes::from(message.to_string()));
        let response = self.network.open(request.expect("a request")).await.expect("a response");
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Stream::of(response)
    }

    pub(crate) async fn call(&self, token: &str, tool: &str, arguments: Value) -> Response {
        let params = json!({ "name": tool, "arguments": arguments });
        self.mcp(Some(token), &json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params }))
            .await
    }
}

/// A tool call that sends a request to the API.
pub(crate) fn create_call() -> Value {
    let params = json!({ "name": "create_new_todo", "arguments": { "text": "x" } });
    json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params })
}

/// Adds a todo, and returns its id.
pub(crate) async fn add_todo(world: &World, token: &str, text: &str) -> String {
    let list = world.call(token, "create_new_todo", json!({ "text": text })).await.json();
    let todos = list["result"]["structuredContent"]["todos"].as_array().expect("todos").clone();
    todos.last().expect("a todo")["id"].as_str().expect("an id").to_owned()
}

pub(crate) async fn todo_texts(world: &World, token: &str) -> Vec<String> {
    let list = world.call(token, "get_my_todo_list", json!({})).await.json();
    let todos = list["result"]["structuredContent"]["todos"].as_array().expect("todos").clone();
    todos.iter().map(|todo| todo["text"].as_str().expect("a text").to_owned()).collect()
}

pub(crate) fn delete_call(id: &str) -> Value {
    let params = json!({ "name": "delete_todo", "arguments": { "id": id } });
    json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params })
}

/// A call of `delete_todo` on a new todo, whose question to the user has arrived on the stream.
pub(crate) async fn open_question(world: &World, token: &str) -> Stream {
    let id = add_todo(world, token, "Buy milk").await;
    let session = world.session(token, json!({ "elicitation": {} })).await;
    let mut stream = delete_stream(world, token, &session, &id).await;
    assert_eq!(stream.next().await["method"], "elicitation/create");
    stream
}

/// The response stream of a `delete_todo` call in a session.
pub(crate) async fn delete_stream(world: &World, token: &str, session: &str, id: &str) -> Stream {
    world.stream(token, session, &delete_call(id)).await
}

pub(crate) async fn send_reply(world: &World, token: &str, question: &Value, result: Value) -> StatusCode {
    let reply = json!({ "jsonrpc": "2.0", "id": question["id"], "result": result });
    world.mcp(Some(token), &reply).await.status
}

pub(crate) async fn list_todos(world: &World, token: &str) -> Response {
    world.call(token, "get_my_todo_list", json!({})).await
}

/// A call of `delete_todo` by a client of MCP 2026-07-28 with elicitation. `earlier` has the results of earlier rounds.
pub(crate) async fn call_delete(world: &World, token: &str, id: &str, earlier: Value) -> Response {
    call_asking(world, token, "delete_todo", json!({ "id": id }), earlier).await
}

/// A call by a client of MCP 2026-07-28 with elicitation. `earlier` has the results of earlier rounds.
pub(crate) async fn call_asking(
    world: &World,
    token: &str,
    tool: &str,
    arguments: Value,
    earlier: Value,
) -> Response {
    let mut params = json!({ "name": tool, "arguments": arguments, "_meta": {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": { "elicitation": {} },
        "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "1" },
    } });
    for (name, value) in earlier.as_object().into_iter().flatten() {
        params[name] = value.clone();
    }
    let authorization = format!("Bearer {token}");
    let headers = [
        ("authorization", authorization.as_str()),
        ("content-type", "application/json"),
        ("accept", "application/json, text/event-stream"),
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", "tools/call"),
        ("mcp-name", tool),
    ];
    let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
    world.request("POST", "/mcp", &headers, &message.to_string()).await
}
