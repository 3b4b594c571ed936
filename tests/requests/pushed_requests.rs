//! Authorization requests that Deputy pushes to PingOne (RFC 9126).

use harness::browser::Page;
use http::StatusCode;
use pingone_sim::Failure;
use serde_json::json;

use crate::{
    pingone_client_key::{CLIENT_KEY, public_key},
    world::{DEPUTY, PINGONE, Tokens, World, code_at_client, error_at_client, list_todos},
};

const ON: (&str, &str) = ("PINGONE_PAR", "on");

/// The page of PingOne, or at the client, after the approval of a new client.
async fn approved(world: &World) -> Page {
    world.approved_page(&mut world.browser(), &[]).await
}

/// The names of the parameters with which the browser came to PingOne's authorization endpoint last.
fn parameters_of_the_browser(world: &World) -> Vec<String> {
    world.last_query_at_pingone("/as/authorize").into_iter().map(|(name, _)| name).collect()
}

#[tokio::test]
async fn pushed_request_hides_its_parameters_from_the_browser() {
    let world = World::with(&[ON]);
    let tokens = world.connected().await;
    assert_eq!(world.pingone.requests("par"), 1);
    assert_eq!(parameters_of_the_browser(&world), ["client_id", "request_uri"]);
    assert_eq!(list_todos(&world, &tokens.access).await.status, StatusCode::OK);
}

#[tokio::test]
async fn request_is_pushed_where_the_metadata_requires_it() {
    let world = World::new();
    world.connected().await;
    assert_eq!(world.pingone.requests("par"), 0);
    world.pingone.configure(|pingone| pingone.require_pushed_requests = true);
    // Deputy reads the metadata again.
    world.start(&[]);
    world.connected().await;
    assert_eq!(world.pingone.requests("par"), 1);
    assert_eq!(parameters_of_the_browser(&world), ["client_id", "request_uri"]);
}

#[tokio::test]
async fn application_that_requires_pushed_requests_gets_them() {
    let world = World::new();
    world.pingone.configure(|pingone| pingone.tenant.application.par_requirement = "REQUIRED".into());
    // The metadata does not tell.
    assert_eq!(error_at_client(&world, &approved(&world).await), "server_error");
    world.start(&[ON]);
    world.connected().await;
}

#[tokio::test]
async fn pushed_request_authenticates_deputy_as_configured() {
    for (method, variables) in [
        ("CLIENT_SECRET_POST", &[ON, ("PINGONE_CLIENT_AUTH", "client_secret_post")][..]),
        (
            "PRIVATE_KEY_JWT",
            &[
                ON,
                ("PINGONE_CLIENT_AUTH", "private_key_jwt"),
                ("PINGONE_CLIENT_KEY", CLIENT_KEY.trim_ascii()),
            ],
        ),
    ] {
        let world = World::with(variables);
        world.pingone.configure(|pingone| {
            pingone.tenant.application.token_endpoint_auth_method = method.into();
            pingone.tenant.application.jwks = Some(json!({ "keys": [public_key()] }));
        });
        world.connected().await;
        assert_eq!(world.pingone.requests("par"), 1, "{method}");
    }
}

#[tokio::test]
async fn failed_pushed_request_is_reported_and_the_next_works() {
    let invalid = |code: &str| format!(r#"{{"error":"{code}","error_description":"secret stack trace"}}"#);
    for (failure, error) in [
        (Failure::Par(400, invalid("invalid_scope")), "server_error"),
        (Failure::Par(400, invalid("access_denied")), "access_denied"),
        (Failure::Par(401, invalid("invalid_client")), "server_error"),
        (Failure::Par(201, "<html>".into()), "server_error"),
        (Failure::Par(201, r#"{"request_uri":"a b"}"#.into()), "server_error"),
        (Failure::Par(302, String::new()), "server_error"),
        (Failure::Par(201, " ".repeat(1024 * 1024)), "temporarily_unavailable"),
        (Failure::Par(429, String::new()), "temporarily_unavailable"),
        (Failure::Par(503, "<html>".into()), "temporarily_unavailable"),
    ] {
        let world = World::with(&[ON]);
        world.pingone.force(failure.clone());
        let page = approved(&world).await;
        assert_eq!(error_at_client(&world, &page), error, "{failure:.60?}");
        let description = page.query("error_description").expect("a description");
        assert!(!description.contains("secret") && description.contains("reference"), "{description}");
        world.connected().await;
    }
}

#[tokio::test]
async fn failed_pushed_request_of_agents_is_told_on_a_page() {
    let world = World::with(&[ON]);
    world.pingone.force(Failure::Par(503, String::new()));
    let mut browser = world.browser();
    let page = browser.open(&crate::world::agents_url()).await;
    let page = browser.submit(&page, &[], "sign-in").await;
    assert_eq!((page.status, page.url.path()), (StatusCode::BAD_GATEWAY, "/agents"), "{}", page.text);
    assert!(page.text.contains("PingOne did not respond as expected"), "{}", page.text);
    let page = browser.submit(&page, &[], "sign-in").await;
    assert!(page.url.as_str().starts_with(PINGONE), "{}", page.url);
    assert_eq!(parameters_of_the_browser(&world), ["client_id", "request_uri"]);
}

#[tokio::test]
async fn missing_endpoint_for_pushed_requests_fails_the_login() {
    let world = World::with(&[ON]);
    let (client, mut browser) = (world.client().await, world.browser());
    world.network.serve(PINGONE, without_par(&world));
    let page = browser.open(&world.authorize_url(&client, &[])).await;
    let page = browser.submit(&page, &[], "approve").await;
    assert_eq!(error_at_client(&world, &page), "server_error");
    world.start(&[]);
    let page = world.log_in_to(&mut world.browser(), &client).await;
    let code = code_at_client(&page).expect("a code");
    let tokens = Tokens::of(&client, &world.redeem(&client, &code).await);
    assert_eq!(list_todos(&world, &tokens.access).await.status, StatusCode::OK);
    assert!(world.network.exchanges().iter().all(|exchange| {
        !exchange.request.uri().to_string().starts_with(DEPUTY)
            || !exchange.response.status().is_server_error()
    }));
}

/// PingOne whose metadata lacks the endpoint.
fn without_par(world: &World) -> axum::Router {
    let pingone = world.pingone.router();
    pingone.layer(axum::middleware::map_response(async |response: axum::response::Response| {
        let (mut head, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.expect("a body");
        let text =
            String::from_utf8_lossy(&body).replace("pushed_authorization_request_endpoint", "other_endpoint");
        head.headers.remove("content-length");
        axum::response::Response::from_parts(head, axum::body::Body::from(text))
    }))
}
