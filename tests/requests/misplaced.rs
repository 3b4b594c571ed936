//! What is in the wrong place, there twice, or somebody else's.

use http::StatusCode;
use pingone_sim::Failure;
use serde_json::{Value, json};

use crate::world::{API, CALLBACK, CHALLENGE, PINGONE, Tokens, VERIFIER, World, claims};

const FORM: &str = "application/x-www-form-urlencoded";

fn redemption<'a>(client: &'a str, code: &'a str) -> Vec<(&'static str, &'a str)> {
    vec![
        ("grant_type", "authorization_code"),
        ("client_id", client),
        ("code", code),
        ("code_verifier", VERIFIER),
        ("redirect_uri", CALLBACK),
    ]
}

#[tokio::test]
async fn a_parameter_of_a_redemption_that_is_there_twice_is_refused_and_uses_nothing_up() {
    let world = World::new();
    let client = world.client().await;
    let code = world.code(&client).await;
    for (name, value) in redemption(&client, &code) {
        let mut form = redemption(&client, &code);
        form.push((name, value));
        let answer = world.post_form("/token", &form).await;
        let expected = (StatusCode::BAD_REQUEST, &json!("invalid_request"));
        assert_eq!((answer.status, &answer.json()["error"]), expected, "{name}");
    }
    assert_eq!(world.redeem(&client, &code).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_redemption_anywhere_but_in_a_form_is_none() {
    let world = World::new();
    let client = world.client().await;
    let code = world.code(&client).await;
    let form = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(redemption(&client, &code))
        .finish();
    let in_query = format!("/token?{form}");
    for (method, path, media_type, body) in [
        ("GET", in_query.as_str(), FORM, ""),
        ("POST", in_query.as_str(), FORM, ""),
        ("POST", "/token", "text/plain", form.as_str()),
        ("POST", "/token", "multipart/form-data; boundary=x", form.as_str()),
        ("PUT", "/token", FORM, form.as_str()),
    ] {
        let answer = world.request(method, path, &[("content-type", media_type)], body).await;
        assert!(answer.status.is_client_error(), "{method} {path} {media_type}: {}", answer.text);
    }
    assert_eq!(world.redeem(&client, &code).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_scope_at_redemption_gives_no_more_than_was_approved() {
    let world = World::new();
    let client = world.client().await;
    let url = world.authorize_url(&client, &[("scope", "todo:read")]);
    let page = world.log_in(&mut world.browser(), "alice", &url).await;
    let code = page.query("code").unwrap();
    let mut form = redemption(&client, &code);
    form.push(("scope", "todo:read todo:write"));
    let answer = world.post_form("/token", &form).await;
    assert_eq!((answer.status, &answer.json()["scope"]), (StatusCode::OK, &json!("todo:read")));
}

#[tokio::test]
async fn a_refresh_for_another_resource_is_refused_and_uses_nothing_up() {
    let world = World::new();
    let tokens = world.connected().await;
    for resource in [
        "https://evil.example/mcp",
        "https://deputy.example/mcp#x",
        "https://deputy.example.evil.example/mcp",
    ] {
        let form = [
            ("grant_type", "refresh_token"),
            ("client_id", tokens.client.as_str()),
            ("refresh_token", tokens.refresh.as_str()),
            ("resource", resource),
        ];
        assert_eq!(world.post_form("/token", &form).await.json()["error"], "invalid_target", "{resource}");
    }
    assert_eq!(world.refresh(&tokens.client, &tokens.refresh).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_confidential_client_is_nobody_without_its_own_secret() {
    let world = World::new();
    let metadata = json!({ "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "client_secret_post" });
    let (one, other) = (world.register(&metadata).await, world.register(&metadata).await);
    let text = |client: &Value, name: &str| client[name].as_str().unwrap().to_owned();
    let (id, secret, foreign) =
        (text(&one, "client_id"), text(&one, "client_secret"), text(&other, "client_secret"));
    let code = world.code(&id).await;
    let with = |secret: &str| {
        let mut form: Vec<_> =
            redemption(&id, &code).into_iter().map(|(name, value)| (name, value.to_owned())).collect();
        form.push(("client_secret", secret.to_owned()));
        form
    };
    let post = async |path, form: Vec<(&'static str, String)>| {
        let form: Vec<_> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        world.post_form(path, &form).await
    };
    for wrong in [foreign.as_str(), "", "x"] {
        let answer = post("/token", with(wrong)).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{}", answer.text);
        assert!(answer.header("www-authenticate").starts_with("Basic"));
    }
    let tokens = Tokens::of(&id, &post("/token", with(&secret)).await);
    let revocation = |secret: Option<&str>| {
        let mut form = vec![("token", tokens.refresh.clone()), ("client_id", id.clone())];
        form.extend(secret.map(|secret| ("client_secret", secret.to_owned())));
        form
    };
    for wrong in [None, Some(foreign.as_str())] {
        assert_eq!(post("/revoke", revocation(wrong)).await.status, StatusCode::UNAUTHORIZED);
        assert_eq!(world.call(&tokens.access, "who_am_i", json!({})).await.status, StatusCode::OK);
    }
    assert_eq!(post("/revoke", revocation(Some(&secret))).await.status, StatusCode::OK);
    assert_eq!(world.call(&tokens.access, "who_am_i", json!({})).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_confidential_client_needs_pkce_too() {
    let world = World::new();
    let client = world.register(&json!({ "redirect_uris": [CALLBACK] })).await;
    let id = client["client_id"].as_str().unwrap();
    for otherwise in [
        [("code_challenge", ""), ("code_challenge_method", "S256")],
        [("code_challenge", CHALLENGE), ("code_challenge_method", "plain")],
    ] {
        let answer = world.get(&world.authorize_path(id, &otherwise)).await;
        let location = answer.location();
        let error =
            location.query_pairs().find(|(name, _)| name == "error").map(|(_, value)| value.into_owned());
        assert_eq!(error.as_deref(), Some("invalid_request"), "{otherwise:?}");
    }
    assert_eq!(world.requests_to_pingone(), 0);
}

#[tokio::test]
async fn addresses_of_pictures_and_pages_of_a_client_are_neither_kept_nor_shown() {
    let world = World::new();
    let mut metadata = json!({ "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none" });
    for name in ["logo_uri", "client_uri", "tos_uri", "policy_uri", "jwks_uri"] {
        metadata[name] = json!("javascript:alert(document.domain)");
    }
    let client = world.register(&metadata).await;
    assert!(!client.to_string().contains("javascript"), "{client}");
    let page = world.get(&world.authorize_path(client["client_id"].as_str().unwrap(), &[])).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(!page.text.contains("javascript:") && !page.text.contains("<img"), "{}", page.text);
}

#[tokio::test]
async fn a_session_id_without_a_token_is_nobody() {
    let world = World::new();
    for method in ["POST", "GET", "DELETE"] {
        let headers = [("mcp-session-id", "0123456789abcdef"), ("content-type", "application/json")];
        let answer = world
            .request(method, "/mcp", &headers, r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#)
            .await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{method}");
    }
}

#[tokio::test]
async fn two_people_with_one_client_are_two_people() {
    let world = World::new();
    let client = world.client().await;
    let mut tokens = Vec::new();
    for person in ["alice", "bob"] {
        let url = world.authorize_url(&client, &[]);
        let page = world.log_in(&mut world.browser(), person, &url).await;
        tokens.push(Tokens::of(&client, &world.redeem(&client, &page.query("code").unwrap()).await));
    }
    world.call(&tokens[0].access, "create_new_todo", json!({ "text": "Only mine" })).await;
    let list = world.call(&tokens[1].access, "get_my_todo_list", json!({})).await;
    assert!(!list.text.contains("Only mine"), "{}", list.text);
    for (tokens, name) in tokens.iter().zip(["Alice", "Bob"]) {
        let me = world.call(&tokens.access, "who_am_i", json!({})).await;
        assert!(me.text.contains(name), "{}", me.text);
    }
}

#[tokio::test]
async fn the_next_person_at_the_same_browser_is_somebody_else() {
    let world = World::new();
    let client = world.client().await;
    let mut browser = world.browser();
    let mut tokens = Vec::new();
    for (person, prompt) in [("alice", ""), ("bob", "login")] {
        let url = world.authorize_url(&client, &[("prompt", prompt)]);
        let page = world.log_in(&mut browser, person, &url).await;
        tokens.push(Tokens::of(&client, &world.redeem(&client, &page.query("code").unwrap()).await));
    }
    world.call(&tokens[0].access, "create_new_todo", json!({ "text": "Only mine" })).await;
    for (tokens, name, todos) in [(&tokens[0], "Alice Anders", 1), (&tokens[1], "Bob", 0)] {
        let me = world.call(&tokens.access, "who_am_i", json!({})).await;
        assert!(me.text.contains(name), "{}", me.text);
        let list = world.call(&tokens.access, "get_my_todo_list", json!({})).await.json();
        assert_eq!(list["result"]["structuredContent"]["todos"].as_array().map(Vec::len), Some(todos));
    }
}

/// What PingOne's token endpoint answered first.
fn issued_by_pingone(world: &World) -> Value {
    let exchanges = world.network.exchanges();
    let issued = exchanges.iter().find(|exchange| {
        let url = exchange.request.uri().to_string();
        url.starts_with(PINGONE) && url.ends_with("/token")
    });
    serde_json::from_slice(issued.unwrap().response.body()).unwrap()
}

#[tokio::test]
async fn a_token_of_pingone_for_us_opens_nothing_here() {
    const OURS: &str = "https://deputy.example/mcp";
    for audience in [json!(OURS), json!([OURS]), json!([API, OURS])] {
        let world = World::new();
        world.pingone.force(Failure::AccessTokenClaim("aud".into(), audience.clone()));
        world.log_in_to(&mut world.browser(), &world.client().await).await;
        let token = issued_by_pingone(&world)["access_token"].as_str().unwrap().to_owned();
        assert_eq!(claims(&token)["aud"], audience);
        let answer = world.call(&token, "get_my_todo_list", json!({})).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{audience}");
        assert!(answer.header("www-authenticate").starts_with("Bearer error=\"invalid_token\", "));
        assert_eq!(world.requests_to(API, "/api/todos"), 0);
    }
}

#[tokio::test]
async fn tokens_of_pingone_open_nothing_here() {
    let world = World::new();
    let tokens = world.connected().await;
    let answer = issued_by_pingone(&world);
    for name in ["access_token", "id_token", "refresh_token"] {
        let token = answer[name].as_str().unwrap();
        let answer = world.mcp(Some(token), &json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" })).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{name}");
        assert_eq!(world.refresh(&tokens.client, token).await.json()["error"], "invalid_grant", "{name}");
    }
}
