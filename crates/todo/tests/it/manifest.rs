//! The descriptions of the server and its tools.

use deputy::testing::tool_problems;
use rmcp::model::Implementation;
use serde_json::{Value, json};
use todo::SCOPES;

use crate::session::Session;

/// The name of each tool, and whether it is read-only, destructive and idempotent.
const TOOLS: [(&str, bool, bool, bool); 5] = [
    ("create_new_todo", false, false, false),
    ("delete_todo", false, true, true),
    ("get_my_todo_list", true, false, true),
    ("toggle_todo_status", false, false, true),
    ("who_am_i", true, false, true),
];

async fn tool(name: &str) -> Value {
    let tools = Session::new().await.tools().await;
    serde_json::to_value(tools.iter().find(|tool| tool.name == name).unwrap()).unwrap()
}

#[tokio::test]
async fn server_has_name_and_instructions() {
    let server = Session::new().await.server();
    let expected =
        Implementation::new("deputy", env!("CARGO_PKG_VERSION")).with_title("Deputy: Todos behind PingOne");
    assert_eq!(server.server_info, Some(expected));
    assert!(server.instructions.as_ref().unwrap().contains("get_my_todo_list"));
    assert!(server.capabilities.tools.is_some());
}

#[tokio::test]
async fn every_tool_has_its_annotations() {
    let tools = Session::new().await.tools().await;
    let found: Vec<_> = tools
        .iter()
        .map(|tool| {
            let hints = tool.annotations.as_ref().unwrap();
            assert_eq!(hints.open_world_hint, Some(false), "{}", tool.name);
            let read_only = hints.read_only_hint.unwrap();
            (&*tool.name, read_only, hints.is_destructive(), hints.is_idempotent())
        })
        .collect();
    assert_eq!(found, TOOLS);
}

#[tokio::test]
async fn every_tool_has_title_description_and_schemas() {
    for tool in Session::new().await.tools().await {
        assert!(tool.title.is_some_and(|title| !title.is_empty()), "{}", tool.name);
        assert!(tool.description.is_some_and(|text| text.len() > 40), "{}", tool.name);
        assert_eq!(tool.input_schema["type"], "object", "{}", tool.name);
        assert_eq!(tool.output_schema.unwrap()["type"], "object", "{}", tool.name);
    }
}

#[test]
fn every_tool_has_its_scopes() {
    let not_tools = ["plan_my_day", "todo://list"];
    let names: Vec<_> =
        SCOPES.iter().map(|(name, _)| *name).filter(|name| !not_tools.contains(name)).collect();
    assert_eq!(names, TOOLS.map(|(name, ..)| name));
    for (name, scopes) in SCOPES {
        let read_only =
            not_tools.contains(name) || TOOLS.iter().any(|(tool, read_only, ..)| tool == name && *read_only);
        let expected: &[&str] = match *name {
            "who_am_i" => &[],
            _ if read_only => &["todo:read"],
            _ => &["todo:write"],
        };
        assert_eq!(*scopes, expected, "{name}");
    }
}

#[tokio::test]
async fn inputs_are_closed_and_described() {
    let schema = tool("toggle_todo_status").await["inputSchema"].take();
    let expected = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "id": {
                "type": "string",
                "description": "The id of the todo, from `get_my_todo_list`.",
                "minLength": 1,
                "maxLength": 128,
                "pattern": "^[A-Za-z0-9_-]+$",
            },
            "completed": {
                "type": "boolean",
                "description": "Whether the todo is done: `true` marks it as done, `false` as open.",
            },
        },
        "required": ["id", "completed"],
        "additionalProperties": false,
    });
    assert_eq!(schema, expected);
}

#[tokio::test]
async fn every_model_accepts_the_schemas() {
    for tool in Session::new().await.tools().await {
        assert_eq!(tool_problems(&tool), Vec::<String>::new());
    }
}

#[tokio::test]
async fn absent_claim_of_the_user_agrees_with_the_schema() {
    let properties = tool("who_am_i").await["outputSchema"]["properties"].take();
    assert_eq!(properties["user"]["required"], json!(["sub"]));
    assert_eq!(properties["client"]["required"], json!(["id"]));
    assert_eq!(properties["user"]["properties"]["email"], json!({ "type": "string" }));
}
