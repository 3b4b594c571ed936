//! Messages to the MCP endpoint, and the Todo tools behind it.

use http::StatusCode;
use serde_json::{Value, json};

use super::{Response, Stream, World};

pub(crate) const JSON: (&str, &str) = ("content-type", "application/json");

pub(crate) const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

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
