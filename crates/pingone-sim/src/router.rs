//! The routes.

use std::time::{Duration, UNIX_EPOCH};

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::Response,
    routing::{any, get, post},
};

use crate::{
    endpoints::{
        authorize, control, discovery, flow, jwks, management, par, revoke, sign_off, switches, token,
        userinfo, users,
    },
    pages,
    response::{Correlation, text},
    simulator::Simulator,
};

impl Simulator {
    /// The HTTP interface.
    pub fn router(&self) -> Router {
        let environment = &self.config().environment_id;
        let issuer = Router::new()
            .route("/.well-known/openid-configuration", get(discovery::get))
            .route("/authorize", get(authorize::get).post(authorize::post))
            .route("/jwks", get(jwks::get))
            .route("/par", post(par::post))
            .route("/revoke", post(revoke::post))
            .route("/signoff", get(sign_off::get).post(sign_off::get))
            .route("/token", post(token::post))
            .route("/userinfo", get(userinfo::get).post(userinfo::get));
        Router::new()
            .nest(&format!("/{environment}/as"), issuer)
            .route(&format!("/{environment}/davinci/flow"), post(flow::post))
            .route("/", get(async |State(sim): State<Self>| pages::index(&sim)))
            .route("/v1/{*path}", any(management::respond))
            .route("/users", get(users::page))
            .merge(control::router())
            .merge(switches::router())
            .layer(middleware::from_fn_with_state(self.clone(), add_headers))
            .with_state(self.clone())
    }
}

/// Adds the headers that every response has: a correlation id, and that it comes from a simulator.
async fn add_headers(State(sim): State<Simulator>, mut request: Request, next: Next) -> Response {
    let correlation = sim.uuid();
    request.extensions_mut().insert(Correlation(correlation.clone()));
    // Programs of this computer may use the control interface; web pages that its browser shows may not.
    let from_web_page = request
        .headers()
        .get(header::ORIGIN)
        .is_some_and(|o| o.as_bytes() != sim.config().base_url.as_bytes());
    let mut response = if from_web_page && request.uri().path().starts_with("/sim/") {
        let body = "pages of other origins may not use the control interface";
        text(StatusCode::FORBIDDEN, "text/plain", body.to_owned())
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    headers.insert("x-pingone-simulator", HeaderValue::from_static("true"));
    // The HTTP server adds the time of this computer to other responses.
    if sim.state().settings.clock_offset_seconds != 0
        && let Ok(date) =
            HeaderValue::try_from(httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(sim.now())))
    {
        headers.insert(header::DATE, date);
    }
    if let Ok(correlation) = HeaderValue::try_from(correlation) {
        headers.insert("correlation-id", correlation);
    }
    response
}
