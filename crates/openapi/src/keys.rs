//! The keys `x-deputy-*` that exist, and the objects of a document to which each belongs.
//!
//! A key that is misspelled, or at another place, would decide about nothing: an operation that it was to hide would be served.

use serde_json::Value;

use crate::{
    catalog::METHODS,
    curation::{DESTRUCTIVE, DROP, FIELDS, FIXED, HIDE, NAME, PREFIX, READ_ONLY, SCOPES},
    document::{Object, shorten},
    refusal::DocumentError,
};

/// An object to which keys belong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    Document,
    Path,
    Operation,
}

use Owner::{Document, Operation, Path};

const KEYS: [(&str, &[Owner]); 12] = [
    (HIDE, &[Operation, Path, Document]),
    (SCOPES, &[Operation, Path, Document]),
    (SCOPE_DESCRIPTIONS, &[Document]),
    (API, &[Document]),
    (INSTRUCTIONS, &[Document]),
    (NAME, &[Operation]),
    (PREFIX, &[Operation, Path, Document]),
    (DESTRUCTIVE, &[Operation]),
    (READ_ONLY, &[Operation]),
    (FIXED, &[Operation, Path, Document]),
    (FIELDS, &[Operation]),
    (DROP, &[Operation, Path, Document]),
];

/// Refuses a document with a key that does not exist, or that is at a place to which it does not belong.
pub(crate) fn check(root: &Object) -> Result<(), DocumentError> {
    check_members(root, Some(Document), "the document")?;
    for (name, value) in root.iter().filter(|(name, _)| !name.starts_with("x-")) {
        match (name.as_str(), value) {
            ("paths" | "webhooks", Value::Object(items)) => check_items(name, items)?,
            ("components", Value::Object(components)) => {
                check_members(components, None, name)?;
                for (kind, parts) in components {
                    match parts {
                        Value::Object(items) if kind == "pathItems" => check_items(kind, items)?,
                        parts => check_below(parts, kind, 0)?,
                    }
                }
            }
            (_, value) => check_below(value, name, 0)?,
        }
    }
    Ok(())
}

/// The keys that paths and operations have, each with its place.
pub(crate) fn of_operations(root: &Value) -> Vec<String> {
    let mut keys = Vec::new();
    let items = root.get("paths").and_then(Value::as_object);
    for (path, item) in items.into_iter().flatten() {
        let Some(item) = item.as_object() else { continue };
        let operations = METHODS
            .iter()
            .filter_map(|method| Some((format!("{method} {path}"), item.get(*method)?.as_object()?)));
        for (place, object) in std::iter::once((path.clone(), item)).chain(operations) {
            let names = object.keys().filter(|name| name.starts_with(PREFIX_OF_KEYS));
            keys.extend(names.map(|name| format!("{} at {}", shorten(name), shorten(&place))));
        }
    }
    keys
}

fn check_items(name: &str, items: &Object) -> Result<(), DocumentError> {
    check_members(items, None, name)?;
    for (path, item) in items {
        let Some(item) = item.as_object() else { continue };
        check_members(item, Some(Path), path)?;
        for (method, part) in item {
            let place = format!("{method} {path}");
            match part.as_object() {
                Some(operation) if METHODS.contains(&method.as_str()) => {
                    check_members(operation, Some(Operation), &place)?;
                    for part in operation.values() {
                        check_below(part, &place, 0)?;
                    }
                }
                _ => check_below(part, &place, 0)?,
            }
        }
    }
    Ok(())
}

/// Refuses every key in a part of the document that has none. Values that can be of any form are not looked at.
fn check_below(value: &Value, place: &str, depth: usize) -> Result<(), DocumentError> {
    if depth > MAX_DEPTH {
        return Ok(());
    }
    match value {
        Value::Array(items) => items.iter().try_for_each(|item| check_below(item, place, depth + 1)),
        Value::Object(object) => {
            check_members(object, None, place)?;
            object.iter().try_for_each(|(name, value)| match (name.as_str(), value) {
                // Their members are named by the API.
                ("patternProperties" | "properties", Value::Object(schemas)) => {
                    schemas.values().try_for_each(|schema| check_below(schema, place, depth + 2))
                }
                (name, _) if FREE.contains(&name) || name.starts_with("x-") => Ok(()),
                (_, value) => check_below(value, place, depth + 1),
            })
        }
        _ => Ok(()),
    }
}

