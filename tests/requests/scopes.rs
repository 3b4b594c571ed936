//! Scopes: in registrations, authorization requests, refreshes and tool calls.

use http::StatusCode;
use pingone_sim::Failure;
use serde_json::json;

use crate::{
    authorization_code::redemption,
    world::{API, CALLBACK, Response, Tokens, World, error_at_client},
};

#[tokio::test]
async fn unknown_scope_is_neither_shown_nor_granted() {
    let world = World::new();
    let overrides = [("scope", "todo:read admin:*")];
    let page = world.get(&world.authorize_path(&world.client().await, &overrides)).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.text.contains("todo:read") && !page.text.contains("todo:write"), "{}", page.text);
    assert!(!page.text.contains("admin"), "{}", page.text);
    let tokens = world.connected_as("alice", &overrides).await;
    assert_eq!(tokens.response["scope"], "todo:read");
    let response = world.call(&tokens.access, "create_new_todo", json!({ "text": "x" })).await;
    assert_eq!(response.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn openid_connect_scopes_alone_give_the_default_scopes() {
    let world = World::new();
    for scope in ["", "openid", "openid email profile", "openid profile email offline_access"] {
        let metadata =
            json!({ "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none", "scope": scope });
        assert_eq!(world.register(&metadata).await["scope"], "todo:read todo:write", "{scope}");
        let tokens = world.connected_as("alice", &[("scope", scope)]).await;
        assert_eq!(tokens.response["scope"], "todo:read todo:write", "{scope}");
        let response = refreshed(&world, &tokens, scope).await;
        assert_eq!(
            (response.status, &response.json()["scope"]),
            (StatusCode::OK, &json!("todo:read todo:write"))
        );
    }
}

async fn refreshed(world: &World, tokens: &Tokens, scope: &str) -> Response {
    let form = [
        ("grant_type", "refresh_token"),
        ("client_id", &tokens.client),
        ("refresh_token", &tokens.refresh),
        ("scope", scope),
    ];
    world.post_form("/token", &form).await
}

#[tokio::test]
async fn ungrantable_scope_is_refused_with_its_cause() {
    const SPACES: &str = "scopes are separated by single spaces";
    let world = World::new();
    let tokens = world.connected().await;
    let many = (0..65).map(|n| format!("s{n}")).collect::<Vec<_>>().join(" ");
    for (scope, cause) in [
        ("todo:read\ttodo:write", format!("scope is malformed: it contains U+0009; {SPACES}")),
        ("todo:read \u{e9}", format!("scope is malformed: it contains U+00E9; {SPACES}")),
        ("\"todo:read\"", format!("scope is malformed: it contains U+0022; {SPACES}")),
        ("todo:read,todo:write", format!("scope is malformed: {SPACES}, and not by commas (U+002C)")),
        (&many, "scope is malformed: it has more than 64 scopes".to_owned()),
        (
            "read write openid",
            "none of these scopes can be granted; the scopes that can be are: todo:read todo:write"
                .to_owned(),
        ),
    ] {
        let response = world.get(&world.authorize_path(&tokens.client, &[("scope", scope)])).await;
        let told: Vec<_> =
            response.location().query_pairs().take(2).map(|(_, told)| told.into_owned()).collect();
        let [code, description] = &told[..] else { panic!("{told:?}") };
        let (text, reference) = description.split_once(" (reference ").expect("a reference");
        assert_eq!((code.as_str(), text), ("invalid_scope", cause.as_str()), "{scope}");
        assert_eq!(reference.len(), "7KQ2-M4XD)".len(), "{scope}");
        let response = refreshed(&world, &tokens, scope).await;
        assert_eq!(response.status, StatusCode::BAD_REQUEST, "{scope}");
        let told = response.json();
        let description = told["error_description"].as_str().unwrap_or_default();
        let text = description.split(" (reference").next();
        assert_eq!((&told["error"], text), (&json!("invalid_scope"), Some(cause.as_str())), "{scope}");
    }
    assert_eq!(refreshed(&world, &tokens, "").await.status, StatusCode::OK, "nothing was used up");
}

#[tokio::test]
async fn partly_grantable_scope_is_granted_in_part() {
    let world = World::new();
    for scope in ["todo:read unknown", "openid todo:read", "todo:read a,b"] {
        let metadata = json!({ "redirect_uris": [CALLBACK], "scope": scope });
        assert_eq!(world.register(&metadata).await["scope"], "todo:read", "{scope}");
        let narrow = world.connected_as("alice", &[("scope", scope)]).await;
        assert_eq!(narrow.response["scope"], "todo:read", "{scope}");
        let response = refreshed(&world, &world.connected().await, scope).await;
        assert_eq!((response.status, &response.json()["scope"]), (StatusCode::OK, &json!("todo:read")));
    }
    let unknown = json!({ "redirect_uris": [CALLBACK], "scope": "claudeai" });
    let told = world.register(&unknown).await;
    assert_eq!(told["scope"], "todo:read todo:write", "a registration grants nothing");
}

#[tokio::test]
async fn grant_is_limited_to_the_scopes_that_pingone_granted() {
    let world = World::new();
    world.pingone.force(Failure::TokenMember("scope".into(), json!("openid todo:read")));
    assert_eq!(world.connected().await.response["scope"], "todo:read");
    world.pingone.force(Failure::TokenMember("scope".into(), json!("openid")));
    let client = world.client().await;
    let page = world.log_in_to(&mut world.browser(), &client).await;
    assert_eq!(error_at_client(&world, &page), "access_denied");
}

#[tokio::test]
async fn unknown_scope_from_pingone_leaves_the_others_granted() {
    let world = World::new();
    let many = (0..70).map(|n| n.to_string()).collect::<Vec<_>>().join(" ");
    for foreign in ["p1:read:user", "\"quoted\"", "\u{e9}", &many] {
        let scope = json!(format!("openid {foreign} todo:read"));
        world.pingone.force(Failure::TokenMember("scope".into(), scope));
        assert_eq!(world.connected().await.response["scope"], "todo:read", "{foreign}");
    }
}

#[tokio::test]
async fn refresh_narrows_scopes_and_never_widens_them() {
    let world = World::new();
    let tokens = world.connected().await;
    let with = |scope: &'static str, refresh: String| {
        let form = [("grant_type", "refresh_token"), ("client_id", tokens.client.as_str())]
            .map(|(a, b)| (a, b.to_owned()));
        let world = &world;
        async move {
            let form: Vec<_> = form.iter().map(|(a, b)| (*a, b.as_str())).collect();
            world
                .post_form("/token", &[&form[..], &[("scope", scope), ("refresh_token", &refresh)]].concat())
                .await
        }
    };
    assert_eq!(with("admin", tokens.refresh.clone()).await.json()["error"], "invalid_scope");
    let narrowed = with("todo:read offline_access", tokens.refresh.clone()).await;
    assert_eq!(narrowed.json()["scope"], "todo:read");
    let access = narrowed.json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(
        world.call(&access, "create_new_todo", json!({"text": "x"})).await.status,
        StatusCode::FORBIDDEN
    );
}

