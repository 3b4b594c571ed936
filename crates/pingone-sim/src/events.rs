//! Audit events in the form of PingOne's activities API.

use chrono::{DateTime, SecondsFormat};
use serde_json::json;

use crate::{
    config::SimConfig,
    outbox::{Event, Happening},
    state::State,
};

/// The event of a happening. `id` and `correlation` are UUIDs.
pub(crate) fn event(
    config: &SimConfig,
    state: &State,
    happening: &Happening,
    at: u64,
    [id, correlation]: [String; 2],
) -> Event {
    let Happening { kind, user, session, client_id } = happening;
    let environment = json!({ "id": config.environment_id });
    let base = format!("https://api.pingone.example/v1/environments/{}", config.environment_id);
    let name = state.user(user).map(|user| user.username.clone());
    let user_url = format!("{base}/users/{user}");
    let of_user =
        json!({ "type": "USER", "id": user, "name": name, "environment": environment, "href": user_url });
    let mut resources = vec![of_user.clone()];
    if let Some(session) = session {
        let href = format!("{user_url}/sessions/{session}");
        resources.push(json!({ "type": "SESSION", "id": session, "environment": environment, "href": href }));
    }
    if let Some(client_id) = client_id {
        let created = state.directory.get(&format!("applications/{client_id}"));
        let (id, name) = match created {
            Some(created) => (client_id, created["name"].as_str().unwrap_or_default()),
            None => (&config.application.client_id, config.application.name.as_str()),
        };
        resources.push(json!({
            "type": "APPLICATION", "id": id, "name": name, "environment": environment,
            "href": format!("{base}/applications/{id}"),
        }));
    }
    let time = i64::try_from(at).ok().and_then(|at| DateTime::from_timestamp(at, 0)).unwrap_or_default();
    let time = time.to_rfc3339_opts(SecondsFormat::Millis, true);
    let client = json!({
        "id": "ad319000-0000-4000-8000-00000000c057", "name": "PingOne Admin Console", "environment": environment,
        "type": "CLIENT",
    });
    let json = json!({
        "_links": { "self": { "href": format!("{base}/activities/{id}") } },
        "id": id, "recordedAt": time, "createdAt": time, "correlationId": correlation,
        "actors": { "client": client, "user": of_user },
        "action": { "type": kind, "description": kind },
        "resources": resources,
        "result": { "status": "SUCCESS", "description": "Made by a simulator" },
    });
    Event { at, json }
}