fn check_members(object: &Object, owner: Option<Owner>, place: &str) -> Result<(), DocumentError> {
    let is_key = |name: &&String| name.get(..PREFIX_OF_KEYS.len()).is_some_and(is_prefix_of_keys);
    for name in object.keys().filter(is_key) {
        let Some((_, owners)) = KEYS.iter().find(|(key, _)| key == name) else {
            let refused = format!("{} at {} is no key of Deputy", shorten(name), shorten(place));
            return Err(DocumentError::Key(refused));
        };
        if owner.is_none_or(|owner| !owners.contains(&owner)) {
            let refused = format!("{name} at {} belongs to {}", shorten(place), words(owners));
            return Err(DocumentError::Key(refused));
        }
    }
    Ok(())
}

fn is_prefix_of_keys(text: &str) -> bool {
    text.eq_ignore_ascii_case(PREFIX_OF_KEYS)
}

fn words(owners: &[Owner]) -> &'static str {
    match owners {
        [Document] => "the document",
        [Operation] => "an operation",
        _ => "an operation, a path or the document",
    }
}

const PREFIX_OF_KEYS: &str = "x-deputy-";
pub(crate) const API: &str = "x-deputy-api";
pub(crate) const INSTRUCTIONS: &str = "x-deputy-instructions";
pub(crate) const SCOPE_DESCRIPTIONS: &str = "x-deputy-scope-descriptions";

/// Members whose values can have members of any name.
const FREE: [&str; 7] = ["const", "default", "enum", "example", "examples", "mapping", "value"];
/// Nested objects that are looked at.
const MAX_DEPTH: usize = 200;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(document: &Value) -> String {
        check(document.as_object().unwrap()).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn key_that_would_decide_nothing_is_refused() {
        for (document, reason) in [
            (
                json!({ "paths": { "/a": { "delete": { "x-deputy-destuctive": false } } } }),
                "x-deputy-destuctive at delete /a is no key of Deputy",
            ),
            (json!({ "X-Deputy-Hide": true }), "X-Deputy-Hide at the document is no key of Deputy"),
            (json!({ "x-deputy-name": "a" }), "x-deputy-name at the document belongs to an operation"),
            (
                json!({ "paths": { "/a": { "x-deputy-destructive": true } } }),
                "x-deputy-destructive at /a belongs to an operation",
            ),
            (
                json!({ "paths": { "x-deputy-hide": true } }),
                "x-deputy-hide at paths belongs to an operation, a path or the document",
            ),
            (json!({ "info": { "x-deputy-api": "a" } }), "x-deputy-api at info belongs to the document"),
            (
                json!({ "paths": { "/a": { "get": { "responses": { "200": { "x-deputy-drop": ["a"] } } } } } }),
                "x-deputy-drop at get /a belongs to an operation, a path or the document",
            ),
            (
                json!({ "components": { "schemas": { "A": { "properties": { "b": { "x-deputy-hide": true } } } } } }),
                "x-deputy-hide at schemas belongs to an operation, a path or the document",
            ),
            (
                json!({ "components": { "pathItems": { "a": { "get": { "x-deputy-api": "a" } } } } }),
                "x-deputy-api at get a belongs to the document",
            ),
        ] {
            assert_eq!(refused(&document), format!("it has a key that would have no effect: {reason}"));
        }
    }

    #[test]
    fn key_at_its_place_and_any_value_of_the_api_are_accepted() {
        let operation = json!({ "x-deputy-name": "a", "x-deputy-drop": ["b"], "requestBody": { "content": { "application/json": {
            "example": { "x-deputy-none": 1 },
            "schema": { "properties": { "x-deputy-none": {} }, "default": { "x-deputy-none": 1 } },
        } } } });
        let item = json!({ "x-deputy-hide": true, "get": operation });
        let document = json!({
            "x-deputy-api": "a", "x-own": { "x-deputy-none": 1 },
            "paths": { "/a": item }, "components": { "pathItems": { "b": item } },
        });
        assert_eq!(refused(&document), "");
    }

    #[test]
    fn documentation_has_every_key_and_its_places() {
        let page = include_str!("../../../docs/your-api.md");
        for (key, owners) in KEYS {
            let places: Vec<_> =
                owners.iter().map(|owner| format!("{owner:?}").to_ascii_lowercase()).collect();
            let row = format!("| `{key}` | {} |", places.join(", "));
            assert!(page.contains(&row), "docs/your-api.md should have\n{row}");
        }
        let rows = page.lines().filter(|line| line.starts_with("| `x-deputy-")).count();
        assert_eq!(rows, KEYS.len());
    }
}
