//! What the requests do, and which are refused.

use axum::body::Body;
use http::Request;
use serde_json::{Value, json};
use todo_api::MAX_TODOS;

use crate::{
    identity::token,
    world::{Answer, World},
};

/// Sends a body as it is.
async fn post(world: &World, content_type: Option<&str>, body: impl Into<Body>) -> Answer {
    let mut request =
        Request::post("/api/todos").header("authorization", format!("Bearer {}", token("alice")));
    if let Some(content_type) = content_type {
        request = request.header("content-type", content_type);
    }
    world.send(request.body(body.into()).unwrap()).await
}

#[tokio::test]
async fn a_todo_is_created_completed_and_deleted() {
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
        let answer = world.call(&token, "PATCH", &path, Some(json!({ "completed": completed }))).await;
        assert_eq!((answer.status.as_u16(), answer.body), (200, list(completed)));
    }
    let answer = world.call(&token, "DELETE", &path, None).await;
    let rest = json!({ "todos": [{ "id": bread, "text": "bake bread", "completed": false }] });
    assert_eq!((answer.status.as_u16(), answer.body), (200, rest));
}

#[tokio::test]
async fn answers_are_json_that_no_cache_keeps() {
    let world = World::new();
    let unknown = world.send(Request::get("/").body(Body::empty()).unwrap()).await;
    for answer in [world.list(&token("alice")).await, unknown] {
        assert_eq!(answer.header("content-type"), "application/json");
        assert_eq!(answer.header("cache-control"), "no-store");
    }
}

#[tokio::test]
async fn nobody_sees_or_changes_the_todos_of_another() {
    let (world, alice, bob) = (World::new(), token("alice"), token("bob"));
    let id = world.create(&alice, "buy milk").await;
    let path = format!("/api/todos/{id}");
    assert_eq!(world.list(&bob).await.body, json!({ "todos": [] }));
    let update = world.call(&bob, "PATCH", &path, Some(json!({ "completed": true }))).await;
    let delete = world.call(&bob, "DELETE", &path, None).await;
    assert_eq!((update.refusal(), delete.refusal()), ((404, "not_found"), (404, "not_found")));
    let todos = json!({ "todos": [{ "id": id, "text": "buy milk", "completed": false }] });
    assert_eq!(world.list(&alice).await.body, todos);
}

#[tokio::test]
async fn users_whose_names_differ_only_in_case_or_blanks_are_different() {
    let world = World::new();
    world.create(&token("alice"), "buy milk").await;
    for other in ["Alice", "alice ", "alice\u{0}", "alice' OR '1'='1"] {
        assert_eq!(world.list(&token(other)).await.body, json!({ "todos": [] }), "{other:?}");
    }
}

#[tokio::test]
async fn todos_outlive_the_process() {
    let mut world = World::new();
    let id = world.create(&token("alice"), "buy milk").await;
    world.restart();
    let todos = json!({ "todos": [{ "id": id, "text": "buy milk", "completed": false }] });
    assert_eq!(world.list(&token("alice")).await.body, todos);
}

