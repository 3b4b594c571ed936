//! The endpoint of PingOne's webhook.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::StatusCode;
use pingone_sim::UserAction;
use serde_json::{Value, json};

use crate::world::{
    Response, Tokens, WEBHOOK_SECRET, World, agent_ids, code_at_client, known_name, list_todos, open_question,
};

pub(crate) const OK: StatusCode = StatusCode::OK;
pub(crate) const UNAUTHORIZED: StatusCode = StatusCode::UNAUTHORIZED;

pub(crate) async fn status(world: &World, tokens: &Tokens) -> StatusCode {
    list_todos(world, &tokens.access).await.status
}

pub(crate) async fn grants_ended(world: &World) -> Vec<Value> {
    world.audited().await.into_iter().filter(|event| event["event"] == "grant_ended").collect()
}

pub(crate) fn counts(response: &Response) -> (StatusCode, Value, Value) {
    let body = response.json();
    (response.status, body["events"].clone(), body["ended"].clone())
}

#[tokio::test]
async fn events_endpoint_without_a_configured_secret_is_absent() {
    let world = World::new();
    let absent = world.get("/invented").await;
    for authorization in ["", "Bearer ", "Basic Og==", &format!("Bearer {WEBHOOK_SECRET}")] {
        let response = world.post_events_as(authorization, "[]").await;
        assert_eq!((response.status, &response.text), (StatusCode::NOT_FOUND, &absent.text));
    }
}

#[tokio::test]
async fn each_event_ends_all_grants_of_its_user_and_no_other() {
    for (action, cause) in [
        (UserAction::Lock, "USER.LOCKED"),
        (UserAction::Disable, "USER.DISABLED"),
        (UserAction::Delete, "USER.DELETED"),
        (UserAction::RevokeConsent, "OAUTH_CONSENT.REVOKED"),
        (UserAction::EndSessions, "SESSION.DELETED"),
    ] {
        let world = World::with_webhook(&[]);
        let (first, second) = (world.connected().await, world.connected().await);
        let bob = world.connected_as("bob", &[]).await;
        assert!(world.pingone.act_on("alice", action));
        // Deputy cannot know yet.
        assert_eq!(status(&world, &first).await, OK, "{cause}");
        assert!(world.deliver_events().await.iter().all(|status| *status == 200));
        for tokens in [&first, &second] {
            assert_eq!(status(&world, tokens).await, UNAUTHORIZED, "{cause}");
            let refreshed = world.refresh(&tokens.client, &tokens.refresh).await;
            assert_eq!(refreshed.json()["error"], "invalid_grant", "{cause}");
        }
        assert_eq!(status(&world, &bob).await, OK, "{cause}");
        // A token of the client opens PingOne's.
        world.wait_for_revocations_at_pingone(2).await;
        let ended = grants_ended(&world).await;
        assert_eq!(ended.len(), 2, "{ended:?}");
        for event in &ended {
            assert_eq!((&event["by"], &event["cause"]), (&json!("pingone"), &json!(cause)), "{event}");
        }
        let mut clients: Vec<_> = ended.iter().map(|event| event["client"]["id"].as_str().unwrap()).collect();
        clients.sort_unstable();
        let mut expected = [known_name(&first.client), known_name(&second.client)];
        expected.sort_unstable();
        assert_eq!(clients, expected);
    }
}

#[tokio::test]
async fn end_of_a_session_leaves_logins_of_other_sessions() {
    let world = World::with_webhook(&[]);
    let (client, mut browser) = (world.client().await, world.browser());
    let page = world.log_in_to(&mut browser, &client).await;
    let code = code_at_client(&page).expect("a code");
    let tokens = Tokens::of(&client, &world.redeem(&client, &code).await);
    let other = world.connected().await;
    browser.open(&format!("{}/signoff", world.config.issuer())).await;
    assert_eq!(world.deliver_events().await, [200]);
    assert_eq!((status(&world, &tokens).await, status(&world, &other).await), (UNAUTHORIZED, OK));
    // The eleventh session of a user ends the oldest one.
    for _ in 0..10 {
        world.connected().await;
    }
    world.deliver_events().await;
    assert_eq!(status(&world, &other).await, UNAUTHORIZED);
}

