//! Claims about users, and claims that tests force.

use serde_json::{Map, Value, json};

use crate::{failure::Failure, simulator::Simulator};

/// The claims about a user that the scopes allow. `name` is missing, as it often is at PingOne.
pub(crate) fn of_user(sim: &Simulator, id: &str, scopes: &[String]) -> Map<String, Value> {
    let mut claims = Map::new();
    claims.insert("sub".into(), json!(id));
    let user = sim.state().user(id).cloned();
    let Some(user) = user else { return claims };
    let requested = |name: &str| scopes.iter().any(|scope| scope == name);
    if requested("profile") {
        claims.insert("preferred_username".into(), json!(user.username));
        claims.insert("given_name".into(), json!(user.given_name));
        claims.insert("family_name".into(), json!(user.family_name));
    }
    if requested("email") {
        claims.insert("email".into(), json!(user.email));
    }
    claims
}

/// Sets the forced members that `select` finds, or removes them if the forced value is `null`.
pub(crate) fn apply_forced(
    sim: &Simulator,
    members: &mut Map<String, Value>,
    select: impl Fn(&Failure) -> Option<(String, Value)>,
) {
    for (name, value) in sim.forced(select) {
        if value.is_null() {
            members.remove(&name);
        } else {
            members.insert(name, value);
        }
    }
}
