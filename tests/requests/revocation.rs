//! Revocation by clients (RFC 7009), and of the tokens of PingOne.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use axum::{
    extract::{Request, State},
    middleware::{self, Next, from_fn_with_state},
    response::IntoResponse as _,
};
use http::StatusCode;
use pingone_sim::Failure;
use serde_json::json;
use tokio::sync::Semaphore;

use crate::world::{PINGONE, World, error_at_client, list_todos, with_expiring_token};

#[tokio::test]
async fn failed_login_revokes_the_tokens_that_pingone_issued() {
    for (failure, told) in [
        (Failure::IdTokenClaim("nonce".into(), json!("another")), "server_error"),
        (Failure::TokenMember("scope".into(), json!("openid")), "access_denied"),
        (Failure::TokenMember("id_token".into(), json!("garbage")), "server_error"),
    ] {
        let world = World::new();
        world.pingone.force(failure.clone());
        let client = world.client().await;
        let page = world.log_in_to(&mut world.browser(), &client).await;
        assert_eq!(error_at_client(&world, &page), told, "{failure:?}");
        world.wait_for_revocations_at_pingone(1).await;
        // A successful login keeps its tokens.
        world.connected().await;
        world.wait_for_revocations_at_pingone(1).await;
    }
}

#[tokio::test]
async fn revoking_either_token_ends_the_grant_here_and_at_pingone() {
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
    world.wait_for_revocations_at_pingone(2).await;
}

#[tokio::test]
async fn revoking_unknown_or_foreign_tokens_changes_nothing() {
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
async fn grant_revoked_during_a_refresh_leaves_no_pingone_token() {
    let world = World::new();
    let tokens = with_expiring_token(&world, 30).await;
    let (arrived, gate) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let both = (Arc::clone(&arrived), Arc::clone(&gate));
    let delay = async |State((arrived, gate)): State<(Arc<Semaphore>, Arc<Semaphore>)>,
                       request: Request,
                       next: Next| {
        let renews = request.uri().path().ends_with("/token");
        let response = next.run(request).await;
        if renews {
            arrived.add_permits(1);
            let _ = gate.acquire().await;
        }
        response
    };
    let slow = world.pingone.router().layer(from_fn_with_state(both, delay));
    world.network.serve(PINGONE, slow);
    let revoke = async {
        let _ = arrived.acquire().await;
        let form = [("token", tokens.refresh.as_str()), ("client_id", &tokens.client)];
        assert_eq!(world.post_form("/revoke", &form).await.status, StatusCode::OK);
        // The refresh token that the refresh has replaced.
        world.wait_for_revocations_at_pingone(1).await;
        gate.add_permits(100);
    };
    let (call, ()) = tokio::join!(list_todos(&world, &tokens.access), revoke);
    // The access token was still valid when the call began.
    assert!([StatusCode::OK, StatusCode::UNAUTHORIZED].contains(&call.status), "{}", call.text);
    world.wait_for_revocations_at_pingone(2).await;
    assert_eq!(list_todos(&world, &tokens.access).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn revocation_at_a_busy_pingone_is_retried() {
    let world = World::new();
    let tokens = world.connected().await;
    let left = Arc::new(AtomicU64::new(2));
    let busy = middleware::from_fn(move |request: Request, next: Next| {
        let left = Arc::clone(&left);
        async move {
            let revokes = request.uri().path().ends_with("/revoke");
            let busy = revokes
                && left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok();
            if busy { StatusCode::SERVICE_UNAVAILABLE.into_response() } else { next.run(request).await }
        }
    });
    world.network.serve(PINGONE, world.pingone.router().layer(busy));
    let form = [("token", tokens.refresh.as_str()), ("client_id", &tokens.client)];
    assert_eq!(world.post_form("/revoke", &form).await.status, StatusCode::OK);
    world.wait_for_revocations_at_pingone(1).await;
}