#[tokio::test]
async fn refresh_with_more_scopes_gets_the_granted_ones() {
    let world = World::new();
    let tokens = world.connected_as("alice", &[("scope", "todo:read")]).await;
    let form = [
        ("grant_type", "refresh_token"),
        ("client_id", tokens.client.as_str()),
        ("refresh_token", &tokens.refresh),
        ("scope", "todo:read todo:write"),
    ];
    let response = world.post_form("/token", &form).await;
    assert_eq!((response.status, &response.json()["scope"]), (StatusCode::OK, &json!("todo:read")));
    let tokens = Tokens::of(&tokens.client, &response);
    let call = world.call(&tokens.access, "create_new_todo", json!({ "text": "x" })).await;
    assert_eq!(call.status, StatusCode::FORBIDDEN);
    assert_eq!(world.requests_to(API, "/api/todos"), 0);
}

#[tokio::test]
async fn tool_call_without_its_scope_is_insufficient_scope() {
    let world = World::new();
    let token = world.connected_as("alice", &[("scope", "todo:read")]).await.access;
    let response = world.call(&token, "create_new_todo", json!({"text": "x"})).await;
    assert_eq!(response.status, StatusCode::FORBIDDEN);
    assert_eq!(
        response.header("www-authenticate"),
        "Bearer error=\"insufficient_scope\", error_description=\"this needs the scope todo:write\", \
         scope=\"todo:read todo:write\", resource_metadata=\"https://deputy.example/.well-known/oauth-protected-resource/mcp\""
    );
    // The page makes each client log in again, also those that do not ask for more scopes.
    let told = "this needs the scope todo:write: connect this server again in the application, and approve it there. If the \
                application does not offer that, disconnect it first at https://deputy.example/agents";
    assert_eq!(response.json()["error_description"], told);
    assert_eq!(world.requests_to(API, "/api/todos"), 0);
    assert_eq!(world.call(&token, "get_my_todo_list", json!({})).await.status, StatusCode::OK);
}

#[tokio::test]
async fn scope_outside_api_scopes_is_not_offered_to_clients() {
    let world = World::with(&[("API_SCOPES", "todo:read")]);
    let token = world.connected().await.access;
    let response = world.call(&token, "create_new_todo", json!({"text": "x"})).await;
    assert_eq!((response.status, response.header("www-authenticate")), (StatusCode::OK, String::new()));
    let told = "this needs the scope todo:write, which this server grants to no client";
    assert_eq!(response.json()["error"]["message"], told);
    assert_eq!(world.requests_to(API, "/api/todos"), 0);
}

#[tokio::test]
async fn scope_at_redemption_is_limited_to_the_approved_ones() {
    let world = World::new();
    let client = world.client().await;
    let url = world.authorize_url(&client, &[("scope", "todo:read")]);
    let page = world.log_in(&mut world.browser(), "alice", &url).await;
    let code = page.query("code").unwrap();
    let mut form = redemption(&client, &code);
    form.push(("scope", "todo:read todo:write"));
    let response = world.post_form("/token", &form).await;
    assert_eq!((response.status, &response.json()["scope"]), (StatusCode::OK, &json!("todo:read")));
}
