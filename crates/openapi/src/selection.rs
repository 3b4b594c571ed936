//! The members of a response that the curation keeps or drops.

use serde_json::Value;

use crate::{
    curation::Place,
    document::{Document, Object, shorten},
    refusal::Refusal,
};

/// Paths of members, such as `items.id`. An item of a list has no name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Selection {
    keep: Option<Vec<Vec<String>>>,
    drop: Vec<Vec<String>>,
    /// Whether the operation itself has such a key.
    is_own: bool,
}

impl Selection {
    /// The members that the keys at `place` select.
    pub(crate) fn of(place: &Place<'_>) -> Result<Self, Refusal> {
        let split = |paths: Vec<String>| paths.iter().map(|path| steps(path)).collect();
        let is_own = !place.own_fields()?.is_empty();
        Ok(Self { keep: place.kept()?.map(split), drop: split(place.dropped()?), is_own })
    }

    /// Whether some members are left out.
    pub(crate) const fn leaves_out(&self) -> bool {
        self.keep.is_some() || !self.drop.is_empty()
    }

    /// Whether a response without members, such as a text, is refused: the operation itself says which members to leave out.
    pub(crate) const fn needs_members(&self) -> bool {
        self.is_own
    }

    /// Removes what is not selected from a response.
    pub(crate) fn apply(&self, response: &mut Value) {
        self.select(response, false);
    }

    /// Removes what is not selected from the schema of a response.
    pub(crate) fn apply_to_schema(&self, schema: &mut Value) {
        self.select(schema, true);
    }

    fn select(&self, value: &mut Value, is_schema: bool) {
        if let Some(keep) = &self.keep {
            let paths: Vec<&[String]> = keep.iter().map(Vec::as_slice).collect();
            retain(value, &paths, is_schema);
        }
        for path in &self.drop {
            remove(value, path, is_schema);
        }
    }
}

/// The members that the keys of the operation name and that none of its responses can have, each with its key. With a response
/// that has no schema, every member can be there.
pub(crate) fn unknown(
    document: &Document,
    place: &Place<'_>,
    responses: &[&Value],
) -> Result<Vec<String>, Refusal> {
    if responses.is_empty() {
        return Ok(Vec::new());
    }
    let mut unknown = Vec::new();
    for (key, path) in place.own_fields()? {
        if !responses.iter().any(|schema| can_have(document, schema, &steps(&path), MAX_DEPTH)) {
            unknown.push(format!("`{}` of {key}", shorten(&path)));
        }
    }
    Ok(unknown)
}

/// Whether a value of this schema can have the member at `path`.
fn can_have(document: &Document, schema: &Value, path: &[String], depth: usize) -> bool {
    let Ok(Value::Object(schema)) = document.resolved(schema) else { return true };
    let Some((name, rest)) = path.split_first().filter(|_| depth > 0) else { return true };
    let inner = |schema: &Value, path: &[String]| can_have(document, schema, path, depth - 1);
    let combined = ["allOf", "anyOf", "oneOf"].map(|key| schema.get(key).and_then(Value::as_array));
    let mut combined = combined.into_iter().flatten().flatten().peekable();
    let properties = schema.get("properties").and_then(Value::as_object);
    let items = schema.get("items");
    let is_open = match schema.get("additionalProperties") {
        Some(additional) => *additional != Value::Bool(false),
        None => combined.peek().is_none() && properties.is_none() && items.is_none() && !is_scalar(schema),
    };
    is_open
        || schema.contains_key("patternProperties")
        || properties.and_then(|members| members.get(name)).is_some_and(|member| inner(member, rest))
        || items.is_some_and(|items| inner(items, path))
        || combined.any(|schema| inner(schema, path))
}

fn is_scalar(schema: &Object) -> bool {
    let scalar = |kind: &str| ["boolean", "integer", "null", "number", "string"].contains(&kind);
    match schema.get("type") {
        Some(Value::String(kind)) => scalar(kind),
        Some(Value::Array(kinds)) => kinds.iter().all(|kind| kind.as_str().is_some_and(scalar)),
        _ => false,
    }
}

fn steps(path: &str) -> Vec<String> {
    path.split('.').map(str::to_owned).collect()
}

/// The members of an object, or those that its schema declares. A list, or the schema of one, stands for each of its items.
fn for_each_object(value: &mut Value, is_schema: bool, change: &mut dyn FnMut(&mut Object)) {
    match value {
        Value::Array(items) if !is_schema => {
            for item in items {
                for_each_object(item, is_schema, change);
            }
        }
        Value::Object(schema) if is_schema => {
            if let Some(Value::Object(properties)) = schema.get_mut("properties") {
                change(properties);
            } else if let Some(items) = schema.get_mut("items") {
                for_each_object(items, is_schema, change);
            }
        }
        Value::Object(members) => change(members),
        _ => {}
    }
}

fn retain(value: &mut Value, paths: &[&[String]], is_schema: bool) {
    for_each_object(value, is_schema, &mut |members| {
        members.retain(|name, _| paths.iter().any(|path| path.first() == Some(name)));
        for (name, value) in members.iter_mut() {
            let inner: Vec<&[String]> =
                paths.iter().filter(|path| path.first() == Some(name)).map(|path| &path[1..]).collect();
            if inner.iter().all(|path| !path.is_empty()) {
                retain(value, &inner, is_schema);
            }
        }
    });
}

fn remove(value: &mut Value, path: &[String], is_schema: bool) {
    let Some((name, rest)) = path.split_first() else { return };
    for_each_object(value, is_schema, &mut |members| {
        if rest.is_empty() {
            members.remove(name);
        } else if let Some(inner) = members.get_mut(name) {
            remove(inner, rest, is_schema);
        }
    });
}

/// Nested schemas that are looked at.
const MAX_DEPTH: usize = 32;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn member_that_no_response_declares_is_unknown() {
        let document = Document::new(json!({
            "openapi": "3.1.0",
            "components": { "schemas": {
                "Berth": { "type": "object", "properties": { "id": {}, "berths": { "$ref": "#/components/schemas/Berths" } } },
                "Berths": { "type": "array", "items": { "$ref": "#/components/schemas/Berth" } },
            } },
        }))
        .unwrap();
        let of = |name: &str| json!({ "$ref": format!("#/components/schemas/{name}") });
        let either = json!({ "oneOf": [of("Berth"), { "type": "string" }] });
        for (schema, path, is_known) in [
            (of("Berth"), "id", true),
            (of("Berths"), "id", true),
            (of("Berths"), "berths.berths.id", true),
            (either.clone(), "id", true),
            (json!({}), "a", true),
            (json!({ "type": "object" }), "a.b", true),
            (json!({ "type": "object", "properties": {}, "additionalProperties": true }), "a", true),
            (json!({ "additionalProperties": of("Berth") }), "a", true),
            (json!({ "$ref": "#/components/schemas/None" }), "a", true),
            (of("Berth"), "Id", false),
            (of("Berth"), "items.id", false),
            (of("Berths"), "berths.name", false),
            (either, "name", false),
            (json!({ "type": ["string", "null"] }), "a", false),
        ] {
            assert_eq!(can_have(&document, &schema, &steps(path), MAX_DEPTH), is_known, "{schema} {path}");
        }
    }
}
