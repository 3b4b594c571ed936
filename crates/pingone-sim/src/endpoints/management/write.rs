//! The part of the management API that writes: resources, scopes, applications, their grants and policies, and webhooks.
//!
//! Only objects that were created here can be changed. Those of the configuration belong to the settings.

use axum::http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use super::{
    Found,
    environment::{OPENID, OPENID_SCOPES, scope_id},
};
use crate::{settings::Settings, simulator::Simulator, state::State};

/// Why a write is refused.
pub(super) enum Refusal {
    /// There is no such object or collection.
    Absent,
    /// The object is part of the simulator's configuration.
    Configured,
    /// A property is wrong.
    Invalid { code: &'static str, target: &'static str, message: String },
}

/// Creates, replaces or deletes the object at a path below the environment.
pub(super) fn write(
    sim: &Simulator,
    settings: &Settings,
    method: &Method,
    path: &[&str],
    body: Value,
) -> Result<Found, Refusal> {
    let joined = path.join("/");
    let (id, secret) = (sim.uuid(), sim.secret());
    // Before the state is locked.
    let is_configured = |path: &[&str]| super::read_configured(sim, settings, path).is_some();
    let parent = path.split_last().map(|(_, parent)| parent).unwrap_or_default();
    let (configured, below_configured) = (is_configured(path), is_configured(parent));
    let absent = |is_configured| if is_configured { Refusal::Configured } else { Refusal::Absent };
    sim.change(|state| {
        if *method == Method::POST {
            let kind = Kind::of(path).ok_or(Refusal::Absent)?;
            if !parent.is_empty() && state.directory.find(&parent.join("/")).is_none() {
                return Err(absent(below_configured));
            }
            let value = kind.valid(sim, state, path, &id, body)?;
            if matches!(kind, Kind::Application) {
                state.directory.secrets.insert(id.clone(), secret);
            }
            state.directory.add(&joined, value.clone(), settings.tenant.management_lag);
            return Ok(Found { status: StatusCode::CREATED, body: Some(value) });
        }
        let (id, collection) = path.split_last().ok_or(Refusal::Absent)?;
        let kind = Kind::of(collection).ok_or(Refusal::Absent)?;
        if state.directory.find(&joined).is_none() {
            return Err(absent(configured));
        }
        if *method == Method::DELETE {
            state.directory.remove(&joined);
            return Ok(Found { status: StatusCode::NO_CONTENT, body: None });
        }
        let value = kind.valid(sim, state, collection, id, body)?;
        state.directory.replace(&joined, value.clone());
        Ok(Found { status: StatusCode::OK, body: Some(value) })
    })
}

/// Whether objects can be created at this path.
pub(super) fn is_collection(path: &[&str]) -> bool {
    Kind::of(path).is_some()
}

/// A kind of object.
#[derive(Clone, Copy)]
enum Kind {
    Application,
    FlowPolicyAssignment,
    Grant,
    Resource,
    Scope,
    SignOnPolicyAssignment,
    Subscription,
}

impl Kind {
    /// The kind of the objects in a collection.
    fn of(collection: &[&str]) -> Option<Self> {
        Some(match collection {
            ["applications"] => Self::Application,
            ["applications", _, "flowPolicyAssignments"] => Self::FlowPolicyAssignment,
            ["applications", _, "grants"] => Self::Grant,
            ["resources"] => Self::Resource,
            ["resources", _, "scopes"] => Self::Scope,
            ["applications", _, "signOnPolicyAssignments"] => Self::SignOnPolicyAssignment,
            ["subscriptions"] => Self::Subscription,
            _ => return None,
        })
    }

