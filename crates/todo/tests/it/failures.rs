//! The texts that a model gets when a tool fails.

use std::sync::Arc;

use bytes::Bytes;
use deputy::mcp::ApiError;
use http::Response;
use rmcp::{model::ErrorCode, service::ServiceError};
use serde_json::{Value, json};
use todo::SCOPES;

use crate::{
    session::{BOTH, Session, call},
    world::World,
};

const SECRET: &str = "hunter2";

/// The error text of `get_my_todo_list` when the API responds with this.
async fn error_text(status: u16, body: &str) -> String {
    let session = Session::new().await;
    session.respond_once(Ok(Response::builder().status(status).body(Bytes::from(body.to_owned())).unwrap()));
    session.error("get_my_todo_list", json!({})).await
}

const UNEXPECTED: &str =
    "The Todo API gave an unexpected response. Trying again will not help; tell the user.";
const SERVER_ERROR: &str = "The Todo API has a problem at the moment. Try again later.";
const NO_SUCH_TODO: &str = "There is no todo with this id. Call get_my_todo_list for the ids.";

#[tokio::test]
async fn unknown_id_gets_hint_to_list_ids() {
    let session = Session::new().await;
    let id = "AAAAAAAAAAClpaWlpaWlpQ";
    assert_eq!(
        session.error("toggle_todo_status", json!({ "id": id, "completed": true })).await,
        NO_SUCH_TODO
    );
    assert_eq!(session.error("delete_todo", json!({ "id": id })).await, NO_SUCH_TODO);
}

#[tokio::test]
async fn not_found_from_other_server_is_unexpected_response() {
    for (tool, arguments) in [
        ("get_my_todo_list", json!({})),
        ("create_new_todo", json!({ "text": "x" })),
        ("toggle_todo_status", json!({ "id": "a", "completed": true })),
        ("delete_todo", json!({ "id": "a" })),
    ] {
        let session = Session::new().await;
        session.respond_always_with(404);
        assert_eq!(session.error(tool, arguments).await, UNEXPECTED, "{tool}");
    }
    let session = Session::new().await;
    let list = json!({ "todos": [{ "id": "a", "text": "x", "completed": false }] }).to_string();
    session.respond_with([(404, String::new()), (200, list)]);
    assert_eq!(session.error("delete_todo", json!({ "id": "a" })).await, UNEXPECTED, "it is in the list");
}

#[tokio::test]
async fn deletion_that_cannot_be_confirmed_sends_nothing() {
    let session = Session::unconfirmed().await;
    let text = session.error("delete_todo", json!({ "id": "a" })).await;
    assert!(text.starts_with("Nothing was deleted: the user has to confirm a deletion"), "{text}");
    assert_eq!(session.api.requests(), Vec::<String>::new());
}

#[tokio::test]
async fn scope_missing_in_api_token_is_named() {
    let session = Session::with(&Arc::new(World::new()), "alice", BOTH, "todo:write").await;
    let expected =
        "This needs the scope todo:read, which was not granted. The user can grant it by connecting again.";
    assert_eq!(session.error("get_my_todo_list", json!({})).await, expected);
    let session = Session::with(&Arc::new(World::new()), "alice", BOTH, "todo:read").await;
    let text = session.error("create_new_todo", json!({ "text": "x" })).await;
    assert_eq!(text, expected.replace("read", "write"));
}

#[tokio::test]
async fn call_without_scope_of_tool_does_not_reach_api() {
    let session = Session::with(&Arc::new(World::new()), "alice", "", BOTH).await;
    for (tool, scopes) in SCOPES {
        let Some(scope) = scopes.first() else { continue };
        let arguments = match *tool {
            "create_new_todo" => json!({ "text": "x" }),
            "delete_todo" => json!({ "id": "a" }),
            "toggle_todo_status" => json!({ "id": "a", "completed": true }),
            "plan_my_day" | "todo://list" => continue,
            _ => json!({}),
        };
        let text = session.error(tool, arguments).await;
        assert!(text.starts_with(&format!("This needs the scope {scope},")), "{tool}: {text}");
    }
    assert_eq!(session.api.requests(), Vec::<String>::new());
}

