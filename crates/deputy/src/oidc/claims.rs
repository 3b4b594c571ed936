//! Claims about a user (OpenID Connect Core §5.1).

use serde_json::{Map, Value};

/// A claim as pages and tools can show it: without control characters, at most 200 characters.
pub(super) fn displayable_claim(claims: &Map<String, Value>, name: &str) -> Option<String> {
    let text: String = claims.get(name)?.as_str()?.chars().filter(|c| !c.is_control()).take(200).collect();
    (!text.is_empty()).then_some(text)
}

/// `name`, or `given_name` and `family_name`: PingOne often omits `name`.
pub(super) fn full_name(claims: &Map<String, Value>) -> Option<String> {
    displayable_claim(claims, "name").or_else(|| {
        match (displayable_claim(claims, "given_name"), displayable_claim(claims, "family_name")) {
            (Some(given), Some(family)) => Some(format!("{given} {family}")),
            (given, family) => given.or(family),
        }
    })
}
