//! Claims about a user (OpenID Connect Core §5.1).

use serde_json::{Map, Value};

/// A claim as it may be shown: no control characters, 200 characters at most.
pub(super) fn shown(claims: &Map<String, Value>, name: &str) -> Option<String> {
    let text: String = claims.get(name)?.as_str()?.chars().filter(|c| !c.is_control()).take(200).collect();
    (!text.is_empty()).then_some(text)
}

/// `name`, or given and family name: PingOne often leaves `name` out.
pub(super) fn full_name(claims: &Map<String, Value>) -> Option<String> {
    shown(claims, "name").or_else(|| match (shown(claims, "given_name"), shown(claims, "family_name")) {
        (Some(given), Some(family)) => Some(format!("{given} {family}")),
        (given, family) => given.or(family),
    })
}