#[tokio::test]
async fn full_list_is_explained() {
    let session = Session::new().await;
    session.respond_once(Ok(Response::builder().status(409).body(Bytes::from(SECRET)).unwrap()));
    let text = session.error("create_new_todo", json!({ "text": "one more" })).await;
    assert_eq!(
        text,
        "The todo list is full, so nothing was added. Ask the user which todo may be deleted first."
    );
}

#[tokio::test]
async fn text_that_api_refuses_is_explained() {
    let text = Session::new().await.error("create_new_todo", json!({ "text": "two\nlines" })).await;
    assert_eq!(text, "The Todo API did not accept this text. It must be one line of 1 to 2000 characters.");
}

#[tokio::test]
async fn server_error_of_api_suggests_later_try() {
    for status in [500, 502, 504] {
        assert_eq!(error_text(status, SECRET).await, SERVER_ERROR, "{status}");
    }
}

#[tokio::test]
async fn busy_api_tells_model_when_to_try_again() {
    for status in [429, 503] {
        assert_eq!(error_text(status, SECRET).await, "The API is busy. Try again later.", "{status}");
        let session = Session::new().await;
        let busy = Response::builder().status(status).header("retry-after", "7").body(Bytes::new());
        session.respond_once(Ok(busy.unwrap()));
        let text = session.error("get_my_todo_list", json!({})).await;
        assert_eq!(text, "The API is busy. Try again in 7 seconds, and not before.");
        assert_eq!(session.api.requests().len(), 1, "the tool does not try again by itself");
    }
}

#[tokio::test]
async fn scopes_that_api_requires_are_named() {
    let session = Session::new().await;
    let challenge = "Bearer error=\"insufficient_scope\", scope=\"todo:write admin\"";
    let refused = Response::builder().status(403).header("www-authenticate", challenge).body(Bytes::new());
    session.respond_once(Ok(refused.unwrap()));
    let text = session.error("create_new_todo", json!({ "text": "x" })).await;
    assert!(text.starts_with("This needs the scope todo:write admin, which was not granted."), "{text}");
}

#[tokio::test]
async fn unexpected_response_is_not_shown() {
    let todo = |id: &str| json!({ "id": id, "text": SECRET, "completed": false });
    let many: Vec<Value> = (0..=1000).map(|id| todo(&id.to_string())).collect();
    let bodies = [
        String::new(),
        format!("<html>{SECRET}"),
        json!({ "todos": SECRET }).to_string(),
        json!({ "todos": [{ "id": SECRET }] }).to_string(),
        json!({ "todos": [todo("../x")] }).to_string(),
        json!({ "todos": many }).to_string(),
    ];
    for body in bodies {
        assert_eq!(error_text(200, &body).await, UNEXPECTED, "{body:.80}");
    }
    for status in [204, 302, 400, 418] {
        assert_eq!(error_text(status, SECRET).await, UNEXPECTED, "{status}");
    }
}