#[tokio::test]
async fn event_before_a_login_leaves_its_grant() {
    let world = World::with_webhook(&[]);
    let old = world.connected().await;
    for action in [UserAction::Lock, UserAction::Unlock, UserAction::RevokeConsent] {
        world.pingone.act_on("alice", action);
    }
    world.host.advance(10);
    let new = world.connected().await;
    world.host.advance(300);
    // Delivered late, and once more.
    world.pingone.configure(|pingone| pingone.webhook.twice = true);
    assert_eq!(world.deliver_events().await, [200, 200]);
    assert_eq!((status(&world, &old).await, status(&world, &new).await), (UNAUTHORIZED, OK));
    assert_eq!(grants_ended(&world).await.len(), 1);
}

#[tokio::test]
async fn event_before_a_code_is_redeemed_ends_the_grant() {
    let world = World::with_webhook(&[]);
    let client = world.client().await;
    let code = world.code(&client).await;
    world.pingone.act_on("alice", UserAction::Lock);
    assert_eq!(world.deliver_events().await, [200]);
    let tokens = Tokens::of(&client, &world.redeem(&client, &code).await);
    assert_eq!(status(&world, &tokens).await, UNAUTHORIZED);
    assert_eq!(grants_ended(&world).await.len(), 1);
    // The event is over.
    world.pingone.act_on("alice", UserAction::Unlock);
    world.host.advance(1);
    let again = world.connected().await;
    assert_eq!(status(&world, &again).await, OK);
}

#[tokio::test]
async fn batch_without_order_ends_each_grant_once() {
    let world = World::with_webhook(&[]);
    let alice = world.connected().await;
    let bob = world.connected_as("bob", &[]).await;
    world.pingone.add_user("dora", "Dora-demo-1");
    let dora = world.connected_as("dora", &[]).await;
    world.pingone.configure(|pingone| (pingone.webhook.newest_first, pingone.webhook.batch) = (true, 4));
    for action in [UserAction::ForcePasswordChange, UserAction::RevokeConsent, UserAction::Delete] {
        world.host.advance(1);
        world.pingone.act_on("alice", action);
        world.pingone.act_on("bob", action);
    }
    assert_eq!(world.deliver_events().await, [200, 200]);
    let statuses = (status(&world, &alice).await, status(&world, &bob).await, status(&world, &dora).await);
    assert_eq!(statuses, (UNAUTHORIZED, UNAUTHORIZED, OK));
    assert_eq!(grants_ended(&world).await.len(), 2);
}

#[tokio::test]
async fn events_without_effect_are_accepted_among_others() {
    let world = World::with_webhook(&[]);
    let tokens = world.connected().await;
    let with = |name: &str, value: Value| {
        let mut event = world.event("USER.LOCKED", "alice");
        event[name] = value;
        event
    };
    let elsewhere = json!([{ "type": "USER", "id": world.config.users[0].id, "environment": { "id": "x" } }]);
    let of_another =
        json!([{ "type": "APPLICATION", "id": "x" }, { "type": "USER", "id": world.config.users[0].id }]);
    let mut consent = with("action", json!({ "type": "OAUTH_CONSENT.REVOKED" }));
    consent["resources"] = of_another;
    let mut session = world.event("SESSION.DELETED", "alice");
    let resources = session["resources"].as_array_mut().expect("a list");
    resources.push(json!({ "type": "SESSION", "id": "another" }));
    let harmless = json!([
        world.event("USER.CREATED", "alice"),
        world.event("PASSWORD.RESET", "alice"),
        with("result", json!({ "status": "FAILED" })),
        with("result", json!(null)),
        with("recordedAt", json!(world.timestamp(world.now() - 15 * 24 * 3600))),
        with("recordedAt", json!("soon")),
        with("resources", elsewhere),
        with("resources", json!([])),
        with("resources", json!("x")),
        consent,
        session,
        {},
        null,
        7,
        "x",
        [[]],
    ]);
    assert_eq!(counts(&world.post_events(&harmless).await), (OK, json!(16), json!(0)));
    assert_eq!(status(&world, &tokens).await, OK);
    let mut more = harmless.as_array().unwrap().clone();
    more.push(world.event("USER.LOCKED", "alice"));
    assert_eq!(counts(&world.post_events(&json!(more)).await), (OK, json!(17), json!(1)));
    assert_eq!(status(&world, &tokens).await, UNAUTHORIZED);
    assert_eq!(counts(&world.post_events(&json!([])).await), (OK, json!(0), json!(0)));
}

