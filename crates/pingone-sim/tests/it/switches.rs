//! The page with a switch for every failure.

use axum::http::StatusCode;
use pingone_sim::Settings;
use url::form_urlencoded;

use crate::world::World;

async fn post(world: &World, path: &str, fields: &[(&str, &str)]) -> StatusCode {
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    world.send("POST", path, &[("content-type", "application/x-www-form-urlencoded")], body).await.status
}

async fn page(world: &World) -> String {
    world.send("GET", "/switches", &[], String::new()).await.text
}

#[tokio::test]
async fn failure_of_the_page_happens_once_or_until_it_is_cleared() {
    let world = World::new();
    let first = page(&world).await;
    assert!(first.contains("This is a simulator") && first.contains("{&#34;discovery&#34;:503}"), "{first}");
    let discovery = async || {
        world.send("GET", &world.at(".well-known/openid-configuration"), &[], String::new()).await.status
    };
    for (times, later) in [("once", StatusCode::OK), ("always", StatusCode::SERVICE_UNAVAILABLE)] {
        let fields = [("failure", "{\"discovery\":503}"), ("times", times)];
        assert_eq!(post(&world, "/sim/switches/failures", &fields).await, StatusCode::SEE_OTHER);
        assert_eq!(
            (discovery().await, discovery().await),
            (StatusCode::SERVICE_UNAVAILABLE, later),
            "{times}"
        );
    }
    assert!(page(&world).await.contains("until it is cleared"));
    assert_eq!(post(&world, "/sim/switches/clear", &[]).await, StatusCode::SEE_OTHER);
    assert_eq!(discovery().await, StatusCode::OK);
    let wrong = [("failure", "{\"nothing\":1}")];
    assert_eq!(post(&world, "/sim/switches/failures", &wrong).await, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn settings_of_the_page_are_applied_and_restored() {
    let world = World::new();
    let mut settings = Settings { access_token_seconds: 62, ..Settings::default() };
    settings.webhook.url = Some("https://app.example/events".to_owned());
    let text = serde_json::to_string(&settings).unwrap();
    assert_eq!(post(&world, "/sim/switches/settings", &[("settings", &text)]).await, StatusCode::SEE_OTHER);
    let shown = page(&world).await;
    assert!(shown.contains("access_token_seconds&#34;: 62"), "{shown}");
    assert_eq!(post(&world, "/sim/switches/settings/default", &[]).await, StatusCode::SEE_OTHER);
    let shown = page(&world).await;
    assert!(
        shown.contains("access_token_seconds&#34;: 3600") && shown.contains("app.example/events"),
        "{shown}"
    );
}

#[tokio::test]
async fn page_of_users_shows_sessions_consents_and_tokens() {
    let world = World::new();
    world.tokens().await;
    let consent = world.sign_on("alice", "Alice-demo-1").await;
    world.submit(&consent.flow(), "APPROVE", &[]).await;
    let page = world.send("GET", "/users", &[], String::new()).await.text;
    for shown in ["session ", "consent to ", "refresh token of session ", "valid, rotated 0 times"] {
        assert!(page.contains(shown), "{shown}: {page}");
    }
}
