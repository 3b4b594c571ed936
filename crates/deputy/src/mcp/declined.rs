//! Lists without the entries that need a scope which the user declined.
//!
//! An entry stays in its list if the client merely did not request its scope: a call leads to a challenge, and the
//! client can request the scope. A declined scope is the user's decision.

use serde_json::Value;

use super::Handler;

/// Removes the tools, prompts and resources that need a scope in `declined` from the result of `method`.
pub(super) fn hide_declined(handler: &dyn Handler, method: &str, declined: &[String], result: &mut Value) {
    let (list, use_of_entry, name) = match method {
        "prompts/list" => ("prompts", "prompts/get", "name"),
        "resources/list" => ("resources", "resources/read", "uri"),
        "tools/list" => ("tools", "tools/call", "name"),
        _ => return,
    };
    if declined.is_empty() {
        return;
    }
    if let Some(entries) = result.get_mut(list).and_then(Value::as_array_mut) {
        entries.retain(|entry| {
            let required = handler.required_scopes(use_of_entry, entry[name].as_str());
            !required.iter().any(|scope| declined.contains(scope))
        });
    }
}
