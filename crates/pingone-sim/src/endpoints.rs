//! The route table, and the small endpoints.

use axum::{
    Extension, Router,
    body::Bytes,
    extract::{RawQuery, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::Response,
    routing::{get, post},
};
use serde_json::json;
use url::form_urlencoded;

use crate::{
    authorize, control,
    failure::Failure,
    flow, pages,
    reply::{Correlation, document, invalid_client, redirect, with},
    simulator::Simulator,
    token,
};

pub(crate) fn router(sim: Simulator) -> Router {
    let environment = sim.config().environment_id.clone();
    let issuer = Router::new()
        .route("/.well-known/openid-configuration", get(discovery))
        .route("/authorize", get(authorize_get).post(authorize_post))
        .route("/jwks", get(jwks))
        .route("/revoke", post(revoke))
        .route("/signoff", get(signoff).post(signoff))
        .route("/token", post(exchange))
        .route("/userinfo", get(userinfo).post(userinfo));
    Router::new()
        .nest(&format!("/{environment}/as"), issuer)
        .route(&format!("/{environment}/davinci/flow"), post(submit))
        .route("/", get(index))
        .merge(control::router())
        .layer(middleware::from_fn_with_state(sim.clone(), labelled))
        .with_state(sim)
}

/// Every answer says that it is a simulator's, and has a correlation id.
async fn labelled(State(sim): State<Simulator>, mut request: Request, next: Next) -> Response {
    let correlation = sim.uuid();
    request.extensions_mut().insert(Correlation(correlation.clone()));
    // The control interface is for programs of this computer, not for pages that its browser shows.
    let page = request
        .headers()
        .get(header::ORIGIN)
        .is_some_and(|o| o.as_bytes() != sim.config().base_url.as_bytes());
    let mut response = if page && request.uri().path().starts_with("/sim/") {
        with(StatusCode::FORBIDDEN, "text/plain", "pages of other origins may not do this".to_owned())
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    headers.insert("x-pingone-simulator", HeaderValue::from_static("true"));
    if let Ok(correlation) = HeaderValue::try_from(correlation) {
        headers.insert("correlation-id", correlation);
    }
    response
}

async fn index(State(sim): State<Simulator>) -> Response {
    pages::index(&sim)
}

async fn authorize_get(
    State(sim): State<Simulator>,
    Extension(correlation): Extension<Correlation>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    authorize::authorize(&sim, &headers, &pairs(query.unwrap_or_default().as_bytes()), &correlation)
}

async fn authorize_post(
    State(sim): State<Simulator>,
    Extension(correlation): Extension<Correlation>,
    headers: HeaderMap,
    form: Bytes,
) -> Response {
    authorize::authorize(&sim, &headers, &pairs(&form), &correlation)
}

async fn submit(
    State(sim): State<Simulator>,
    Extension(correlation): Extension<Correlation>,
    form: Bytes,
) -> Response {
    flow::submit(&sim, &pairs(&form), &correlation)
}

async fn exchange(
    State(sim): State<Simulator>,
    Extension(correlation): Extension<Correlation>,
    headers: HeaderMap,
    form: Bytes,
) -> Response {
    token::token(&sim, &headers, &pairs(&form), &correlation).await
}

async fn jwks(State(sim): State<Simulator>) -> Response {
    sim.count("jwks");
    sim.hang(|failure| if let Failure::JwksAfter(seconds) = failure { Some(*seconds) } else { None }).await;
    sim.hang_millis(
        |failure| if let Failure::JwksAfterMillis(millis) = failure { Some(*millis) } else { None },
    )
    .await;
    let bodies =
        sim.failures(|failure| if let Failure::JwksBody(body) = failure { Some(body.clone()) } else { None });
    if let Some(body) = bodies.into_iter().next() {
        return with(StatusCode::OK, "application/json", body);
    }
    let forced =
        sim.failures(|failure| if let Failure::Jwks(status) = failure { Some(*status) } else { None });
    if let Some(response) = forced.first().map(|status| broken(*status)) {
        return response;
    }
    document(StatusCode::OK, &json!({ "keys": sim.published_keys() }))
}

async fn userinfo(State(sim): State<Simulator>, headers: HeaderMap) -> Response {
    sim.count("userinfo");
    sim.hang(|failure| if let Failure::UserInfoAfter(seconds) = failure { Some(*seconds) } else { None })
        .await;
    for failure in sim.failures(|failure| match failure {
        Failure::UserInfo(..) | Failure::UserInfoRedirect(_) => Some(failure.clone()),
        _ => None,
    }) {
        return match failure {
            Failure::UserInfo(status, body) => {
                let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                with(status, "application/json", body)
            }
            Failure::UserInfoRedirect(location) => redirect(&location),
            _ => continue,
        };
    }
    let header = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let token = header.strip_prefix("Bearer ").unwrap_or_default();
    let claims =
        jsonwebtoken::dangerous::insecure_decode::<serde_json::Value>(token).map(|token| token.claims);
    let claims = claims.unwrap_or_default();
    let (now, session) = (sim.now(), claims["sid"].as_str().unwrap_or_default().to_owned());
    let good = claims["exp"].as_u64().is_some_and(|exp| exp > now);
    if !good || sim.state().session(&session, now).is_none() {
        let body = json!({ "code": "ACCESS_FAILED", "message": "The request could not be completed. You do not have access to this resource." });
        return document(StatusCode::UNAUTHORIZED, &body);
    }
    let scopes: Vec<_> = claims["scope"].as_str().unwrap_or_default().split(' ').map(str::to_owned).collect();
    let mut members = token::person_claims(&sim, claims["sub"].as_str().unwrap_or_default(), &scopes);
    for sub in
        sim.failures(|failure| if let Failure::UserInfoSub(sub) = failure { Some(sub.clone()) } else { None })
    {
        members.insert("sub".to_owned(), json!(sub));
    }
    document(StatusCode::OK, &members.into())
}

async fn revoke(
    State(sim): State<Simulator>,
    Extension(correlation): Extension<Correlation>,
    headers: HeaderMap,
    form: Bytes,
) -> Response {
    sim.count("revoke");
    if !token::is_our_client(&sim, &headers) {
        return invalid_client(&correlation);
    }
    let pairs = pairs(&form);
    let token =
        pairs.iter().find(|(name, _)| name == "token").map(|(_, value)| value.clone()).unwrap_or_default();
    sim.change(|state| {
        if let Some(family) = state.family(&token) {
            family.revoked = true;
        }
    });
    with(StatusCode::OK, "application/json", String::new())
}

async fn signoff(State(sim): State<Simulator>, headers: HeaderMap) -> Response {
    if let Some(session) = flow::session_of(&sim, &headers) {
        sim.change(|state| state.sessions.retain(|held| held.id != session.id));
    }
    let mut response = pages::signed_off();
    response.headers_mut().append(header::SET_COOKIE, HeaderValue::from_static("ST=; Path=/; Max-Age=0"));
    response
}

async fn discovery(State(sim): State<Simulator>) -> Response {
    sim.count("discovery");
    sim.hang(|failure| if let Failure::DiscoveryAfter(seconds) = failure { Some(*seconds) } else { None })
        .await;
    let forced =
        sim.failures(|failure| if let Failure::Discovery(status) = failure { Some(*status) } else { None });
    if let Some(response) = forced.first().map(|status| broken(*status)) {
        return response;
    }
    let issuer = sim.config().issuer();
    let at = |path: &str| format!("{issuer}/{path}");
    let mut body = json!({
        "issuer": issuer,
        "authorization_endpoint": at("authorize"),
        "token_endpoint": at("token"),
        "userinfo_endpoint": at("userinfo"),
        "jwks_uri": at("jwks"),
        "end_session_endpoint": at("signoff"),
        "revocation_endpoint": at("revoke"),
        "claims_parameter_supported": false,
        "request_parameter_supported": false,
        "request_uri_parameter_supported": false,
        "require_pushed_authorization_requests": false,
        "scopes_supported": ["openid", "profile", "email", "address", "phone"],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "userinfo_signing_alg_values_supported": ["none"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic"],
        "claim_types_supported": ["normal"],
        "claims_supported": ["sub", "iss", "auth_time", "acr", "given_name", "family_name", "preferred_username", "email"],
        "code_challenge_methods_supported": ["plain", "S256"],
    });
    for issuer in
        sim.failures(
            |failure| {
                if let Failure::DiscoveryIssuer(issuer) = failure { Some(issuer.clone()) } else { None }
            },
        )
    {
        body["issuer"] = json!(issuer);
    }
    document(StatusCode::OK, &body)
}

fn broken(status: u16) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    with(status, "text/html", "<html><body>This failure was asked for.</body></html>".to_owned())
}

fn pairs(text: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(text).into_owned().collect()
}
