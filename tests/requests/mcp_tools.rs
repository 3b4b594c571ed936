//! The Todo tools, each for its own user.

use serde_json::{Value, json};

use crate::world::{API, World, add_todo};

#[tokio::test]
async fn tool_list_is_complete_and_described() {
    let world = World::new();
    let token = world.connected().await.access;
    let list =
        world.mcp(Some(&token), &json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"})).await.json();
    let tools = list["result"]["tools"].as_array().unwrap();
    let names: Vec<_> = tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        ["create_new_todo", "delete_todo", "get_my_todo_list", "toggle_todo_status", "who_am_i"]
    );
    for tool in tools {
        for member in ["title", "description", "annotations", "inputSchema", "outputSchema"] {
            assert!(!tool[member].is_null(), "{}: {member}", tool["name"]);
        }
    }
    assert_eq!(list["result"]["resultType"], Value::Null, "not for this revision");
}

#[tokio::test]
async fn each_user_edits_only_their_own_todos() {
    let world = World::new();
    let alice = world.connected().await.access;
    let bob = world.connected_as("bob", &[]).await.access;
    let added = world.call(&alice, "create_new_todo", json!({"text": "Buy milk"})).await.json();
    let todo = added["result"]["structuredContent"]["todos"][0].clone();
    assert_eq!((&todo["text"], &todo["completed"]), (&json!("Buy milk"), &json!(false)), "{added}");
    let id = todo["id"].clone();
    let done = world.call(&alice, "toggle_todo_status", json!({"id": id, "completed": true})).await.json();
    assert_eq!(done["result"]["structuredContent"]["todos"][0]["completed"], true);
    let theirs = world.call(&bob, "get_my_todo_list", json!({})).await.json();
    assert_eq!(theirs["result"]["structuredContent"]["todos"], json!([]));
    assert_eq!(world.call(&bob, "delete_todo", json!({"id": id})).await.json()["result"]["isError"], true);
    world.start(&[("UNCONFIRMED_TOOLS", "delete_todo")]);
    assert_eq!(world.call(&bob, "delete_todo", json!({"id": id})).await.json()["result"]["isError"], true);
    let gone = world.call(&alice, "delete_todo", json!({"id": id})).await.json();
    assert_eq!(gone["result"]["structuredContent"]["todos"], json!([]));
}

#[tokio::test]
async fn who_am_i_shows_the_raw_token_only_if_configured() {
    let world = World::new();
    let tokens = world.connected().await;
    let response = world.call(&tokens.access, "who_am_i", json!({})).await;
    let me = &response.json()["result"]["structuredContent"];
    assert_eq!(me["accessToken"]["audience"], json!([API]));
    assert_eq!(me["scopes"], json!(["todo:read", "todo:write"]));
    assert!(!response.text.contains("eyJ"), "no JWT");
    world.start(&[("WHO_AM_I_TOKEN", "full")]);
    assert!(world.call(&tokens.access, "who_am_i", json!({})).await.text.contains("eyJ"));
}

#[tokio::test]
async fn todo_list_is_a_resource_that_a_prompt_includes() {
    let world = World::new();
    let token = world.connected().await.access;
    add_todo(&world, &token, "Buy milk").await;
    let send = async |method: &str, params: Value| {
        let message = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        world.mcp(Some(&token), &message).await.json()["result"].take()
    };
    let read = send("resources/read", json!({ "uri": "todo://list" })).await;
    let list: Value =
        serde_json::from_str(read["contents"][0]["text"].as_str().expect("a text")).expect("JSON");
    assert_eq!(list["todos"][0]["text"], "Buy milk");
    let plan = send("prompts/get", json!({ "name": "plan_my_day", "arguments": { "hours": "4" } })).await;
    assert!(plan["messages"][0]["content"]["text"].as_str().expect("a text").contains("I have 4 hours."));
    assert_eq!(plan["messages"][1]["content"]["resource"]["text"], read["contents"][0]["text"]);
}
