//! Responses in PingOne's form.

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::state::AuthenticationRequest;

/// The id of a request for PingOne's support. It is in a header of every response and in every error description.
#[derive(Clone, Debug)]
pub(crate) struct Correlation(pub(crate) String);

/// A JSON document.
pub(crate) fn document(status: StatusCode, document: &Value) -> Response {
    text(status, "application/json", document.to_string())
}

/// A body of any media type.
pub(crate) fn text(status: StatusCode, media_type: &'static str, body: String) -> Response {
    let mut response = Response::new(Body::from(body));
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
    document(status, &json!({ "error": error, "error_description": error_description(detail, correlation) }))
}

/// The application sent wrong credentials, or used another method than the registered one. PingOne's error is the same.
pub(crate) fn invalid_client(correlation: &Correlation) -> Response {
    let text =
        format!("Request denied: Unsupported authentication method (Correlation ID: {})", correlation.0);
    let mut response =
        document(StatusCode::UNAUTHORIZED, &json!({ "error": "invalid_client", "error_description": text }));
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic"));
    response
}

/// An error in PingOne's own format, for requests that must not be redirected.
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
pub(crate) fn to_application(request: &AuthenticationRequest, parameters: &[(&str, &str)]) -> Response {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(parameters);
    query.extend_pairs(request.state.as_deref().map(|state| ("state", state)));
    let separator = if request.redirect_uri.contains('?') { '&' } else { '?' };
    redirect(&format!("{}{separator}{}", request.redirect_uri, query.finish()))
}

/// A redirect to the application with an error.
pub(crate) fn error_to_application(
    request: &AuthenticationRequest,
    error: &str,
    detail: &str,
    correlation: &Correlation,
) -> Response {
    to_application(
        request,
        &[("error", error), ("error_description", &error_description(detail, correlation))],
    )
}

/// A `302` response.
pub(crate) fn redirect(location: &str) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::FOUND;
    if let Ok(location) = HeaderValue::try_from(location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

/// The response for a failure that forces this status.
pub(crate) fn forced_status(status: u16) -> Response {
    let body = "<html><body>A test forced this failure.</body></html>";
    text(status_code(status), "text/html", body.to_owned())
}

/// A response that breaks off before its body: the server closes the connection.
pub(crate) fn cut() -> Response {
    let broken: Result<&str, std::io::Error> = Err(std::io::ErrorKind::ConnectionReset.into());
    Response::new(Body::from_stream(futures_util::stream::iter([broken])))
}

/// The status code, or 500 if the number is not one.
pub(crate) fn status_code(number: u16) -> StatusCode {
    StatusCode::from_u16(number).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

fn error_description(detail: &str, correlation: &Correlation) -> String {
    format!(
        "The request could not be completed. There was an issue processing the request.: {detail} (Correlation ID: {})",
        correlation.0
    )
}
