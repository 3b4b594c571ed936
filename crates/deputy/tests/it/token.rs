use futures_util::future::join_all;
use http::StatusCode;
use serde_json::json;

use crate::world::{CALLBACK, CHALLENGE, Tokens, VERIFIER, World};

#[tokio::test]
async fn a_code_becomes_opaque_tokens_and_nothing_of_pingones() {
    let world = World::new();
    let client = world.client().await;
    let code = world.code(&client).await;
    let response = world.redeem(&client, &code).await;
    assert_eq!((response.status, response.header("cache-control")), (StatusCode::OK, "no-store".into()));
    let answer = response.json();
    assert_eq!(answer["token_type"], "Bearer");
    assert_eq!(answer["expires_in"], 3600);
    assert_eq!(answer["scope"], "todo:read todo:write");
    let members: Vec<_> = answer.as_object().unwrap().keys().collect();
    assert_eq!(members, ["access_token", "expires_in", "refresh_token", "scope", "token_type"]);
    assert!(!response.text.contains("eyJ"), "no JWT");
}

#[tokio::test]
async fn a_replayed_code_revokes_what_it_gave() {
    let world = World::new();
    let client = world.client().await;
    let code = world.code(&client).await;
    let tokens = Tokens::of(&client, &world.redeem(&client, &code).await);
    assert_eq!(world.redeem(&client, &code).await.json()["error"], "invalid_grant");
    assert_eq!(world.call(&tokens.access, "who_am_i", json!({})).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(world.refresh(&client, &tokens.refresh).await.json()["error"], "invalid_grant");
}

#[tokio::test]
async fn of_two_hundred_simultaneous_redemptions_one_succeeds() {
    let world = World::new();
    let client = world.client().await;
    let code = world.code(&client).await;
    let answers = join_all((0..200).map(|_| world.redeem(&client, &code))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == StatusCode::OK).count(), 1);
    assert_eq!(answers.iter().filter(|answer| answer.status == StatusCode::BAD_REQUEST).count(), 199);
}

#[tokio::test]
async fn a_code_is_bound_to_client_redirect_uri_and_verifier() {
    let world = World::new();
    let (client, other) = (world.client().await, world.client().await);
    let code = world.code(&client).await;
    for (name, value, error) in [
        ("client_id", other.as_str(), "invalid_grant"),
        ("redirect_uri", "https://client.example/other", "invalid_grant"),
        ("code_verifier", CHALLENGE, "invalid_grant"),
        ("code_verifier", "", "invalid_request"),
        ("code", "", "invalid_request"),
        ("resource", "https://evil.example", "invalid_target"),
        ("resource", "https://deputy.example/mcp#x", "invalid_target"),
    ] {
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("client_id", &client),
            ("code", &code),
            ("code_verifier", VERIFIER),
            ("redirect_uri", CALLBACK),
        ];
        form.retain(|(held, _)| *held != name);
        form.push((name, value));
        let response = world.post_form("/token", &form).await;
        assert_eq!(
            (response.status, &response.json()["error"]),
            (StatusCode::BAD_REQUEST, &json!(error)),
            "{name}={value}"
        );
    }
    assert_eq!(world.redeem(&client, &code).await.status, StatusCode::OK, "nothing was consumed");
}

#[tokio::test]
async fn a_code_expires() {
    let world = World::new();
    let client = world.client().await;
    let code = world.code(&client).await;
    world.host.advance(120);
    assert_eq!(world.redeem(&client, &code).await.json()["error"], "invalid_grant");
}