#[tokio::test]
async fn event_by_a_clock_that_is_ahead_ends_the_grants_of_now() {
    let world = World::with_webhook(&[]);
    let tokens = world.connected().await;
    let mut event = world.event("USER.LOCKED", "alice");
    event["recordedAt"] = json!(world.timestamp(world.now() + 3600));
    assert_eq!(counts(&world.post_events(&json!([event])).await), (OK, json!(1), json!(1)));
    assert_eq!(status(&world, &tokens).await, UNAUTHORIZED);
    world.host.advance(120);
    let later = world.connected().await;
    assert_eq!(status(&world, &later).await, OK);
    assert_eq!(counts(&world.post_events(&json!([world.event("USER.CREATED", "alice")])).await).2, json!(0));
    assert_eq!(status(&world, &later).await, OK);
}

#[tokio::test]
async fn password_event_ends_grants_only_where_that_is_configured() {
    for (variables, expected) in [(&[][..], OK), (&[("PINGONE_PASSWORD_EVENTS", "end")], UNAUTHORIZED)] {
        let world = World::with_webhook(variables);
        let tokens = world.connected().await;
        world.pingone.act_on("alice", UserAction::ForcePasswordChange);
        assert_eq!(world.deliver_events().await, [200]);
        assert_eq!(status(&world, &tokens).await, expected);
    }
}

#[tokio::test]
async fn delivery_without_the_secret_changes_and_reads_nothing() {
    let world = World::with_webhook(&[]);
    let tokens = world.connected().await;
    let events = json!([world.event("USER.LOCKED", "alice")]).to_string();
    let [wrong, short] = [&format!("{WEBHOOK_SECRET}x"), &WEBHOOK_SECRET[..33]];
    let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
    let before = world.subrequests().await;
    for authorization in [
        String::new(),
        WEBHOOK_SECRET.to_owned(),
        format!("Bearer {wrong}"),
        format!("Bearer {short}"),
        format!("Bearer {WEBHOOK_SECRET}, Bearer {WEBHOOK_SECRET}"),
        format!("Digest {WEBHOOK_SECRET}"),
        format!("Bearer {}", tokens.access),
        basic(WEBHOOK_SECRET),
        basic(&format!("{WEBHOOK_SECRET}:")),
        basic(&format!("pingone:{wrong}")),
        "Basic ?".to_owned(),
    ] {
        for body in [&events, "", "{"] {
            let response = world.post_events_as(&authorization, body).await;
            assert_eq!(response.status, UNAUTHORIZED, "{authorization}");
            assert!(response.header("www-authenticate").starts_with("Basic"));
            assert!(!response.text.contains(WEBHOOK_SECRET));
        }
    }
    let response = world.get("/pingone/events").await;
    assert_eq!(response.status, UNAUTHORIZED);
    assert_eq!(world.subrequests().await, before);
    assert_eq!(status(&world, &tokens).await, OK);
    // The secret gives nothing else.
    assert_eq!(list_todos(&world, WEBHOOK_SECRET).await.status, UNAUTHORIZED);
}