#[tokio::test]
async fn an_unknown_id_is_not_found() {
    let (world, token) = (World::new(), token("alice"));
    world.create(&token, "buy milk").await;
    for id in ["x", "%2e%2e%2fx", "%ff", "%00", "' OR 1=1 --".replace(' ', "%20").as_str()] {
        let path = format!("/api/todos/{id}");
        let update = world.call(&token, "PATCH", &path, Some(json!({ "completed": true }))).await;
        let delete = world.call(&token, "DELETE", &path, None).await;
        assert_eq!((update.refusal(), delete.refusal()), ((404, "not_found"), (404, "not_found")), "{id}");
    }
    assert_eq!(world.list(&token).await.body["todos"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn unknown_paths_and_methods_are_explained() {
    let (world, token) = (World::new(), token("alice"));
    for path in ["/", "/api", "/api/todos/", "/api/todos/a/b"] {
        assert_eq!(world.call(&token, "GET", path, None).await.refusal(), (404, "not_found"), "{path}");
    }
    let put = world.call(&token, "PUT", "/api/todos", None).await;
    assert_eq!((put.refusal(), put.header("allow")), ((405, "method_not_allowed"), "GET,HEAD,POST"));
    let get = world.call(&token, "GET", "/api/todos/x", None).await;
    assert_eq!((get.refusal(), get.header("allow")), ((405, "method_not_allowed"), "PATCH,DELETE"));
}

#[tokio::test]
async fn a_body_that_does_not_say_it_is_json_is_refused() {
    let world = World::new();
    for content_type in [None, Some("text/plain"), Some("application/x-www-form-urlencoded"), Some("")] {
        let answer = post(&world, content_type, r#"{"todoText":"x"}"#).await;
        assert_eq!(answer.refusal(), (415, "unsupported_media_type"), "{content_type:?}");
    }
    let answer = post(&world, Some("Application/JSON; charset=utf-8"), r#"{"todoText":"x"}"#).await;
    assert_eq!(answer.status, 201);
}

#[tokio::test]
async fn a_body_of_another_shape_is_refused() {
    let world = World::new();
    for body in
        ["", "{", "null", "[]", "{}", r#"{"todoText":1}"#, r#"{"todoText":"x","id":"y"}"#, r#"{"text":"x"}"#]
    {
        let answer = post(&world, Some("application/json"), body).await;
        assert_eq!(answer.refusal(), (400, "invalid_request"), "{body}");
    }
    let id = world.create(&token("alice"), "buy milk").await;
    for body in [json!({}), json!({ "completed": "true" }), json!({ "completed": true, "text": "x" })] {
        let answer = world.call(&token("alice"), "PATCH", &format!("/api/todos/{id}"), Some(body)).await;
        assert_eq!(answer.refusal(), (400, "invalid_request"));
    }
}

#[tokio::test]
async fn a_body_above_16_kib_is_refused() {
    let world = World::new();
    let padded = |length: usize| format!("{:<length$}", r#"{"todoText":"x"}"#);
    assert_eq!(post(&world, Some("application/json"), padded(16 * 1024)).await.status, 201);
    let answer = post(&world, Some("application/json"), padded(16 * 1024 + 1)).await;
    assert_eq!(answer.refusal(), (413, "payload_too_large"));
}

#[tokio::test]
async fn the_longest_text_is_accepted_with_every_character_escaped() {
    let world = World::new();
    let body = format!(r#"{{"todoText":"{}"}}"#, r"\u00fc".repeat(2000));
    assert_eq!(post(&world, Some("application/json"), body).await.status, 201);
    let todos = world.list(&token("alice")).await.body;
    assert_eq!(todos["todos"][0]["text"], "ü".repeat(2000));
}

#[tokio::test]
async fn a_text_that_is_empty_too_long_or_not_one_line_is_refused() {
    let world = World::new();
    for text in ["", " \n ", "a\nb", "a\u{1b}[2J", &"x".repeat(2001)] {
        let body = Some(json!({ "todoText": text }));
        let answer = world.call(&token("alice"), "POST", "/api/todos", body).await;
        assert_eq!(answer.refusal(), (422, "invalid_text"), "{text:?}");
    }
    assert_eq!(world.list(&token("alice")).await.body, json!({ "todos": [] }));
}

#[tokio::test]
async fn a_full_list_takes_no_more_and_does_not_fill_that_of_another() {
    let (world, alice) = (World::new(), token("alice"));
    for _ in 0..MAX_TODOS {
        world.create(&alice, "again").await;
    }
    let more = Some(json!({ "todoText": "one more" }));
    let answer = world.call(&alice, "POST", "/api/todos", more).await;
    assert_eq!(answer.refusal(), (409, "too_many_todos"));
    assert_eq!(answer.body["message"], "there are 1000 todos already; delete one first");
    let todos = world.list(&alice).await.body;
    world.call(&alice, "DELETE", &format!("/api/todos/{}", id_of(&todos, 0)), None).await;
    world.create(&alice, "one more").await;
    world.create(&token("bob"), "first").await;
}

fn id_of(list: &Value, index: usize) -> &str {
    list["todos"][index]["id"].as_str().unwrap()
}

#[tokio::test]
async fn ids_are_128_random_bits_that_fit_into_a_path() {
    let (world, token) = (World::new(), token("alice"));
    let (first, second) = (world.create(&token, "a").await, world.create(&token, "b").await);
    assert_ne!(first, second);
    assert_eq!(first, "AAAAAAAAAAClpaWlpaWlpQ");
}