#[tokio::test]
async fn garbage_and_tokens_of_another_kind_are_invalid_grants() {
    let world = World::new();
    let tokens = world.connected().await;
    let long = "x".repeat(20_000);
    for code in
        ["x", "\0", "::", "ü", &long, &tokens.access, &tokens.refresh, &format!("dpc_{}", "A".repeat(80))]
    {
        assert_eq!(world.redeem(&tokens.client, code).await.json()["error"], "invalid_grant");
        let refreshed = world.refresh(&tokens.client, if code == tokens.refresh { "x" } else { code }).await;
        assert_eq!(refreshed.json()["error"], "invalid_grant");
    }
    assert_eq!(world.mcp(Some(&tokens.refresh), &json!({})).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_confidential_client_must_prove_itself_by_basic_or_form() {
    let world = World::new();
    let registered = world.register(&json!({"redirect_uris": [CALLBACK]})).await;
    let (client, secret) =
        (registered["client_id"].as_str().unwrap(), registered["client_secret"].as_str().unwrap());
    let code = world.code(client).await;
    for wrong in [None, Some(""), Some("wrong")] {
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("client_id", client),
            ("code", &code),
            ("code_verifier", VERIFIER),
        ];
        form.extend(wrong.map(|secret| ("client_secret", secret)));
        let response = world.post_form("/token", &form).await;
        assert_eq!(
            (response.status, &response.json()["error"]),
            (StatusCode::UNAUTHORIZED, &json!("invalid_client"))
        );
        assert!(response.header("www-authenticate").starts_with("Basic "));
    }
    let basic =
        base64::Engine::encode(&base64::engine::general_purpose::STANDARD, format!("{client}:{secret}"));
    let body = format!("grant_type=authorization_code&code={code}&code_verifier={VERIFIER}");
    let headers = [
        ("content-type", "application/x-www-form-urlencoded; charset=UTF-8"),
        ("authorization", &format!("Basic {basic}")),
    ];
    let response = world.request("POST", "/token", &headers, &body).await;
    assert_eq!(response.status, StatusCode::OK, "{}", response.text);
    let refresh = response.json()["refresh_token"].as_str().unwrap().to_owned();
    let form = [
        ("grant_type", "refresh_token"),
        ("client_id", client),
        ("client_secret", secret),
        ("refresh_token", &refresh),
    ];
    assert_eq!(world.post_form("/token", &form).await.status, StatusCode::OK);
}

#[tokio::test]
async fn requests_that_are_no_token_requests_are_refused() {
    let world = World::new();
    let client = world.client().await;
    for grant_type in
        ["password", "client_credentials", "implicit", "urn:ietf:params:oauth:grant-type:device_code"]
    {
        let response = world.post_form("/token", &[("grant_type", grant_type), ("client_id", &client)]).await;
        assert_eq!(response.json()["error"], "unsupported_grant_type", "{grant_type}");
    }
    assert_eq!(world.post_form("/token", &[]).await.json()["error"], "invalid_request");
    let twice = [
        ("grant_type", "refresh_token"),
        ("client_id", &client),
        ("refresh_token", "a"),
        ("refresh_token", "b"),
    ];
    assert_eq!(world.post_form("/token", &twice).await.json()["error"], "invalid_request");
    let json = world.post_json("/token", &json!({"grant_type": "refresh_token"})).await;
    assert_eq!((json.status, &json.json()["error"]), (StatusCode::BAD_REQUEST, &json!("invalid_request")));
    let large = world.post_form("/token", &[("grant_type", &"x".repeat(100_000))]).await;
    assert_eq!(large.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn a_refresh_token_is_rotated_and_its_retry_gets_the_same_answer() {
    let world = World::new();
    let first = world.connected().await;
    let second = world.refresh(&first.client, &first.refresh).await;
    let again = world.refresh(&first.client, &first.refresh).await;
    assert_eq!(second.json(), again.json());
    assert_ne!(second.json()["refresh_token"], json!(first.refresh));
}

#[tokio::test]
async fn a_refresh_token_whose_successor_was_used_ends_everything() {
    let world = World::new();
    let first = world.connected().await;
    let second = Tokens::of(&first.client, &world.refresh(&first.client, &first.refresh).await);
    let third = Tokens::of(&first.client, &world.refresh(&first.client, &second.refresh).await);
    assert_eq!(world.refresh(&first.client, &first.refresh).await.json()["error"], "invalid_grant");
    assert_eq!(world.refresh(&first.client, &third.refresh).await.json()["error"], "invalid_grant");
    assert_eq!(world.call(&third.access, "who_am_i", json!({})).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn after_twenty_parallel_refreshes_a_working_pair_remains() {
    let world = World::new();
    let tokens = world.connected().await;
    let answers = join_all((0..20).map(|_| world.refresh(&tokens.client, &tokens.refresh))).await;
    assert!(answers.iter().all(|answer| answer.status == StatusCode::OK));
    for answer in &answers {
        let tokens = Tokens::of(&tokens.client, answer);
        assert_eq!(world.call(&tokens.access, "who_am_i", json!({})).await.status, StatusCode::OK);
    }
    let last = Tokens::of(&tokens.client, &answers[7]);
    assert_eq!(world.refresh(&last.client, &last.refresh).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_refresh_narrows_scopes_and_never_widens_them() {
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
async fn a_refresh_token_lives_thirty_days_from_its_last_use() {
    let world = World::new();
    world.pingone.configure(|pingone| pingone.skip_token_session_validation = true);
    let mut tokens = world.connected().await;
    for _ in 0..3 {
        world.host.advance(29 * 24 * 3600);
        let response = world.refresh(&tokens.client, &tokens.refresh).await;
        assert_eq!(response.status, StatusCode::OK, "{}", response.text);
        tokens = Tokens::of(&tokens.client, &response);
    }
    world.host.advance(30 * 24 * 3600);
    assert_eq!(world.refresh(&tokens.client, &tokens.refresh).await.json()["error"], "invalid_grant");
}

#[tokio::test]
async fn revoking_either_token_ends_the_grant_and_pingones_too() {
    let world = World::new();
    for which in ["access", "refresh"] {
        let tokens = world.connected().await;
        let token = if which == "access" { &tokens.access } else { &tokens.refresh };
        let form =
            [("token", token.as_str()), ("client_id", &tokens.client), ("token_type_hint", "nonsense")];
        assert_eq!(world.post_form("/revoke", &form).await.status, StatusCode::OK);
        assert_eq!(
            world.call(&tokens.access, "who_am_i", json!({})).await.status,
            StatusCode::UNAUTHORIZED,
            "{which}"
        );
        assert_eq!(world.refresh(&tokens.client, &tokens.refresh).await.json()["error"], "invalid_grant");
        tokio::task::yield_now().await;
    }
    assert_eq!(world.pingone.requests("revoke"), 2);
}

#[tokio::test]
async fn revoking_what_is_unknown_or_anothers_changes_nothing() {
    let world = World::new();
    let tokens = world.connected().await;
    let other = world.client().await;
    for (client, token) in
        [(&other, tokens.refresh.as_str()), (&tokens.client, "unknown"), (&tokens.client, "")]
    {
        let status = world.post_form("/revoke", &[("token", token), ("client_id", client)]).await.status;
        assert_eq!(status, if token.is_empty() { StatusCode::BAD_REQUEST } else { StatusCode::OK });
    }
    assert_eq!(world.call(&tokens.access, "who_am_i", json!({})).await.status, StatusCode::OK);
}

#[tokio::test]
async fn what_was_issued_survives_a_restart_and_the_rotation_of_our_key() {
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
