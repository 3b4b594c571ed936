//! Changes to a document before it is read (OpenAPI Overlay 1.0).

use serde_json::{Value, json};

use crate::{
    catalog::METHODS,
    document::{Object, shorten, text_of},
    json_path::{JsonPath, Place},
    refusal::DocumentError,
    text,
};

/// Applies the actions of an overlay to a document, in order.
///
/// An action that selects nothing is an error. A document may have changed since the overlay was written, and an operation that
/// the overlay hides would be served otherwise.
pub(crate) fn apply(overlay: &str, document: &mut Value) -> Result<(), DocumentError> {
    let overlay = text::parse(overlay)?;
    let version =
        overlay.get("overlay").map(|version| version.as_str().map_or(version.to_string(), str::to_owned));
    if !version.is_some_and(|version| version == "1.0" || version.starts_with("1.0.")) {
        return Err(DocumentError::Overlay("it has no `overlay: 1.0.0`".to_owned()));
    }
    let without_actions = || DocumentError::Overlay("it has no list of `actions`".to_owned());
    // An empty list is one that is still to be written.
    let actions = overlay.get("actions").and_then(Value::as_array).ok_or_else(without_actions)?;
    if let Some(unknown) = other_member(&overlay, &["overlay", "info", "extends", "actions"]) {
        return Err(DocumentError::Overlay(format!("it has the unknown member `{unknown}`")));
    }
    let mut left = MAX_CHANGES;
    for (index, action) in actions.iter().enumerate() {
        let refused = |reason: &str| DocumentError::Overlay(format!("action {}: {reason}", index + 1));
        let action = action.as_object().ok_or_else(|| refused("it is not an object"))?;
        if let Some(unknown) = other_member(&json!(action), &["target", "description", "update", "remove"]) {
            return Err(refused(&format!("it has the unknown member `{unknown}`")));
        }
        let target = text_of(action, "target").ok_or_else(|| refused("it has no target"))?;
        let named = |reason: &str| refused(&format!("{} {reason}", shorten(target)));
        let path = JsonPath::parse(target)
            .ok_or_else(|| named("is not a target that docs/your-api.md describes"))?;
        let places = path.select(document, left).ok_or_else(|| named("selects too much"))?;
        if places.is_empty() {
            return Err(named("selects nothing"));
        }
        left = left.checked_sub(places.len()).ok_or_else(|| named("selects too much"))?;
        if let Some(unknown) = unknown_member(action, &places) {
            let unknown = shorten(unknown);
            return Err(named(&format!(
                "has no member `{unknown}` in OpenAPI. A text with a comma needs quotes"
            )));
        }
        change(action, document, &places).ok_or_else(|| named("cannot be changed so"))?;
    }
    Ok(())
}

/// Applies one action to the places that it selects. `None` if it has no effect that can be made.
fn change(action: &Object, document: &mut Value, places: &[Place]) -> Option<()> {
    if action.get("remove") == Some(&Value::Bool(true)) {
        // Items of a list are removed from its end.
        return places.iter().rev().try_for_each(|place| remove(document, place));
    }
    let update = action.get("update").filter(|update| **update != json!({}))?;
    for place in places {
        match (at(document, place)?, update) {
            (Value::Array(items), update) => items.push(update.clone()),
            (target @ Value::Object(_), Value::Object(_)) => merge(target, update),
            _ => return None,
        }
    }
    Some(())
}

/// A member of an update that OpenAPI does not define for an operation, a path or a document.
fn unknown_member<'a>(action: &'a Object, places: &[Place]) -> Option<&'a str> {
    let update = action.get("update")?.as_object()?;
    places.iter().find_map(|place| {
        let known: &[&str] = match &place[..] {
            [] => &DOCUMENT,
            [paths, _] if paths == "paths" => &PATH_ITEM,
            [paths, _, method] if paths == "paths" && METHODS.contains(&method.as_str()) => &OPERATION,
            _ => return None,
        };
        let is_unknown = |name: &&String| !known.contains(&name.as_str()) && !name.starts_with("x-");
        update.keys().find(is_unknown).map(String::as_str)
    })
}

/// A member with a name of its own, for a message.
fn other_member(value: &Value, known: &[&str]) -> Option<String> {
    let mut names = value.as_object()?.keys();
    names.find(|name| !known.contains(&name.as_str()) && !name.starts_with("x-")).map(|name| shorten(name))
}

fn at<'a>(document: &'a mut Value, place: &[String]) -> Option<&'a mut Value> {
    place.iter().try_fold(document, |value, step| match value {
        Value::Array(items) => items.get_mut(step.parse::<usize>().ok()?),
        value => value.get_mut(step),
    })
}

fn remove(document: &mut Value, place: &[String]) -> Option<()> {
    let (last, parent) = place.split_last()?;
    match at(document, parent)? {
        Value::Array(items) => {
            let index = last.parse::<usize>().ok().filter(|index| *index < items.len())?;
            items.remove(index);
        }
        value => {
            value.as_object_mut()?.remove(last)?;
        }
    }
    Some(())
}

