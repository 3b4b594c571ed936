//! The part of the management API that a worker reads and writes.

mod applications;
mod davinci;
mod environment;
mod write;

use axum::{
    Extension,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::Response,
};
use serde_json::{Value, json};

use crate::{
    config::Worker,
    failure::{Failure, ManagementFault},
    response::{Correlation, cut, document, forced_status},
    settings::Settings,
    simulator::Simulator,
};
pub(crate) use environment::{OPENID, OPENID_SCOPES, scope_id};
use write::{Refusal, write};

/// The response to a request at a path below `/v1`.
pub(crate) async fn respond(
    State(sim): State<Simulator>,
    Extension(correlation): Extension<Correlation>,
    method: Method,
    headers: HeaderMap,
    Path(path): Path<String>,
    body: Bytes,
) -> Response {
    let number = sim.count("management");
    let faults = sim.forced(|failure| match failure {
        Failure::ManagementRequest(at, fault) if *at == number => Some(*fault),
        _ => None,
    });
    match faults.first() {
        Some(ManagementFault::Cut) => cut(),
        Some(ManagementFault::RetryAfter(seconds)) => {
            let mut response =
                error(StatusCode::TOO_MANY_REQUESTS, "REQUEST_LIMITED", "LIMIT_EXCEEDED", &correlation);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(*seconds));
            response
        }
        Some(ManagementFault::Status(status)) => forced_status(*status),
        Some(ManagementFault::CutAfterwards) => {
            process(&sim, &correlation, &method, &headers, &path, &body);
            cut()
        }
        Some(ManagementFault::StatusAfterwards(status)) => {
            process(&sim, &correlation, &method, &headers, &path, &body);
            forced_status(*status)
        }
        None => process(&sim, &correlation, &method, &headers, &path, &body),
    }
}

/// An object or a collection, or nothing, with a status.
struct Found {
    status: StatusCode,
    body: Option<Value>,
}

fn process(
    sim: &Simulator,
    correlation: &Correlation,
    method: &Method,
    headers: &HeaderMap,
    path: &str,
    body: &[u8],
) -> Response {
    let statuses = sim.forced(|failure| match failure {
        Failure::Management(status) => Some(*status),
        _ => None,
    });
    if let Some(status) = statuses.first() {
        return forced_status(*status);
    }
    let Some(worker) = worker(sim, headers) else {
        return error(StatusCode::UNAUTHORIZED, "ACCESS_FAILED", "INVALID_TOKEN", correlation);
    };
    let settings = sim.state().settings.clone();
    let roles = settings.tenant.roles_of(sim.config(), worker);
    let path: Vec<_> = path.split('/').collect();
    let is_read = *method == Method::GET;
    let found = match path.as_slice() {
        ["roles"] if is_read => Ok(Found { status: StatusCode::OK, body: Some(environment::roles()) }),
        ["environments", id, rest @ ..] if *id == sim.config().environment_id => {
            if !(if is_read { may_read(roles, rest) } else { may_write(roles, rest) }) {
                let (code, detail) = ("ACCESS_FAILED", "INSUFFICIENT_PERMISSIONS");
                return error(StatusCode::FORBIDDEN, code, detail, correlation);
            }
            if is_read {
                let body = read(sim, &settings, rest);
                body.map(|body| Found { status: StatusCode::OK, body: Some(body) }).ok_or(Refusal::Absent)
            } else {
                write(sim, &settings, method, rest, serde_json::from_slice(body).unwrap_or_default())
            }
        }
        _ => Err(Refusal::Absent),
    };
    match found {
        Ok(Found { status, body: Some(body) }) => document(status, &body),
        Ok(Found { status, body: None }) => empty(status),
        Err(Refusal::Absent) => error(StatusCode::NOT_FOUND, "NOT_FOUND", "NOT_FOUND", correlation),
        Err(Refusal::Configured) => {
            let message =
                "This object is part of the simulator's configuration; PUT /sim/settings changes it.";
            let body = json!({ "id": correlation.0, "code": "ACCESS_FAILED", "message": message });
            document(StatusCode::FORBIDDEN, &body)
        }
        Err(Refusal::Invalid { code, target, message }) => {
            let details = json!([{ "code": code, "target": target, "message": message }]);
            let message =
                "The request could not be completed. One or more validation errors were in the request.";
            let body = json!({ "id": correlation.0, "code": "INVALID_DATA", "message": message, "details": details });
            document(StatusCode::BAD_REQUEST, &body)
        }
    }
}