    /// The object as it is stored, with defaults for what `body` leaves out.
    fn valid(
        self,
        sim: &Simulator,
        state: &State,
        collection: &[&str],
        id: &str,
        body: Value,
    ) -> Result<Value, Refusal> {
        let Value::Object(mut body) = body else { return Err(invalid("body", "a JSON object is required")) };
        for read_only in ["_links", "createdAt", "updatedAt", "environment"] {
            body.remove(read_only);
        }
        body.insert("id".to_owned(), json!(id));
        let path = collection.join("/");
        let others = state.directory.items(&path).into_iter().filter(|other| other["id"] != id);
        let others: Vec<_> = others.collect();
        match self {
            Self::Application => application(sim, &mut body)?,
            Self::FlowPolicyAssignment => {
                let policy = &body.get("flowPolicy").unwrap_or(&Value::Null)["id"];
                if *policy != *sim.config().policy_id && *policy != super::davinci::OTHER_POLICY {
                    return Err(invalid("flowPolicy.id", "there is no such flow policy"));
                }
                if !body.get("priority").is_some_and(Value::is_u64) {
                    return Err(invalid("priority", "is required"));
                }
                require_none_of(state, collection, "signOnPolicyAssignments")?;
                require_unique(&others, &body, "flowPolicy")?;
            }
            Self::Grant => {
                grant(state, &body)?;
                require_unique(&others, &body, "resource")?;
            }
            Self::Resource => resource(&mut body)?,
            Self::Scope => {}
            Self::SignOnPolicyAssignment => {
                require_none_of(state, collection, "flowPolicyAssignments")?;
                require_unique(&others, &body, "signOnPolicy")?;
            }
            Self::Subscription => subscription(&body)?,
        }
        if matches!(self, Self::Application | Self::Resource | Self::Scope | Self::Subscription) {
            if body.get("name").and_then(Value::as_str).is_none_or(str::is_empty) {
                return Err(invalid("name", "must not be empty"));
            }
            // Two webhooks may have one name.
            if !matches!(self, Self::Subscription) {
                require_unique(&others, &body, "name")?;
            }
        }
        body.insert("environment".to_owned(), json!({ "id": sim.config().environment_id }));
        Ok(body.into())
    }
}

fn application(sim: &Simulator, body: &mut Map<String, Value>) -> Result<(), Refusal> {
    let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
    if text("protocol") != "OPENID_CONNECT" {
        return Err(invalid("protocol", "this simulator has OPENID_CONNECT alone"));
    }
    if !["WEB_APP", "WORKER"].contains(&text("type")) {
        return Err(invalid("type", "this simulator has WEB_APP and WORKER alone"));
    }
    if !["CLIENT_SECRET_BASIC", "CLIENT_SECRET_JWT", "CLIENT_SECRET_POST", "PRIVATE_KEY_JWT"]
        .contains(&text("tokenEndpointAuthMethod"))
    {
        return Err(invalid("tokenEndpointAuthMethod", "is required"));
    }
    let has_key = body.contains_key("jwks") || body.contains_key("jwksUrl");
    if text("tokenEndpointAuthMethod") == "PRIVATE_KEY_JWT" && !has_key {
        return Err(invalid("jwks", "is required for PRIVATE_KEY_JWT"));
    }
    let uris = body.get("redirectUris").and_then(Value::as_array).into_iter().flatten();
    for uri in uris {
        let url = uri.as_str().and_then(|uri| url::Url::parse(uri).ok());
        let is_allowed = url.is_some_and(|url| match url.scheme() {
            "http" => matches!(url.host_str(), Some("localhost" | "127.0.0.1")),
            _ => true,
        });
        if !is_allowed {
            return Err(invalid("redirectUris", "http is for localhost alone"));
        }
    }
    let signing = json!({ "keyRotationPolicy": { "id": super::applications::KEY_ROTATION_POLICY } });
    for (name, default) in [
        ("enabled", json!(false)),
        ("pkceEnforcement", json!("OPTIONAL")),
        ("parRequirement", json!("OPTIONAL")),
        ("refreshTokenType", json!("OPAQUE_TOKEN")),
        ("refreshTokenDuration", json!(2_592_000)),
        ("refreshTokenRollingDuration", json!(15_552_000)),
        ("refreshTokenRollingGracePeriodDuration", json!(0)),
        ("additionalRefreshTokenReplayProtectionEnabled", json!(true)),
        ("allowWildcardInRedirectUris", json!(false)),
        ("requireSignedRequestObject", json!(false)),
        ("signing", signing),
    ] {
        body.entry(name).or_insert(default);
    }
    if body.get("name").is_some_and(|name| is_name_of_configured(sim, name)) {
        return Err(not_unique("name"));
    }
    Ok(())
}

