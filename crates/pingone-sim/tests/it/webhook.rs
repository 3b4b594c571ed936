use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::world::World;

fn with_webhook() -> World {
    let world = World::new();
    world.sim.configure(|settings| settings.webhook.url = Some("https://app.example/events".to_owned()));
    world
}

async fn act(world: &World, username: &str, action: &str) -> StatusCode {
    world.send("POST", &format!("/sim/users/{username}/{action}"), &[], String::new()).await.status
}

/// The types of the events in the delivery that is due.
fn due(world: &World) -> Vec<String> {
    let delivery = world.sim.next_delivery().map_or_else(|| "[]".to_owned(), |delivery| delivery.body);
    let events: Vec<Value> = serde_json::from_str(&delivery).unwrap();
    events.iter().map(|event| event["action"]["type"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn event_is_delivered_until_the_response_is_200() {
    let world = with_webhook();
    assert_eq!(act(&world, "alice", "lock").await, StatusCode::NO_CONTENT);
    for response in [Ok(503), Ok(204), Err("no connection".to_owned())] {
        assert_eq!(due(&world), ["USER.LOCKED"]);
        world.sim.delivered(response);
        assert!(due(&world).is_empty(), "after a pause");
        // A later event waits until the batch is delivered.
        act(&world, "alice", "unlock").await;
        world.advance(30);
    }
    assert_eq!(due(&world), ["USER.LOCKED"]);
    world.sim.delivered(Ok(200));
    assert_eq!(due(&world), ["USER.UNLOCKED"; 3]);
    let shown = world.send("GET", "/sim/webhook", &[], String::new()).await.json();
    let responses: Vec<_> = shown["sent"].as_array().unwrap().iter().map(|sent| &sent["response"]).collect();
    assert_eq!(responses, ["503", "204", "no connection", "200"]);
    assert_eq!(shown["waiting"], 3);
    let page = world.send("GET", "/users", &[], String::new()).await;
    assert!(
        page.text.contains("This is a simulator") && page.text.contains("no connection"),
        "{}",
        page.text
    );
}

#[tokio::test]
async fn batch_order_delay_and_repetition_are_settings() {
    let world = with_webhook();
    world.sim.configure(|settings| {
        let webhook = &mut settings.webhook;
        (webhook.batch, webhook.delay_seconds, webhook.newest_first, webhook.twice) = (2, 60, true, true);
    });
    for action in ["lock", "revoke-consent", "disable"] {
        act(&world, "alice", action).await;
        world.advance(1);
    }
    assert!(due(&world).is_empty());
    world.advance(60);
    for expected in [&["USER.DISABLED", "OAUTH_CONSENT.REVOKED"][..], &["USER.LOCKED"]] {
        for _ in 0..2 {
            assert_eq!(due(&world), expected);
            world.sim.delivered(Ok(200));
        }
    }
    assert!(due(&world).is_empty());
}

#[tokio::test]
async fn user_who_is_not_active_gets_no_tokens() {
    for (action, again) in [("lock", "unlock"), ("disable", "enable")] {
        let world = World::new();
        let token = world.tokens().await["refresh_token"].as_str().unwrap().to_owned();
        act(&world, "auto", action).await;
        assert_eq!(world.refresh(&token).await.json()["error"], "invalid_grant", "{action}");
        act(&world, "auto", again).await;
        assert_eq!(world.refresh(&token).await.status, StatusCode::OK, "{again}");
    }
}

#[tokio::test]
async fn action_on_an_unknown_user_or_of_another_page_is_refused() {
    let world = with_webhook();
    assert_eq!(act(&world, "nobody", "lock").await, StatusCode::NOT_FOUND);
    assert_eq!(act(&world, "alice", "promote").await, StatusCode::BAD_REQUEST);
    let headers = [("origin", "https://evil.example")];
    let response = world.send("POST", "/sim/users/alice/lock", &headers, String::new()).await;
    assert_eq!(response.status, StatusCode::FORBIDDEN);
    assert!(due(&world).is_empty());
    let form = [("accept", "text/html")];
    let response = world.send("POST", "/sim/users/alice/lock", &form, String::new()).await;
    assert_eq!(
        (response.status, &response.headers["location"]),
        (StatusCode::SEE_OTHER, &"/users".parse().unwrap())
    );
}

#[tokio::test]
async fn event_names_user_session_application_and_time() {
    let world = with_webhook();
    world.tokens().await;
    act(&world, "auto", "revoke-consent").await;
    act(&world, "auto", "end-sessions").await;
    let delivery = world.sim.next_delivery().expect("a delivery");
    let events: Vec<Value> = serde_json::from_str(&delivery.body).unwrap();
    let types = |event: &Value| {
        let resources = event["resources"].as_array().unwrap();
        resources.iter().map(|resource| resource["type"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(types(&events[0]), ["USER", "APPLICATION"]);
    assert_eq!(events[0]["resources"][1]["id"], json!(world.sim.config().application.client_id));
    assert_eq!(types(&events[1]), ["USER", "SESSION"]);
    assert_eq!(events[1]["resources"][0]["id"], json!(world.sim.config().users[3].id));
    assert_eq!(events[1]["recordedAt"], "2026-01-01T00:00:00.000Z");
    assert_eq!(events[1]["result"]["status"], "SUCCESS");
}
