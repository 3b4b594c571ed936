//! The `UserInfo` endpoint.

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::Response,
};
use serde_json::{Value, json};

use crate::{
    claims,
    failure::Failure,
    response::{document, redirect, status_code, text},
    simulator::Simulator,
};

pub(crate) async fn get(State(sim): State<Simulator>, headers: HeaderMap) -> Response {
    sim.count("userinfo");
    sim.delay(|failure| match failure {
        Failure::UserInfoAfter(seconds) => Some(seconds.saturating_mul(1000)),
        _ => None,
    })
    .await;
    let forced = sim.forced(|failure| match failure {
        Failure::UserInfo(status, body) => Some(text(status_code(*status), "application/json", body.clone())),
        Failure::UserInfoRedirect(location) => Some(redirect(location)),
        _ => None,
    });
    if let Some(response) = forced.into_iter().next() {
        return response;
    }
    let Some((token, user)) = valid_claims(&sim, &headers) else {
        let message = "The request could not be completed. You do not have access to this resource.";
        let body = json!({ "code": "ACCESS_FAILED", "message": message });
        return document(StatusCode::UNAUTHORIZED, &body);
    };
    let scopes: Vec<_> = token["scope"].as_str().unwrap_or_default().split(' ').map(str::to_owned).collect();
    let mut members = claims::of_user(&sim, &user, &scopes);
    claims::apply_forced(&sim, &mut members, |failure| match failure {
        Failure::UserInfoSub(sub) => Some(("sub".to_owned(), json!(sub))),
        _ => None,
    });
    document(StatusCode::OK, &members.into())
}

/// The claims of the bearer token and the id of its user, if it has not expired and its session has not ended. The signature
/// is not checked.
fn valid_claims(sim: &Simulator, headers: &HeaderMap) -> Option<(Value, String)> {
    let header = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let token = header.strip_prefix("Bearer ")?;
    let claims = jsonwebtoken::dangerous::insecure_decode::<Value>(token).ok()?.claims;
    let (now, session) = (sim.now(), claims["sid"].as_str().unwrap_or_default());
    let live = claims["exp"].as_u64().is_some_and(|exp| exp > now);
    let user = sim.state().session(session, now).filter(|_| live)?.user.clone();
    Some((claims, user))
}