/// The object or the collection at a path, also of objects that were created.
fn read(sim: &Simulator, settings: &Settings, path: &[&str]) -> Option<Value> {
    let configured = read_configured(sim, settings, path);
    let joined = path.join("/");
    sim.change(|state| {
        if let ["applications", id, "secret"] = path {
            state.directory.find(&format!("applications/{id}"))?;
            return state.directory.secrets.get(*id).map(|secret| json!({ "secret": secret }));
        }
        let Some((name, parent)) = path.split_last() else { return configured };
        let is_collection = match (&configured, parent) {
            (Some(configured), _) => !configured["_embedded"].is_null(),
            (None, []) => false,
            (None, parent) => {
                let is_known = write::is_collection(path) || *name == "roleAssignments";
                is_known && state.directory.find(&parent.join("/")).is_some()
            }
        };
        if !is_collection {
            return configured.or_else(|| state.directory.find(&joined));
        }
        let mut items = match &configured {
            Some(configured) => configured["_embedded"][*name].as_array().cloned().unwrap_or_default(),
            None => Vec::new(),
        };
        items.extend(state.directory.read_items(&joined));
        Some(collection(name, items))
    })
}

/// The object or the collection of the configuration at a path below the environment.
fn read_configured(sim: &Simulator, settings: &Settings, path: &[&str]) -> Option<Value> {
    match path {
        ["applications", rest @ ..] => applications::read(sim, settings, rest),
        ["connectorInstances" | "davinciApplications" | "flowPolicies" | "flows", ..] => {
            davinci::read(sim, settings, path)
        }
        _ => environment::read(sim, settings, path),
    }
}

/// Whether the roles of the worker allow to read this path.
fn may_read(roles: &[String], path: &[&str]) -> bool {
    match path {
        ["connectorInstances" | "davinciApplications" | "flows", ..] => {
            has(roles, &["DaVinci Admin", "DaVinci Admin Read Only"])
        }
        ["applications", _, "secret"] => has(roles, &WRITERS),
        ["applications" | "resources", ..] => {
            has(roles, &["Client Application Developer", "Configuration Read Only", "Environment Admin"])
        }
        _ => has(roles, &["Configuration Read Only", "Environment Admin"]),
    }
}

/// Whether the roles of the worker allow to write at this path.
fn may_write(roles: &[String], path: &[&str]) -> bool {
    match path {
        ["applications" | "resources", ..] => has(roles, &WRITERS),
        _ => has(roles, &["Environment Admin"]),
    }
}

fn has(roles: &[String], names: &[&str]) -> bool {
    roles.iter().any(|role| names.contains(&role.as_str()))
}

/// The worker whose bearer token this is. Its signature is not checked.
fn worker<'a>(sim: &'a Simulator, headers: &HeaderMap) -> Option<&'a Worker> {
    let header = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let token = header.strip_prefix("Bearer ").unwrap_or_default();
    let claims = jsonwebtoken::dangerous::insecure_decode::<Value>(token).ok()?.claims;
    let is_valid = claims["exp"].as_u64().is_some_and(|exp| exp > sim.now());
    sim.config().worker(claims["client_id"].as_str()?).filter(|_| is_valid)
}

/// A response without a body.
fn empty(status: StatusCode) -> Response {
    let mut response = Response::default();
    *response.status_mut() = status;
    response
}

/// A collection, with the name that its items have in it.
fn collection(name: &str, items: Vec<Value>) -> Value {
    json!({ "_embedded": { name: items }, "count": items.len(), "size": items.len() })
}

fn error(status: StatusCode, code: &str, detail: &str, correlation: &Correlation) -> Response {
    let message = "The request could not be completed.";
    let details = json!([{ "code": detail, "message": message }]);
    document(status, &json!({ "id": correlation.0, "code": code, "message": message, "details": details }))
}

/// Roles that create applications and resources.
const WRITERS: [&str; 2] = ["Client Application Developer", "Environment Admin"];