fn is_name_of_configured(sim: &Simulator, name: &Value) -> bool {
    let settings = sim.config();
    !settings.empty && *name == *settings.application.name
}

fn grant(state: &State, body: &Map<String, Value>) -> Result<(), Refusal> {
    let resource = body.get("resource").and_then(|resource| resource["id"].as_str()).unwrap_or_default();
    let known: Vec<String> = if resource == OPENID {
        OPENID_SCOPES.iter().map(|name| scope_id(name)).collect()
    } else if state.directory.get(&format!("resources/{resource}")).is_some() {
        let scopes = state.directory.items(&format!("resources/{resource}/scopes"));
        scopes.iter().filter_map(|scope| scope["id"].as_str().map(str::to_owned)).collect()
    } else {
        return Err(invalid("resource.id", "there is no such resource"));
    };
    let mut scopes = body.get("scopes").and_then(Value::as_array).into_iter().flatten();
    let are_known =
        scopes.all(|scope| scope["id"].as_str().is_some_and(|id| known.iter().any(|known| known == id)));
    if are_known { Ok(()) } else { Err(invalid("scopes", "there is no such scope of the resource")) }
}

fn resource(body: &mut Map<String, Value>) -> Result<(), Refusal> {
    body.insert("type".to_owned(), json!("CUSTOM"));
    let name = body.get("name").cloned().unwrap_or_default();
    let audience = body.entry("audience").or_insert(name).as_str().unwrap_or_default().to_owned();
    if ["pingone", "pingidentity"].iter().any(|word| audience.contains(word)) {
        return Err(invalid("audience", "must not contain pingone or pingidentity"));
    }
    let seconds = body.entry("accessTokenValiditySeconds").or_insert(json!(3600));
    if !seconds.as_u64().is_some_and(|seconds| (300..=2_592_000).contains(&seconds)) {
        return Err(invalid("accessTokenValiditySeconds", "must be from 300 to 2592000"));
    }
    Ok(())
}

fn subscription(body: &Map<String, Value>) -> Result<(), Refusal> {
    for required in ["enabled", "verifyTlsCertificates", "format"] {
        if !body.contains_key(required) {
            return Err(invalid("body", &format!("{required} is required")));
        }
    }
    let url = body.get("httpEndpoint").and_then(|endpoint| endpoint["url"].as_str()).unwrap_or_default();
    // PingOne accepts https alone. Nothing on this computer has that.
    if !["https://", "http://localhost:", "http://127.0.0.1:"].iter().any(|start| url.starts_with(start)) {
        return Err(invalid("httpEndpoint.url", "must be an https URL"));
    }
    let types = body.get("filterOptions").and_then(|options| options["includedActionTypes"].as_array());
    if types.is_none_or(Vec::is_empty) {
        return Err(invalid("filterOptions.includedActionTypes", "must not be empty"));
    }
    Ok(())
}

/// An application has flow policies or sign-on policies, never both.
fn require_none_of(state: &State, collection: &[&str], other: &'static str) -> Result<(), Refusal> {
    let [above @ .., _] = collection else { return Ok(()) };
    let path = format!("{}/{other}", above.join("/"));
    match state.directory.items(&path).first() {
        None => Ok(()),
        Some(_) => Err(invalid(other, "an application has policies of one kind alone")),
    }
}

fn require_unique(others: &[&Value], body: &Map<String, Value>, name: &'static str) -> Result<(), Refusal> {
    let same = |other: &&&Value| match (&other[name], body.get(name)) {
        (Value::Object(one), Some(Value::Object(another))) => one.get("id") == another.get("id"),
        (one, another) => Some(one) == another,
    };
    if others.iter().any(|other| same(&other)) { Err(not_unique(name)) } else { Ok(()) }
}

fn not_unique(target: &'static str) -> Refusal {
    Refusal::Invalid { code: "UNIQUENESS_VIOLATION", target, message: "must be unique".to_owned() }
}

fn invalid(target: &'static str, message: &str) -> Refusal {
    Refusal::Invalid { code: "INVALID_VALUE", target, message: message.to_owned() }
}
