//! Schemas that stand for another one.

use serde_json::Value;

use crate::{
    document::{Document, Object},
    refusal::Refusal,
};

/// The schema that `schema` is, or stands for.
pub(crate) fn resolved<'a>(document: &'a Document, schema: &'a Value) -> Result<&'a Value, Refusal> {
    let mut schema = schema;
    for _ in 0..MAX_ALIASES {
        match schema.as_object().and_then(alias) {
            Some(reference) => schema = document.target(reference)?,
            None => return Ok(schema),
        }
    }
    Err(Refusal::Cycle)
}

/// The reference that a schema stands for: `$ref`, or the only part of `allOf`, with annotations beside it.
pub(super) fn alias(schema: &Object) -> Option<&str> {
    let own = schema.get("$ref");
    let parts = schema.get("allOf").and_then(Value::as_array);
    let reference = match (own, parts.map(Vec::as_slice)) {
        (Some(reference), None) => reference,
        (None, Some([Value::Object(part)])) if part.len() == 1 => part.get("$ref")?,
        _ => return None,
    };
    let is_annotation = |name: &String| ANNOTATIONS.contains(&name.as_str()) || name.starts_with("x-");
    reference.as_str().filter(|_| schema.keys().all(is_annotation))
}

/// Keywords beside a reference that leave its schema as it is. A `type` repeats that of the schema.
const ANNOTATIONS: [&str; 14] = [
    "$comment",
    "$ref",
    "allOf",
    "default",
    "deprecated",
    "description",
    "example",
    "examples",
    "externalDocs",
    "nullable",
    "readOnly",
    "title",
    "type",
    "writeOnly",
];

/// References from one schema to the next.
const MAX_ALIASES: usize = 100;
