//! Answers in PingOne's manner.

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::state::Request;

/// The id that PingOne's support asks for: in the header of every answer and in every description.
#[derive(Clone, Debug)]
pub(crate) struct Correlation(pub(crate) String);

/// A JSON document.
pub(crate) fn document(status: StatusCode, document: &Value) -> Response {
    with(status, "application/json", document.to_string())
}

/// A text of some media type.
pub(crate) fn with(status: StatusCode, media_type: &'static str, text: String) -> Response {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// An error of an OAuth endpoint.
pub(crate) fn oauth_error(
    status: StatusCode,
    error: &str,
    detail: &str,
    correlation: &Correlation,
) -> Response {
    document(status, &json!({ "error": error, "error_description": described(detail, correlation) }))
}

/// Our client is not who it says, or proves it in another way than it is registered for: PingOne says the same for both.
pub(crate) fn invalid_client(correlation: &Correlation) -> Response {
    let text =
        format!("Request denied: Unsupported authentication method (Correlation ID: {})", correlation.0);
    let mut response =
        document(StatusCode::UNAUTHORIZED, &json!({ "error": "invalid_client", "error_description": text }));
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic"));
    response
}

/// An error of the platform, which is not redirected.
pub(crate) fn platform_error(target: &str, message: &str, correlation: &Correlation) -> Response {
    document(
        StatusCode::BAD_REQUEST,
        &json!({
            "id": correlation.0,
            "code": "INVALID_DATA",
            "message": "The request could not be completed. One or more validation errors were in the request.",
            "details": [{ "code": "INVALID_VALUE", "target": target, "message": message }],
        }),
    )
}

/// A redirect to the application.
pub(crate) fn to_application(request: &Request, parameters: &[(&str, &str)]) -> Response {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(parameters);
    query.extend_pairs(request.state.as_deref().map(|state| ("state", state)));
    let separator = if request.redirect_uri.contains('?') { '&' } else { '?' };
    redirect(&format!("{}{separator}{}", request.redirect_uri, query.finish()))
}

/// A redirect that tells the application of an error.
pub(crate) fn error_to_application(
    request: &Request,
    error: &str,
    detail: &str,
    correlation: &Correlation,
) -> Response {
    to_application(request, &[("error", error), ("error_description", &described(detail, correlation))])
}

pub(crate) fn redirect(location: &str) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::FOUND;
    if let Ok(location) = HeaderValue::try_from(location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

fn described(detail: &str, correlation: &Correlation) -> String {
    format!(
        "The request could not be completed. There was an issue processing the request.: {detail} (Correlation ID: {})",
        correlation.0
    )
}
