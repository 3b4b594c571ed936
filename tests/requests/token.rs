use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures_util::future::join_all;
use http::StatusCode;
use serde_json::json;

use crate::world::{API, Answer, CALLBACK, CHALLENGE, Tokens, VERIFIER, World};

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
async fn in_every_round_of_simultaneous_redemptions_one_succeeds() {
    let world = World::new();
    let client = world.client().await;
    for round in 0..12 {
        let code = world.code(&client).await;
        let answers = join_all((0..20).map(|_| world.redeem(&client, &code))).await;
        let (good, bad): (Vec<_>, Vec<_>) =
            answers.iter().partition(|answer| answer.status == StatusCode::OK);
        assert_eq!((good.len(), bad.len()), (1, 19), "round {round}");
        for answer in bad {
            let refused = (StatusCode::BAD_REQUEST, &json!("invalid_grant"));
            assert_eq!((answer.status, &answer.json()["error"]), refused, "round {round}");
        }
    }
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
async fn a_code_for_one_registered_redirect_uri_is_no_good_with_the_other() {
    let world = World::new();
    let other = "https://client.example/other";
    let metadata = json!({ "redirect_uris": [CALLBACK, other], "token_endpoint_auth_method": "none" });
    let client = world.register(&metadata).await["client_id"].as_str().unwrap().to_owned();
    for (used, unused) in [(CALLBACK, other), (other, CALLBACK)] {
        let url = world.authorize_url(&client, &[("redirect_uri", used)]);
        let code = world.log_in(&mut world.browser(), "alice", &url).await.query("code").unwrap();
        for (redirect_uri, status) in [(unused, StatusCode::BAD_REQUEST), (used, StatusCode::OK)] {
            let form = [
                ("grant_type", "authorization_code"),
                ("client_id", client.as_str()),
                ("code", &code),
                ("code_verifier", VERIFIER),
                ("redirect_uri", redirect_uri),
            ];
            let answer = world.post_form("/token", &form).await;
            assert_eq!(answer.status, status, "{redirect_uri}: {}", answer.text);
            let error = &answer.json()["error"];
            assert_eq!(error == "invalid_grant", status == StatusCode::BAD_REQUEST, "{error}");
        }
    }
}

#[tokio::test]
async fn a_code_expires() {
    let world = World::new();
    let client = world.client().await;
    let code = world.code(&client).await;
    world.host.advance(120);
    let answer = world.redeem(&client, &code).await.json();
    let expected = json!({
        "error": "invalid_grant", "error_description": "the code has expired, or its login has ended",
    });
    assert_eq!(answer, expected);
}

#[tokio::test]
async fn garbage_and_tokens_of_another_kind_are_invalid_grants() {
    let world = World::new();
    let tokens = world.connected().await;
    let refused = (StatusCode::BAD_REQUEST, json!("invalid_grant"));
    let told = |answer: Answer| (answer.status, answer.json()["error"].clone());
    let (long, alike) = ("x".repeat(20_000), format!("dpc_{}", "A".repeat(80)));
    for garbage in ["x", "\0", "::", "a:b:c", "../x", "ü\u{202e}\u{1f980}", "dpc_", "'; --", &long, &alike] {
        assert_eq!(told(world.redeem(&tokens.client, garbage).await), refused, "{garbage:?}");
        assert_eq!(told(world.refresh(&tokens.client, garbage).await), refused, "{garbage:?}");
    }
    for token in [&tokens.access, &tokens.refresh] {
        assert_eq!(told(world.redeem(&tokens.client, token).await), refused);
    }
    assert_eq!(told(world.refresh(&tokens.client, &tokens.access).await), refused);
    let answer = world.call(&tokens.refresh, "get_my_todo_list", json!({})).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert_eq!(world.requests_to(API, "/api/todos"), 0);
    assert_eq!(world.refresh(&tokens.client, &tokens.refresh).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_code_is_no_token_and_is_not_used_up_by_the_attempt() {
    let world = World::new();
    let client = world.client().await;
    let code = world.code(&client).await;
    let answer = world.call(&code, "get_my_todo_list", json!({})).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert!(answer.header("www-authenticate").starts_with("Bearer error=\"invalid_token\", "));
    assert_eq!(world.requests_to(API, "/api/todos"), 0);
    let answer = world.refresh(&client, &code).await;
    let refused = (StatusCode::BAD_REQUEST, &json!("invalid_grant"));
    assert_eq!((answer.status, &answer.json()["error"]), refused);
    let form = [("token", code.as_str()), ("client_id", &client)];
    assert_eq!(world.post_form("/revoke", &form).await.status, StatusCode::OK);
    assert_eq!(world.redeem(&client, &code).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_parameter_without_a_value_is_as_if_omitted() {
    const EMPTY: &str = "resource=&scope=&client_secret=&client_id=&grant_type=&code=&refresh_token=&redirect_uri=&token=&token_type_hint=";
    let world = World::new();
    let client = world.client().await;
    let code = world.code(&client).await;
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let post = async |path: &str, form: &str| world.request("POST", path, &headers, form).await;
    let form =
        format!("grant_type=authorization_code&client_id={client}&code={code}&code_verifier={VERIFIER}");
    let answer = post("/token", &format!("{EMPTY}&{form}")).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    let tokens = Tokens::of(&client, &answer);
    let form = format!("grant_type=refresh_token&client_id={client}&refresh_token={}", tokens.refresh);
    let answer = post("/token", &format!("{form}&{EMPTY}")).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    let form = format!("token={}&client_id={client}", Tokens::of(&client, &answer).access);
    assert_eq!(post("/revoke", &format!("{EMPTY}&{form}")).await.status, StatusCode::OK);
    let answer = world.call(&Tokens::of(&client, &answer).access, "who_am_i", json!({})).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "it was revoked");
}

/// A form of `client` to `path`, with these `Authorization` headers.
async fn authorized(world: &World, path: &str, authorization: &[&str], form: &str) -> Answer {
    let mut headers = vec![("content-type", "application/x-www-form-urlencoded")];
    headers.extend(authorization.iter().map(|value| ("authorization", *value)));
    world.request("POST", path, &headers, form).await
}

#[tokio::test]
async fn a_header_of_another_scheme_does_not_authenticate_a_client() {
    let world = World::new();
    let tokens = world.connected().await;
    let registered = world.register(&json!({ "redirect_uris": [CALLBACK] })).await;
    let [id, secret] = ["client_id", "client_secret"].map(|name| registered[name].as_str().unwrap());
    let public = format!("client_id={}", tokens.client);
    let confidential = format!("client_id={id}&client_secret={secret}");
    for authorization in [
        &[][..],
        &[""],
        &["Bearer"],
        &["Bearer stale"],
        &["bearer stale", "Negotiate YQ=="],
        &["DPoP eyJ", "Bearer a"],
        &["Digest username=\"Basic\", realm=\"x, Basic y\""],
        &["Basic"],
    ] {
        for form in [&public, &confidential] {
            let asked = format!("grant_type=refresh_token&refresh_token=x&{form}");
            let answer = authorized(&world, "/token", authorization, &asked).await;
            assert_eq!(answer.json()["error"], "invalid_grant", "{authorization:?} {form}");
            let answer = authorized(&world, "/revoke", authorization, &format!("token=x&{form}")).await;
            assert_eq!(answer.status, StatusCode::OK, "{authorization:?} {form}");
        }
        let unproved = format!("grant_type=refresh_token&refresh_token=x&client_id={id}");
        let answer = authorized(&world, "/token", authorization, &unproved).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{authorization:?}");
    }
}

#[tokio::test]
async fn a_client_authenticates_in_one_way_and_may_name_itself_in_both() {
    let world = World::new();
    let public = world.client().await;
    let registered = world.register(&json!({ "redirect_uris": [CALLBACK] })).await;
    let [id, secret] = ["client_id", "client_secret"].map(|name| registered[name].as_str().unwrap());
    let basic = |credentials: &str| format!("Basic {}", STANDARD.encode(credentials));
    let (own, of_public) = (basic(&format!("{id}:{secret}")), basic(&format!("{public}:")));
    let good = (StatusCode::BAD_REQUEST, json!("invalid_grant"));
    let several = (StatusCode::BAD_REQUEST, json!("invalid_request"));
    for (authorization, form, told) in [
        (&[own.as_str()][..], format!("&client_id={id}"), &good),
        (&["Bearer stale", &own], format!("&client_id={id}&client_secret="), &good),
        (&[&of_public], String::new(), &good),
        (&[&of_public], format!("&client_id={public}"), &good),
        (&[&own], format!("&client_id={id}&client_secret={secret}"), &several),
        (&[&own, &own], String::new(), &several),
        (&[&own], format!("&client_id={public}"), &several),
    ] {
        let form = format!("grant_type=refresh_token&refresh_token=x{form}");
        let answer = authorized(&world, "/token", authorization, &form).await;
        assert_eq!((answer.status, answer.json()["error"].clone()), *told, "{authorization:?} {form}");
    }
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
        let refused = (StatusCode::BAD_REQUEST, &json!("unsupported_grant_type"));
        assert_eq!((response.status, &response.json()["error"]), refused, "{grant_type}");
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
async fn a_client_that_proves_itself_gets_no_token_without_a_person() {
    let world = World::new();
    let registered = world.register(&json!({ "redirect_uris": [CALLBACK] })).await;
    let [client, secret] = ["client_id", "client_secret"].map(|name| registered[name].as_str().unwrap());
    for grant_type in ["password", "client_credentials", "implicit", "token", "Authorization_Code"] {
        let form = [
            ("grant_type", grant_type),
            ("client_id", client),
            ("client_secret", secret),
            ("username", "alice"),
            ("password", "Alice-demo-1"),
            ("scope", "todo:read"),
        ];
        let answer = world.post_form("/token", &form).await;
        let refused = (StatusCode::BAD_REQUEST, &json!("unsupported_grant_type"));
        assert_eq!((answer.status, &answer.json()["error"]), refused, "{grant_type}");
    }
    assert_eq!(world.requests_to_pingone(), 0);
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
async fn a_refresh_that_asks_for_more_than_was_granted_gets_what_was_granted() {
    let world = World::new();
    let tokens = world.connected_as("alice", &[("scope", "todo:read")]).await;
    let form = [
        ("grant_type", "refresh_token"),
        ("client_id", tokens.client.as_str()),
        ("refresh_token", &tokens.refresh),
        ("scope", "todo:read todo:write"),
    ];
    let answer = world.post_form("/token", &form).await;
    assert_eq!((answer.status, &answer.json()["scope"]), (StatusCode::OK, &json!("todo:read")));
    let tokens = Tokens::of(&tokens.client, &answer);
    let call = world.call(&tokens.access, "create_new_todo", json!({ "text": "x" })).await;
    assert_eq!(call.status, StatusCode::FORBIDDEN);
    assert_eq!(world.requests_to(API, "/api/todos"), 0);
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
    }
    world.revoked_at_pingone(2).await;
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
