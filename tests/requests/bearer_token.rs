//! Access tokens in requests to the MCP endpoint (RFC 6750).

use http::StatusCode;
use pingone_sim::Failure;
use serde_json::{Value, json};

use crate::world::{API, FORM, HOUR, JSON, PINGONE, Tokens, World, claims, create_call};

#[tokio::test]
async fn tokens_survive_a_restart_and_key_rotation() {
    let world = World::new();
    let tokens = world.connected().await;
    let new = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    world.start(&[("COOKIE_ENCRYPTION_KEY", new)]);
    assert_eq!(world.call(&tokens.access, "who_am_i", json!({})).await.status, StatusCode::OK);
    let tokens = Tokens::of(&tokens.client, &world.refresh(&tokens.client, &tokens.refresh).await);
    world.start(&[("COOKIE_ENCRYPTION_KEY", new.split(',').next().unwrap())]);
    assert_eq!(
        world.call(&tokens.access, "who_am_i", json!({})).await.status,
        StatusCode::OK,
        "made with the new key"
    );
}

/// A program that does not store the expiry of its token logs in anew each time the token expires.
#[tokio::test]
async fn access_token_lasts_a_working_day_by_default() {
    let world = World::with(&[("ACCESS_TOKEN_LIFETIME", "")]);
    let (kept, revoked) = (world.connected().await, world.connected().await);
    assert_eq!(kept.response["expires_in"], 8 * HOUR);
    let status = async |tokens: &Tokens| world.call(&tokens.access, "who_am_i", json!({})).await.status;
    world.host.advance(8 * HOUR - 1);
    assert_eq!((status(&kept).await, status(&revoked).await), (StatusCode::OK, StatusCode::OK));
    let form = [("token", revoked.refresh.as_str()), ("client_id", &revoked.client)];
    assert_eq!(world.post_form("/revoke", &form).await.status, StatusCode::OK);
    assert_eq!((status(&kept).await, status(&revoked).await), (StatusCode::OK, StatusCode::UNAUTHORIZED));
    world.host.advance(1);
    assert_eq!(status(&kept).await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn token_outside_the_authorization_header_is_refused() {
    let world = World::new();
    let token = world.connected().await.access;
    let mut with_token = create_call();
    with_token["access_token"] = json!(token);
    with_token["params"]["access_token"] = json!(token);
    let (call, with_token) = (create_call().to_string(), with_token.to_string());
    let form = format!("access_token={token}");
    let in_query = format!("/mcp?access_token={token}");
    for (path, headers, body) in [
        (in_query.as_str(), &[JSON][..], call.as_str()),
        ("/mcp", &[JSON], &with_token),
        ("/mcp", &[FORM], &form),
        ("/mcp", &[JSON, ("cookie", &form)], &call),
        ("/mcp", &[JSON, ("authorization", &token)], &call),
        ("/mcp", &[JSON, ("authorization", &format!("Basic {token}"))], &call),
        ("/mcp", &[JSON, ("x-authorization", &format!("Bearer {token}"))], &call),
        ("/mcp", &[JSON, ("mcp-session-id", &token)], &call),
    ] {
        let response = world.request("POST", path, headers, body).await;
        assert_eq!(response.status, StatusCode::UNAUTHORIZED, "{path} {headers:?}");
        assert!(response.header("www-authenticate").starts_with("Bearer resource_metadata="));
    }
    assert_eq!(world.requests_to(API, "/api/todos"), 0);
    let lower = [JSON, ("authorization", &format!("bearer {token}"))];
    assert_eq!(world.request("POST", "/mcp", &lower, &call).await.status, StatusCode::OK);
}

#[tokio::test]
async fn credentials_of_another_scheme_beside_token_are_ignored() {
    let world = World::new();
    let bearer = format!("Bearer {}", world.connected().await.access);
    let call = create_call().to_string();
    for (other, status) in [
        ("Basic cHJveHk6c2VjcmV0", StatusCode::OK),
        ("Negotiate YII=", StatusCode::OK),
        (bearer.as_str(), StatusCode::OK),
        ("Bearer stale", StatusCode::UNAUTHORIZED),
        ("Bearer", StatusCode::UNAUTHORIZED),
    ] {
        for (first, second) in [(other, bearer.as_str()), (bearer.as_str(), other)] {
            let headers = [JSON, ("authorization", first), ("authorization", second)];
            let response = world.request("POST", "/mcp", &headers, &call).await;
            assert_eq!(response.status, status, "{first} {second}");
        }
    }
}

#[tokio::test]
async fn foreign_or_altered_access_token_is_refused() {
    let world = World::new();
    let tokens = world.connected().await;
    world.start(&[("WHO_AM_I_TOKEN", "full")]);
    let me = world.call(&tokens.access, "who_am_i", json!({})).await.json();
    let pingones = me["result"]["structuredContent"]["accessToken"]["raw"].as_str().unwrap().to_owned();
    let altered = format!("{}A", &tokens.access[..tokens.access.len() - 1]);
    for token in
        ["", "x", "eyJhbGciOiJub25lIn0.e30.", &pingones, &altered, &tokens.refresh, &"A".repeat(10_000)]
    {
        let response = world.call(token, "who_am_i", json!({})).await;
        assert_eq!(response.status, StatusCode::UNAUTHORIZED);
        assert!(response.header("www-authenticate").starts_with("Bearer error=\"invalid_token\", "));
    }
}

#[tokio::test]
async fn access_token_expires_after_an_hour() {
    let world = World::new();
    let token = world.connected().await.access;
    world.host.advance(3599);
    assert_eq!(world.call(&token, "who_am_i", json!({})).await.status, StatusCode::OK);
    world.host.advance(1);
    assert_eq!(world.call(&token, "who_am_i", json!({})).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn session_id_without_a_token_is_unauthorized() {
    let world = World::new();
    for method in ["POST", "GET", "DELETE"] {
        let headers = [("mcp-session-id", "0123456789abcdef"), ("content-type", "application/json")];
        let response = world
            .request(method, "/mcp", &headers, r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#)
            .await;
        assert_eq!(response.status, StatusCode::UNAUTHORIZED, "{method}");
    }
}

/// The first response of PingOne's token endpoint.
fn issued_by_pingone(world: &World) -> Value {
    let exchanges = world.network.exchanges();
    let issued = exchanges.iter().find(|exchange| {
        let url = exchange.request.uri().to_string();
        url.starts_with(PINGONE) && url.ends_with("/token")
    });
    serde_json::from_slice(issued.unwrap().response.body()).unwrap()
}

#[tokio::test]
async fn pingone_token_for_this_audience_is_refused() {
    const OURS: &str = "https://deputy.example/mcp";
    for audience in [json!(OURS), json!([OURS]), json!([API, OURS])] {
        let world = World::new();
        world.pingone.force(Failure::AccessTokenClaim("aud".into(), audience.clone()));
        world.log_in_to(&mut world.browser(), &world.client().await).await;
        let token = issued_by_pingone(&world)["access_token"].as_str().unwrap().to_owned();
        assert_eq!(claims(&token)["aud"], audience);
        let response = world.call(&token, "get_my_todo_list", json!({})).await;
        assert_eq!(response.status, StatusCode::UNAUTHORIZED, "{audience}");
        assert!(response.header("www-authenticate").starts_with("Bearer error=\"invalid_token\", "));
        assert_eq!(world.requests_to(API, "/api/todos"), 0);
    }
}

#[tokio::test]
async fn pingone_tokens_are_refused_at_mcp_and_token_endpoint() {
    let world = World::new();
    let tokens = world.connected().await;
    let response = issued_by_pingone(&world);
    for name in ["access_token", "id_token", "refresh_token"] {
        let token = response[name].as_str().unwrap();
        let response = world.mcp(Some(token), &json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" })).await;
        assert_eq!(response.status, StatusCode::UNAUTHORIZED, "{name}");
        assert_eq!(world.refresh(&tokens.client, token).await.json()["error"], "invalid_grant", "{name}");
    }
}
