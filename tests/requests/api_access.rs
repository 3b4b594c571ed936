//! Requests of tools to the protected API.

use http::StatusCode;
use serde_json::json;

use crate::world::{API, World, api_responds, list_todos};

#[tokio::test]
async fn wrong_api_url_is_reported_as_unexpected_api_response() {
    let world = World::with(&[("API_URL", "https://todo.example/v2"), ("UNCONFIRMED_TOOLS", "delete_todo")]);
    let token = world.connected().await.access;
    for (tool, arguments) in [
        ("get_my_todo_list", json!({})),
        ("toggle_todo_status", json!({"id": "a", "completed": true})),
        ("delete_todo", json!({"id": "a"})),
    ] {
        let result = world.call(&token, tool, arguments).await.json()["result"].take();
        assert_eq!(result["isError"], true, "{result}");
        let text = result["content"][0]["text"].as_str().unwrap();
        assert!(text.starts_with("The Todo API gave an unexpected response."), "{tool}: {text}");
    }
}

#[tokio::test]
async fn api_request_carries_the_users_token_and_no_client_header() {
    let world = World::new();
    let bearer = format!("Bearer {}", world.connected().await.access);
    let call =
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "get_my_todo_list"}});
    let headers = [
        ("content-type", "application/json"),
        ("authorization", bearer.as_str()),
        ("cookie", "a=b"),
        ("x-api-key", "k"),
    ];
    assert_eq!(world.request("POST", "/mcp", &headers, &call.to_string()).await.status, StatusCode::OK);
    let exchanges = world.network.exchanges();
    let sent = &exchanges.iter().find(|e| e.request.uri().path() == "/api/todos").unwrap().request;
    let authorization: Vec<_> = sent.headers().get_all("authorization").iter().collect();
    assert_eq!(authorization.len(), 1);
    assert!(authorization[0].as_bytes().starts_with(b"Bearer eyJ"));
    assert!(!sent.headers().contains_key("cookie") && !sent.headers().contains_key("x-api-key"));
}

#[tokio::test]
async fn api_that_refuses_every_token_keeps_the_grant() {
    let world = World::new();
    let tokens = world.connected().await;
    api_responds(&world, StatusCode::UNAUTHORIZED, &[], String::new());
    let asked = || (world.requests_to(API, "/api/todos"), world.pingone.requests("refresh"));
    for (seconds, expected) in [(0, (2, 1)), (1, (3, 1)), (25, (4, 1)), (60, (6, 2)), (1, (7, 2))] {
        world.host.advance(seconds);
        let response = list_todos(&world, &tokens.access).await;
        assert_eq!((response.status, asked()), (StatusCode::OK, expected), "{}", response.text);
        assert!(response.text.contains("The API refuses the user's token"), "{}", response.text);
    }
    let well = crate::world::todo_api::router(&world.config.issuer(), API, &world.host, &world.network);
    world.network.serve(API, well);
    assert_eq!(list_todos(&world, &tokens.access).await.json()["result"]["isError"], json!(false));
    assert_eq!(world.refresh(&tokens.client, &tokens.refresh).await.status, StatusCode::OK);
    assert_eq!(world.pingone.requests("revoke"), 0);
}

