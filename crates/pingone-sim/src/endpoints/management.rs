//! The part of the management API that only reads, for a worker.

mod applications;
mod davinci;
mod environment;

use axum::{
    Extension,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::Response,
};
use serde_json::{Value, json};

use crate::{
    failure::Failure,
    response::{Correlation, document, forced_status},
    settings::Settings,
    simulator::Simulator,
};

pub(crate) async fn get(
    State(sim): State<Simulator>,
    Extension(correlation): Extension<Correlation>,
    headers: HeaderMap,
    Path(path): Path<String>,
) -> Response {
    sim.count("management");
    let statuses = sim.forced(|failure| match failure {
        Failure::Management(status) => Some(*status),
        _ => None,
    });
    if let Some(status) = statuses.first() {
        return forced_status(*status);
    }
    if !is_worker(&sim, &headers) {
        return error(StatusCode::UNAUTHORIZED, "ACCESS_FAILED", "INVALID_TOKEN", &correlation);
    }
    let settings = sim.state().settings.clone();
    let path: Vec<_> = path.split('/').collect();
    let found = match path.as_slice() {
        ["roles"] => Some(environment::roles()),
        ["environments", id, rest @ ..] if *id == sim.config().environment_id => {
            if !may_read(&settings, rest) {
                let (code, detail) = ("ACCESS_FAILED", "INSUFFICIENT_PERMISSIONS");
                return error(StatusCode::FORBIDDEN, code, detail, &correlation);
            }
            read(&sim, &settings, rest)
        }
        _ => None,
    };
    match found {
        Some(found) => document(StatusCode::OK, &found),
        None => error(StatusCode::NOT_FOUND, "NOT_FOUND", "NOT_FOUND", &correlation),
    }
}

/// The object or the collection at a path below the environment.
fn read(sim: &Simulator, settings: &Settings, path: &[&str]) -> Option<Value> {
    match path {
        ["applications", rest @ ..] => applications::read(sim, settings, rest),
        ["connectorInstances" | "davinciApplications" | "flowPolicies" | "flows", ..] => {
            davinci::read(sim, settings, path)
        }
        _ => environment::read(sim, settings, path),
    }
}

/// Whether the roles of the worker allow to read this path.
fn may_read(settings: &Settings, path: &[&str]) -> bool {
    let has =
        |names: [&str; 2]| settings.tenant.worker_roles.iter().any(|role| names.contains(&role.as_str()));
    match path.first() {
        Some(&("connectorInstances" | "davinciApplications" | "flows")) => {
            has(["DaVinci Admin", "DaVinci Admin Read Only"])
        }
        _ => has(["Configuration Read Only", "Environment Admin"]),
    }
}

/// Whether the bearer token is a worker's. Its signature is not checked.
fn is_worker(sim: &Simulator, headers: &HeaderMap) -> bool {
    let header = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let token = header.strip_prefix("Bearer ").unwrap_or_default();
    let claims = jsonwebtoken::dangerous::insecure_decode::<Value>(token).map(|token| token.claims);
    claims.is_ok_and(|claims| {
        claims["client_id"] == sim.config().worker.client_id.as_str()
            && claims["exp"].as_u64().is_some_and(|exp| exp > sim.now())
    })
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
