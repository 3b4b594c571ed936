//! The requests of the API, and the requests that it refuses.

use axum::body::Body;
use http::Request;
use serde_json::{Value, json};
use todo_api::MAX_TODOS;

use crate::{
    identity::token,
    world::{Response, World},
};

/// Creates a todo with this body, as it is.
async fn post(world: &World, content_type: Option<&str>, body: impl Into<Body>) -> Response {
    let mut request =
        Request::post("/api/todos").header("authorization", format!("Bearer {}", token("alice")));
    if let Some(content_type) = content_type {
        request = request.header("content-type", content_type);
    }
    world.send(request.body(body.into()).unwrap()).await
}

#[tokio::test]
async fn todo_is_created_completed_and_deleted() {
    let (world, token) = (World::new(), token("alice"));
    let milk = world.create(&token, "buy milk").await;
    let bread = world.create(&token, "  bake bread ").await;
    let list = |milk_completed: bool| {
        json!({ "todos": [
            { "id": milk, "text": "buy milk", "completed": milk_completed },
            { "id": bread, "text": "bake bread", "completed": false },
        ]})
    };
    assert_eq!(world.list(&token).await.body, list(false));
    let path = format!("/api/todos/{milk}");
    for completed in [true, true, false] {
        let response = world.call(&token, "PATCH", &path, Some(json!({ "completed": completed }))).await;
        assert_eq!((response.status.as_u16(), response.body), (200, list(completed)));
    }
    let response = world.call(&token, "DELETE", &path, None).await;
    let rest = json!({ "todos": [{ "id": bread, "text": "bake bread", "completed": false }] });
    assert_eq!((response.status.as_u16(), response.body), (200, rest));
}

#[tokio::test]
async fn responses_are_json_with_no_store() {
    let world = World::new();
    let unknown = world.send(Request::get("/").body(Body::empty()).unwrap()).await;
    for response in [world.list(&token("alice")).await, unknown] {
        assert_eq!(response.header("content-type"), "application/json");
        assert_eq!(response.header("cache-control"), "no-store");
    }
}

#[tokio::test]
async fn other_user_can_neither_see_nor_change_todos() {
    let (world, alice, bob) = (World::new(), token("alice"), token("bob"));
    let id = world.create(&alice, "buy milk").await;
    let path = format!("/api/todos/{id}");
    assert_eq!(world.list(&bob).await.body, json!({ "todos": [] }));
    let update = world.call(&bob, "PATCH", &path, Some(json!({ "completed": true }))).await;
    let delete = world.call(&bob, "DELETE", &path, None).await;
    assert_eq!((update.error(), delete.error()), ((404, "not_found"), (404, "not_found")));
    let todos = json!({ "todos": [{ "id": id, "text": "buy milk", "completed": false }] });
    assert_eq!(world.list(&alice).await.body, todos);
}

#[tokio::test]
async fn users_with_similar_subjects_are_different() {
    let world = World::new();
    world.create(&token("alice"), "buy milk").await;
    for other in ["Alice", "alice ", "alice\u{0}", "alice' OR '1'='1"] {
        assert_eq!(world.list(&token(other)).await.body, json!({ "todos": [] }), "{other:?}");
    }
}

#[tokio::test]
async fn todos_survive_a_restart() {
    let mut world = World::new();
    let id = world.create(&token("alice"), "buy milk").await;
    world.restart();
    let todos = json!({ "todos": [{ "id": id, "text": "buy milk", "completed": false }] });
    assert_eq!(world.list(&token("alice")).await.body, todos);
}