/// Merges objects, appends lists, and replaces other values. The keys of Deputy are replaced as a whole.
fn merge(target: &mut Value, update: &Value) {
    match (target, update) {
        (Value::Object(target), Value::Object(update)) => {
            for (name, update) in update {
                match target.get_mut(name) {
                    Some(target) if !name.starts_with("x-deputy-") => merge(target, update),
                    _ => {
                        target.insert(name.clone(), update.clone());
                    }
                }
            }
        }
        (Value::Array(target), Value::Array(update)) => target.extend(update.iter().cloned()),
        (target, update) => *target = update.clone(),
    }
}

/// The members of a document (OpenAPI Object).
const DOCUMENT: [&str; 10] = [
    "components",
    "externalDocs",
    "info",
    "jsonSchemaDialect",
    "openapi",
    "paths",
    "security",
    "servers",
    "tags",
    "webhooks",
];

/// The members of a path (Path Item Object).
const PATH_ITEM: [&str; 13] = [
    "$ref",
    "delete",
    "description",
    "get",
    "head",
    "options",
    "parameters",
    "patch",
    "post",
    "put",
    "servers",
    "summary",
    "trace",
];

/// The members of an operation (Operation Object).
const OPERATION: [&str; 12] = [
    "callbacks",
    "deprecated",
    "description",
    "externalDocs",
    "operationId",
    "parameters",
    "requestBody",
    "responses",
    "security",
    "servers",
    "summary",
    "tags",
];

/// Places that all actions together may change.
const MAX_CHANGES: usize = 50_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(actions: &Value) -> Result<Value, DocumentError> {
        let mut document = json!({
            "info": { "title": "A" },
            "paths": { "/a": { "get": { "tags": ["x"], "x-deputy-scopes": ["a"] }, "post": {} } },
            "servers": [1, 2, 3],
        });
        let overlay = json!({ "overlay": "1.0.0", "info": {}, "actions": actions }).to_string();
        apply(&overlay, &mut document).map(|()| document)
    }

    #[test]
    fn actions_update_append_and_remove() {
        let changed = applied(&json!([
            { "target": "$.info", "update": { "title": "B", "more": { "x": 1 } } },
            { "target": "$.paths.*.get", "update": { "tags": ["y"], "x-deputy-scopes": ["b"] } },
            { "target": "$.paths['/a'].post", "remove": true },
            { "target": "$.servers[*]", "remove": true },
            { "target": "$.servers", "update": 4 },
        ]));
        let expected = json!({
            "info": { "title": "B", "more": { "x": 1 } },
            "paths": { "/a": { "get": { "tags": ["x", "y"], "x-deputy-scopes": ["b"] } } },
            "servers": [4],
        });
        assert_eq!(changed, Ok(expected));
    }

    #[test]
    fn action_without_effect_is_refused() {
        for (action, reason) in [
            (json!({ "target": "$.paths['/b']", "remove": true }), "action 1: $.paths['/b'] selects nothing"),
            (
                json!({ "target": "$..x", "remove": true }),
                "action 1: $..x is not a target that docs/your-api.md describes",
            ),
            (json!({ "target": "$.info" }), "action 1: $.info cannot be changed so"),
            (json!({ "target": "$.info", "update": {} }), "action 1: $.info cannot be changed so"),
            (
                json!({ "target": "$.info", "updates": { "title": "B" } }),
                "action 1: it has the unknown member `updates`",
            ),
            (json!({ "target": "$.info", "update": 5 }), "action 1: $.info cannot be changed so"),
            (json!({ "target": "$", "remove": true }), "action 1: $ cannot be changed so"),
            (
                json!({ "target": "$.paths.*.get", "update": { "description": "Returns length", "depth": null } }),
                "action 1: $.paths.*.get has no member `depth` in OpenAPI. A text with a comma needs quotes",
            ),
            (
                json!({ "target": "$", "update": { "title": "B" } }),
                "action 1: $ has no member `title` in OpenAPI. A text with a comma needs quotes",
            ),
            (json!({}), "action 1: it has no target"),
            (json!(5), "action 1: it is not an object"),
        ] {
            assert_eq!(applied(&json!([action])), Err(DocumentError::Overlay(reason.to_owned())));
        }
        for (overlay, reason) in [
            (json!({ "overlay": "1.0.0" }), "it has no list of `actions`"),
            (json!({ "overlay": "1.0.0", "actions": {} }), "it has no list of `actions`"),
            (
                json!({ "overlay": "1.0.0", "actions": [{}], "action": [] }),
                "it has the unknown member `action`",
            ),
        ] {
            let refused = apply(&overlay.to_string(), &mut json!({}));
            assert_eq!(refused, Err(DocumentError::Overlay(reason.to_owned())), "{overlay}");
        }
        let many: Object = (0..=MAX_CHANGES).map(|n| (format!("/{n}"), json!({}))).collect();
        let overlay =
            json!({ "overlay": "1.0.0", "actions": [{ "target": "$.paths.*[?@.tags]", "remove": true }] });
        let refused = apply(&overlay.to_string(), &mut json!({ "paths": many }));
        let reason = "action 1: $.paths.*[?@.tags] selects too much".to_owned();
        assert_eq!(refused, Err(DocumentError::Overlay(reason)));
        let other = apply("overlay: 2.0.0\nactions: []\n", &mut json!({}));
        assert_eq!(other, Err(DocumentError::Overlay("it has no `overlay: 1.0.0`".to_owned())));
    }
}