#[tokio::test]
async fn failed_api_request_is_explained() {
    let login = "The user's login at PingOne has ended. The user has to log in again.";
    let changed = "The response of the Todo API did not arrive. The change may have been made: call get_my_todo_list \
                   before you try again.";
    let timeout = "The response of the Todo API did not arrive. Try again later.";
    let storage = "This server has a problem with its own storage at the moment, so the API was not asked. Try again later.";
    let refused = "The API refuses the user's token, although PingOne has just issued it. The user need not log in again: \
                   try again later, and tell the operator of the API if this lasts.";
    let later = "PingOne issues no new token for the user at the moment. Try again in 7 seconds. If this lasts, the user \
                 can connect again.";
    let unavailable = "The Todo API cannot be reached at the moment. Try again later.";
    let session = Session::new().await;
    for (error, expected) in [
        (ApiError::LoginRequired, login),
        (ApiError::NotTheApi, UNEXPECTED),
        (ApiError::Refused, refused),
        (ApiError::Storage, storage),
        (ApiError::NoResponse { may_change: false }, timeout),
        (ApiError::NoResponse { may_change: true }, changed),
        (ApiError::TokenUnavailable { retry_after: 7 }, later),
        (ApiError::TooLarge, UNEXPECTED),
        (ApiError::Unavailable, unavailable),
    ] {
        for tool in ["get_my_todo_list", "who_am_i"] {
            session.respond_once(Err(error.clone()));
            assert_eq!(session.error(tool, json!({})).await, expected, "{tool}");
        }
    }
    let todos = session.call("get_my_todo_list", json!({})).await;
    assert_eq!(todos.structured_content, Some(json!({ "todos": [] })), "the next call succeeds");
}

#[tokio::test]
async fn wrong_arguments_are_refused_before_api_call() {
    let session = Session::new().await;
    let long = "x".repeat(2001);
    let calls = [
        ("create_new_todo", json!({})),
        ("create_new_todo", json!({ "text": 1 })),
        ("create_new_todo", json!({ "text": "  " })),
        ("create_new_todo", json!({ "text": long })),
        ("create_new_todo", json!({ "text": "x", "id": "y" })),
        ("toggle_todo_status", json!({ "id": "a" })),
        ("toggle_todo_status", json!({ "id": "a", "completed": "yes" })),
        ("toggle_todo_status", json!({ "id": "a", "completed": 1 })),
        ("toggle_todo_status", json!({ "id": 1.5, "completed": true })),
        ("toggle_todo_status", json!({ "id": -1, "completed": true })),
        ("delete_todo", json!({ "id": null })),
        ("delete_todo", json!({ "id": "a", "force": true })),
    ];
    for (tool, arguments) in calls {
        let text = session.error(tool, arguments.clone()).await;
        assert!(text.starts_with("failed to deserialize parameters: "), "{arguments}: {text}");
    }
    assert_eq!(session.api.requests(), Vec::<String>::new());
}

#[tokio::test]
async fn id_cannot_leave_its_path_segment() {
    let session = Session::new().await;
    for id in ["", "..", "../admin", "%2e%2e", "a/b", "a?b", "a#b", "a\\b", "a b", "ä", &"a".repeat(129)] {
        for tool in ["delete_todo", "toggle_todo_status"] {
            let mut arguments = json!({ "id": id });
            if tool == "toggle_todo_status" {
                arguments["completed"] = json!(true);
            }
            let text = session.error(tool, arguments).await;
            let expected =
                "failed to deserialize parameters: not the id of a todo; call get_my_todo_list for the ids";
            assert_eq!(text, expected, "{id}");
        }
    }
    assert_eq!(session.api.requests(), Vec::<String>::new());
}

#[tokio::test]
async fn tool_without_caller_returns_server_error() {
    let client = Session::without_caller().await;
    match call(&client, "who_am_i", json!({})).await {
        Err(ServiceError::McpError(error)) => assert_eq!(error.code, ErrorCode::INTERNAL_ERROR),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn resource_or_prompt_without_scope_does_not_reach_api() {
    let session = Session::with(&Arc::new(World::new()), "alice", "", BOTH).await;
    for text in [session.read("todo://list").await, session.prompt("plan_my_day", json!({})).await] {
        assert!(text.unwrap_err().to_string().contains("This needs the scope todo:read,"));
    }
    assert_eq!(session.api.requests(), Vec::<String>::new());
}

#[tokio::test]
async fn unknown_resource_and_wrong_hours_are_refused() {
    let session = Session::new().await;
    assert!(session.read("todo://other").await.is_err());
    for hours in ["0", "25", "-1", "NaN", "inf", "many", ""] {
        assert!(session.prompt("plan_my_day", json!({ "hours": hours })).await.is_err(), "{hours}");
    }
}