#[tokio::test]
async fn unknown_id_gets_404() {
    let (world, token) = (World::new(), token("alice"));
    world.create(&token, "buy milk").await;
    for id in ["x", "%2e%2e%2fx", "%ff", "%00", "' OR 1=1 --".replace(' ', "%20").as_str()] {
        let path = format!("/api/todos/{id}");
        let update = world.call(&token, "PATCH", &path, Some(json!({ "completed": true }))).await;
        let delete = world.call(&token, "DELETE", &path, None).await;
        assert_eq!((update.error(), delete.error()), ((404, "not_found"), (404, "not_found")), "{id}");
    }
    assert_eq!(world.list(&token).await.body["todos"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn unknown_path_gets_404_and_method_405() {
    let (world, token) = (World::new(), token("alice"));
    for path in ["/", "/api", "/api/todos/", "/api/todos/a/b"] {
        assert_eq!(world.call(&token, "GET", path, None).await.error(), (404, "not_found"), "{path}");
    }
    let put = world.call(&token, "PUT", "/api/todos", None).await;
    assert_eq!((put.error(), put.header("allow")), ((405, "method_not_allowed"), "GET,HEAD,POST"));
    let get = world.call(&token, "GET", "/api/todos/x", None).await;
    assert_eq!((get.error(), get.header("allow")), ((405, "method_not_allowed"), "PATCH,DELETE"));
}

#[tokio::test]
async fn body_without_json_content_type_is_refused() {
    let world = World::new();
    for content_type in [None, Some("text/plain"), Some("application/x-www-form-urlencoded"), Some("")] {
        let response = post(&world, content_type, r#"{"todoText":"x"}"#).await;
        assert_eq!(response.error(), (415, "unsupported_media_type"), "{content_type:?}");
    }
    let response = post(&world, Some("Application/JSON; charset=utf-8"), r#"{"todoText":"x"}"#).await;
    assert_eq!(response.status, 201);
}

#[tokio::test]
async fn body_of_other_form_is_refused() {
    let world = World::new();
    for body in
        ["", "{", "null", "[]", "{}", r#"{"todoText":1}"#, r#"{"todoText":"x","id":"y"}"#, r#"{"text":"x"}"#]
    {
        let response = post(&world, Some("application/json"), body).await;
        assert_eq!(response.error(), (400, "invalid_request"), "{body}");
    }
    let id = world.create(&token("alice"), "buy milk").await;
    for body in [json!({}), json!({ "completed": "true" }), json!({ "completed": true, "text": "x" })] {
        let response = world.call(&token("alice"), "PATCH", &format!("/api/todos/{id}"), Some(body)).await;
        assert_eq!(response.error(), (400, "invalid_request"));
    }
}

#[tokio::test]
async fn body_above_16_kib_is_refused() {
    let world = World::new();
    let padded = |length: usize| format!("{:<length$}", r#"{"todoText":"x"}"#);
    assert_eq!(post(&world, Some("application/json"), padded(16 * 1024)).await.status, 201);
    let response = post(&world, Some("application/json"), padded(16 * 1024 + 1)).await;
    assert_eq!(response.error(), (413, "payload_too_large"));
}

#[tokio::test]
async fn longest_text_is_accepted_with_escaped_characters() {
    let world = World::new();
    let body = format!(r#"{{"todoText":"{}"}}"#, r"\u00fc".repeat(2000));
    assert_eq!(post(&world, Some("application/json"), body).await.status, 201);
    let todos = world.list(&token("alice")).await.body;
    assert_eq!(todos["todos"][0]["text"], "ü".repeat(2000));
}

#[tokio::test]
async fn text_that_is_empty_too_long_or_multiline_is_refused() {
    let world = World::new();
    for text in ["", " \n ", "a\nb", "a\u{1b}[2J", &"x".repeat(2001)] {
        let body = Some(json!({ "todoText": text }));
        let response = world.call(&token("alice"), "POST", "/api/todos", body).await;
        assert_eq!(response.error(), (422, "invalid_text"), "{text:?}");
    }
    assert_eq!(world.list(&token("alice")).await.body, json!({ "todos": [] }));
}

#[tokio::test]
async fn full_list_refuses_todo_of_its_user_only() {
    let (world, alice) = (World::new(), token("alice"));
    for _ in 0..MAX_TODOS {
        world.create(&alice, "again").await;
    }
    let more = Some(json!({ "todoText": "one more" }));
    let response = world.call(&alice, "POST", "/api/todos", more).await;
    assert_eq!(response.error(), (409, "too_many_todos"));
    assert_eq!(response.body["message"], "there are 1000 todos already; delete one first");
    let todos = world.list(&alice).await.body;
    world.call(&alice, "DELETE", &format!("/api/todos/{}", id_of(&todos, 0)), None).await;
    world.create(&alice, "one more").await;
    world.create(&token("bob"), "first").await;
}

fn id_of(list: &Value, index: usize) -> &str {
    list["todos"][index]["id"].as_str().unwrap()
}

#[tokio::test]
async fn ids_are_128_random_bits_in_base64url() {
    let (world, token) = (World::new(), token("alice"));
    let (first, second) = (world.create(&token, "a").await, world.create(&token, "b").await);
    assert_ne!(first, second);
    assert_eq!(first, "AAAAAAAAAAClpaWlpaWlpQ");
}