#[tokio::test]
async fn refresh_refused_by_pingone_after_api_401_ends_the_grant() {
    let world = World::new();
    let tokens = world.connected().await;
    api_responds(&world, StatusCode::UNAUTHORIZED, &[], String::new());
    world.pingone.end_sessions();
    assert_eq!(list_todos(&world, &tokens.access).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(world.refresh(&tokens.client, &tokens.refresh).await.json()["error"], "invalid_grant");
}

#[tokio::test]
async fn scope_missing_at_the_api_is_named_without_a_refresh() {
    let world = World::new();
    let tokens = world.connected().await;
    let challenge =
        &[("www-authenticate", "Bearer error=\"insufficient_scope\", scope=\"todo:read todo:admin\"")];
    for status in [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN] {
        api_responds(&world, status, challenge, String::new());
        let response = list_todos(&world, &tokens.access).await;
        assert_eq!(response.json()["result"]["isError"], json!(true), "{status}");
        assert!(response.text.contains("needs the scope todo:read todo:admin"), "{}", response.text);
    }
    assert_eq!((world.requests_to(API, ""), world.pingone.requests("refresh")), (2, 0));
}

#[tokio::test]
async fn busy_api_is_called_once_and_its_retry_time_reported() {
    let world = World::new();
    let token = world.connected().await.access;
    for headers in [
        &[("retry-after", "7")],
        &[("ratelimit", "\"default\";r=0;t=7")],
        &[("ratelimit", "limit=10, remaining=0, reset=7")],
        &[("x-ratelimit-reset", "7")],
    ] {
        for status in [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE] {
            api_responds(&world, status, headers, String::new());
            let before = world.requests_to(API, "");
            let response = list_todos(&world, &token).await;
            assert_eq!(response.json()["result"]["isError"], json!(true), "{headers:?}");
            assert!(response.text.contains("Try again in 7 seconds"), "{headers:?}: {}", response.text);
            assert_eq!(world.requests_to(API, "") - before, 1, "{headers:?}");
        }
    }
}

#[tokio::test]
async fn failed_api_response_becomes_a_short_tool_error() {
    let world = World::new();
    let tokens = world.connected().await;
    let echo = "Authorization: Bearer eyJcanary at /srv/api.js:17".to_owned();
    for (status, body) in [
        (StatusCode::FORBIDDEN, echo.clone()),
        (StatusCode::NOT_FOUND, echo.clone()),
        (StatusCode::INTERNAL_SERVER_ERROR, echo.clone()),
        (StatusCode::SERVICE_UNAVAILABLE, echo.clone()),
        (StatusCode::OK, "<html>".into()),
        (StatusCode::OK, "{\"todos\":".into()),
        (StatusCode::OK, String::new()),
        (StatusCode::OK, "x".repeat(5 * 1024 * 1024)),
    ] {
        api_responds(&world, status, &[], body);
        let response = list_todos(&world, &tokens.access).await;
        assert_eq!(
            (response.status, &response.json()["result"]["isError"]),
            (StatusCode::OK, &json!(true)),
            "{status}"
        );
        assert!(!response.text.contains("canary") && !response.text.contains("api.js"), "{}", response.text);
    }
    world.network.unplug(API);
    assert_eq!(list_todos(&world, &tokens.access).await.json()["result"]["isError"], json!(true));
}

#[tokio::test]
async fn failing_api_is_called_once_and_the_next_call_works() {
    let world = World::new();
    let token = world.connected().await.access;
    for (status, body) in [
        (StatusCode::FORBIDDEN, "{}"),
        (StatusCode::NOT_FOUND, "{}"),
        (StatusCode::CONFLICT, "{}"),
        (StatusCode::TOO_MANY_REQUESTS, ""),
        (StatusCode::INTERNAL_SERVER_ERROR, "Error: at /srv/api.js:17"),
        (StatusCode::SERVICE_UNAVAILABLE, ""),
        (StatusCode::OK, "<html>"),
        (StatusCode::OK, "{\"todos\":"),
        (StatusCode::OK, "{\"todos\":[7]}"),
        (StatusCode::OK, ""),
        (StatusCode::NO_CONTENT, ""),
    ] {
        api_responds(&world, status, &[], body.into());
        for (tool, arguments) in
            [("get_my_todo_list", json!({})), ("create_new_todo", json!({ "text": "x" }))]
        {
            let before = world.requests_to(API, "");
            let response = world.call(&token, tool, arguments).await;
            let told = (response.status, response.json()["result"]["isError"].clone());
            assert_eq!(told, (StatusCode::OK, json!(true)), "{tool}: {status} {body}");
            assert_eq!(world.requests_to(API, "") - before, 1, "{tool}: {status} {body}");
        }
        world.network.serve(
            API,
            crate::world::todo_api::router(&world.config.issuer(), API, &world.host, &world.network),
        );
        assert_eq!(
            list_todos(&world, &token).await.json()["result"]["isError"],
            json!(false),
            "{status} {body}"
        );
    }
}

#[tokio::test]
async fn long_todo_list_is_returned_whole() {
    let world = World::new();
    let token = world.connected().await.access;
    let todo =
        |number: usize| json!({ "id": number.to_string(), "text": "x".repeat(2000), "completed": false });
    let todos: Vec<_> = (0..800).map(todo).collect();
    api_responds(&world, StatusCode::OK, &[], json!({ "todos": todos }).to_string());
    let response = list_todos(&world, &token).await;
    assert_eq!(response.status, StatusCode::OK);
    assert_eq!(response.json()["result"]["structuredContent"]["todos"], json!(todos));
}

#[tokio::test]
async fn oversized_todo_text_is_not_sent_to_the_api() {
    let world = World::new();
    let token = world.connected().await.access;
    for length in [2001, 2 * 1024 * 1024] {
        let response = world.call(&token, "create_new_todo", json!({ "text": "x".repeat(length) })).await;
        let told = (response.status, response.json()["result"]["isError"].clone());
        assert_eq!(told, (StatusCode::OK, json!(true)), "{length}: {}", response.text);
        assert!(response.text.len() < 1000, "{length}");
    }
    assert_eq!(world.requests_to(API, ""), 0);
}

#[tokio::test]
async fn redirect_from_the_api_is_not_followed() {
    let world = World::new();
    let tokens = world.connected().await;
    api_responds(&world, StatusCode::FOUND, &[("location", "https://evil.example/")], String::new());
    assert_eq!(list_todos(&world, &tokens.access).await.json()["result"]["isError"], json!(true));
    assert_eq!(world.requests_to("https://evil.example", ""), 0);
}
