//! The end of a login: a redirect to the application, with a code or an error.

use axum::{http::StatusCode, response::Response};

use crate::{
    failure::Failure,
    pages,
    response::{Correlation, error_to_application, to_application},
    simulator::Simulator,
    state::{AuthenticationRequest, Code, Session},
};

/// Redirects to the application with a code, or with the forced error.
pub(crate) fn issue_code(
    sim: &Simulator,
    request: &AuthenticationRequest,
    session: &Session,
    correlation: &Correlation,
) -> Response {
    let errors = sim.forced(|failure| match failure {
        Failure::CallbackError(error) => Some(error.clone()),
        _ => None,
    });
    if let Some(error) = errors.first() {
        return error_to_application(request, error, "Forced by the simulator's control", correlation);
    }
    let (code, expires_at) = (sim.secret(), sim.now() + sim.state().settings.code_seconds);
    let issued = Code { request: request.clone(), session: session.clone(), expires_at };
    sim.change(|state| state.codes.insert(code.clone(), issued));
    redirect_with_code(sim, request.clone(), code)
}

/// Redirects to the application with the error that the flow has for a user who declines.
pub(crate) fn decline(
    sim: &Simulator,
    request: &AuthenticationRequest,
    correlation: &Correlation,
) -> Response {
    let (error, has_response) = {
        let state = sim.state();
        (state.settings.decline_error.clone(), state.settings.tenant.flow.error_response)
    };
    if !has_response {
        return pages::error(StatusCode::BAD_REQUEST, "The flow ended without a response", &correlation.0);
    }
    error_to_application(request, &error, "The user declined the request", correlation)
}

/// Redirects with `code`, and with the parameters that are forced.
fn redirect_with_code(sim: &Simulator, mut request: AuthenticationRequest, code: String) -> Response {
    let mut parameters = vec![("code".to_owned(), code)];
    if sim.is_forced(&Failure::CallbackWithCodeAndError) {
        parameters.push(("error".to_owned(), "server_error".to_owned()));
    }
    let forced = sim.forced(|failure| match failure {
        Failure::CallbackParameter(name, value) => Some((name.clone(), value.clone())),
        _ => None,
    });
    for (name, value) in forced {
        if name == "state" {
            request.state = value;
        } else {
            parameters.retain(|(held, _)| *held != name);
            parameters.extend(value.map(|value| (name, value)));
        }
    }
    let parameters: Vec<_> = parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    to_application(&request, &parameters)
}
