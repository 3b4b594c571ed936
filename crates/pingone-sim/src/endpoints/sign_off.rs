//! The end-session endpoint (OpenID Connect RP-Initiated Logout 1.0).

use axum::{
    Extension,
    extract::{RawQuery, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};
use url::Url;

use crate::{
    form, pages,
    response::{Correlation, redirect},
    session_cookie,
    simulator::Simulator,
    tenant::ApplicationSettings,
};

pub(crate) async fn get(
    State(sim): State<Simulator>,
    Extension(correlation): Extension<Correlation>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    sim.count("signoff");
    let parameters = form::parse(query.unwrap_or_default().as_bytes());
    let parameter = |name: &str| form::field(&parameters, name).filter(|value| !value.is_empty());
    let back = parameter("post_logout_redirect_uri");
    let application = parameter("client_id").and_then(|id| sim.application(&id));
    let registered = application.map_or_else(Vec::new, |application| {
        post_logout_redirect_uris(&application.settings, &application.redirect_uris)
    });
    if back.as_ref().is_some_and(|uri| !registered.contains(uri)) {
        return pages::error(StatusCode::BAD_REQUEST, "Post-logout redirect URI mismatch", &correlation.0);
    }
    if let Some(session) = session_cookie::session(&sim, &headers) {
        sim.change(|state| state.end_sessions(|held| held.id == session.id));
    }
    let mut response = match back.and_then(|uri| Url::parse(&uri).ok()) {
        Some(mut uri) => {
            if let Some(state) = parameter("state") {
                uri.query_pairs_mut().append_pair("state", &state);
            }
            redirect(uri.as_str())
        }
        None => pages::signed_off(),
    };
    response.headers_mut().append(header::SET_COOKIE, HeaderValue::from_static("ST=; Path=/; Max-Age=0"));
    response
}

/// The URIs to which a browser may return after a sign-off from an application with these settings.
pub(crate) fn post_logout_redirect_uris(
    settings: &ApplicationSettings,
    redirect_uris: &[String],
) -> Vec<String> {
    let beside = |uri: &String| Some(Url::parse(uri).ok()?.join("/agents").ok()?.to_string());
    let set = settings.post_logout_redirect_uris.clone();
    set.unwrap_or_else(|| redirect_uris.iter().filter_map(beside).collect())
}
