//! The log names failures and refusals of `PingOne` and of the API.

use http::{HeaderValue, StatusCode};
use pingone_sim::Failure;
use serde_json::json;

use super::Log;
use crate::world::{API, PINGONE, World, list_todos, with_expiring_token};

#[tokio::test]
async fn pingone_refusal_is_logged_with_cause_and_variable() {
    for (said, cause) in [
        ("invalid_scope", "is not granted all of API_SCOPES"),
        ("invalid_target", "API_IDENTIFIER is not the audience"),
        ("invalid_request", "PINGONE_DV_POLICY_ID is not a flow policy"),
        ("unauthorized_client", "PINGONE_CLIENT_ID is disabled"),
        ("unsupported_response_type", "lacks the response type"),
        ("consent_required", "the DaVinci flow of PINGONE_DV_POLICY_ID does not ask for"),
        ("login_required", "the login at PingOne was not completed"),
        ("server_error", "PingOne failed"),
        ("made_up", "an error of the DaVinci flow's own"),
    ] {
        let (log, _logging) = Log::begin();
        let world = World::new();
        world.pingone.force(Failure::CallbackError(said.into()));
        world.log_in_to(&mut world.browser(), &world.client().await).await;
        let text = log.text();
        let said = format!("said=\"{said}\"");
        let line = text.lines().find(|line| line.contains("login refused")).unwrap_or_default();
        assert!(line.contains(cause) && line.contains(&said), "{said}\n{line}");
    }
}

#[tokio::test]
async fn clock_difference_is_logged_once_in_seconds() {
    let (log, _logging) = Log::begin();
    let world = World::new();
    let tokens = with_expiring_token(&world, 0).await;
    world.pingone.configure(|pingone| pingone.clock_offset_seconds = -86_400);
    for _ in 0..3 {
        list_todos(&world, &tokens.access).await;
        world.host.advance(20);
    }
    assert!(world.pingone.requests("refresh") > 1);
    let line = "the clock of this server is 86400 seconds ahead of PingOne's";
    assert_eq!(log.text().matches(line).count(), 1, "{}", log.text());
}

#[tokio::test]
async fn expired_access_token_without_iat_logs_the_clock() {
    let (log, _logging) = Log::begin();
    let world = World::new();
    let tokens = with_expiring_token(&world, 0).await;
    for (name, value) in [("iat", json!(null)), ("exp", json!(world.now() - 3600))] {
        world.pingone.force(Failure::AccessTokenClaim(name.into(), value));
    }
    list_todos(&world, &tokens.access).await;
    let line = "the access token has expired by the clock of this server, and no iat says";
    assert!(log.text().contains(line), "{}", log.text());
}

#[tokio::test]
async fn date_of_a_cached_response_is_not_compared_to_the_clock() {
    for (age, lines) in [(Some("86400"), 0), (None, 1)] {
        let (log, _logging) = Log::begin();
        let world = World::new();
        let dated =
            axum::middleware::map_response(move |mut response: axum::response::Response| async move {
                let date = HeaderValue::from_static("Wed, 31 Dec 2025 00:00:00 GMT");
                response.headers_mut().insert("date", date);
                if let Some(age) = age {
                    response.headers_mut().insert("age", HeaderValue::from_static(age));
                }
                response
            });
        world.network.serve(PINGONE, world.pingone.router().layer(dated));
        world.connected().await;
        assert_eq!(log.text().matches("the clock of this server").count(), lines, "{}", log.text());
    }
}

#[tokio::test]
async fn pingone_failure_is_logged_with_status_and_hint() {
    const ISSUER: &str = "https://auth.pingone.eu/5e1f0000-0000-4000-8000-00000000de90/as";
    let refused = |error: &str| Failure::Token(400, json!({ "error": error }).to_string());
    for (failure, line, hint) in [
        (
            Failure::Discovery(404),
            "/.well-known/openid-configuration\" status=404",
            "wrong region or environment id",
        ),
        (
            Failure::Discovery(502),
            "/.well-known/openid-configuration\" status=502",
            "discovery returned status 502",
        ),
        (Failure::Jwks(429), "/jwks\" status=429", "keys"),
        (Failure::TokenRetryAfter(503, 7), "/token\" status=503 retry_after=7", "temporarily unavailable"),
        (refused("invalid_client"), "/token\" status=400 said=\"invalid_client\"", "PINGONE_CLIENT_SECRET"),
        (
            refused("unauthorized_client"),
            "/token\" status=400 said=\"unauthorized_client\"",
            "refuses the grant type",
        ),
    ] {
        let (log, _logging) = Log::begin();
        let world = World::new();
        world.pingone.force(failure);
        world.log_in_to(&mut world.browser(), &world.client().await).await;
        let text = log.text();
        let line = format!("url=\"{ISSUER}{line}");
        assert!(text.lines().any(|logged| logged.contains(&line)), "{line}\n{text}");
        assert!(
            text.lines().any(|logged| logged.contains("login failed") && logged.contains(hint)),
            "{hint}\n{text}"
        );
        assert_eq!(text.contains("wrong region"), hint.contains("wrong region"), "{text}");
    }
}

#[tokio::test]
async fn api_failure_is_logged_with_method_url_and_status() {
    let (log, _logging) = Log::begin();
    let world = World::new();
    let tokens = world.connected().await;
    let busy = || async { (StatusCode::SERVICE_UNAVAILABLE, [("retry-after", "7")], "") };
    world.network.serve(API, axum::Router::new().fallback(busy));
    world.call(&tokens.access, "get_my_todo_list", json!({})).await;
    let text = log.text();
    let line = "method=GET url=\"https://todo.example/api/todos\" status=503 ms=0 retry_after=7";
    let logged = text.lines().find(|logged| logged.contains("the API responded with an error"));
    assert!(logged.is_some_and(|logged| logged.contains(line)), "{text}");
    assert!(!text.contains(&tokens.access), "the log holds a token");
}