#[tokio::test]
async fn both_secrets_of_a_rotation_work_as_token_or_password() {
    const NEW: &str = "webhook-0123456789abcdef-webhook-2";
    let world = World::with(&[("PINGONE_WEBHOOK_SECRET", &format!("{NEW}, {WEBHOOK_SECRET}"))]);
    for secret in [NEW, WEBHOOK_SECRET] {
        let password = STANDARD.encode(format!("pingone:{secret}"));
        for authorization in [format!("Bearer {secret}"), format!("basic {password}")] {
            let response = world.post_events_as(&authorization, "[]").await;
            assert_eq!(response.status, OK, "{authorization}");
        }
    }
    world.start(&[("PINGONE_WEBHOOK_SECRET", NEW)]);
    let retired = world.post_events_as(&format!("Bearer {WEBHOOK_SECRET}"), "[]").await;
    assert_eq!(retired.status, UNAUTHORIZED);
}

#[tokio::test]
async fn delivery_in_another_format_is_refused() {
    let world = World::with_webhook(&[]);
    let authorization = format!("Bearer {WEBHOOK_SECRET}");
    let splunk = json!([{ "event": world.event("USER.LOCKED", "alice"), "source": "PingOne" }]).to_string();
    for body in ["", "{", "x", "1", "{}", &splunk, &"[".repeat(10_000)] {
        let response = world.post_events_as(&authorization, body).await;
        assert_eq!(response.status, StatusCode::BAD_REQUEST, "{}", response.text);
        assert!(response.text.len() < 1000, "{}", response.text);
    }
    let long = format!("[\"{}\"]", "x".repeat(4 * 1024 * 1024));
    let response = world.post_events_as(&authorization, &long).await;
    assert_eq!(response.status, StatusCode::PAYLOAD_TOO_LARGE);
    let headers = [("authorization", authorization.as_str()), ("content-encoding", "gzip")];
    let response = world.request("POST", "/pingone/events", &headers, "[]").await;
    assert_eq!(response.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    for method in ["GET", "PUT", "DELETE"] {
        let response = world.request(method, "/pingone/events", &headers[..1], "").await;
        assert_eq!(response.status, StatusCode::METHOD_NOT_ALLOWED, "{method}");
    }
}

#[tokio::test]
async fn page_of_another_origin_cannot_read_or_send_events() {
    let world = World::with_webhook(&[]);
    let origin = ("origin", "https://evil.example");
    let preflight = [origin, ("access-control-request-method", "POST")];
    for (method, headers) in [("OPTIONS", &preflight[..]), ("POST", &[origin])] {
        let response = world.request(method, "/pingone/events", headers, "[]").await;
        assert_eq!(response.header("access-control-allow-origin"), "", "{method}");
        assert_eq!(response.status, UNAUTHORIZED, "{method}");
    }
}

#[tokio::test]
async fn running_call_ends_with_an_event() {
    let world = World::with_webhook(&[]);
    let tokens = world.connected().await;
    let mut stream = open_question(&world, &tokens.access).await;
    world.pingone.act_on("alice", UserAction::RevokeConsent);
    assert_eq!(world.deliver_events().await, [200]);
    let last = stream.next().await;
    assert_eq!(last["error"]["message"], "the access of this request was ended or narrowed", "{last}");
    world.wait_for_revocations_at_pingone(1).await;
}

#[tokio::test]
async fn grant_ended_by_an_event_is_not_listed() {
    let world = World::with_webhook(&[]);
    world.connected().await;
    world.pingone.act_on("alice", UserAction::RevokeConsent);
    assert_eq!(world.deliver_events().await, [200]);
    let page = world.sign_in_to_agents(&mut world.browser(), "alice").await;
    assert_eq!(agent_ids(&page), [""; 0], "{}", page.text);
}
