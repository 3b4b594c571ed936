//! `allOf`: several schemas as one.

use serde_json::Value;

use crate::{
    document::{Document, Object, size},
    refusal::Refusal,
};

/// The schema that has the members of `schema`, of the target of its `$ref`, and of all parts of its `allOf`, without these two.
///
/// Properties and required names are united. For every other keyword the first schema that has it counts, with `schema` itself
/// before its parts. `nullable` counts in `schema` itself only.
pub(super) fn merged(document: &Document, schema: &Object) -> Result<Object, Refusal> {
    let mut merged = Object::new();
    merged.extend(schema.get_key_value("nullable").map(|(name, value)| (name.clone(), value.clone())));
    let mut left = MAX_PARTS;
    add(document, &mut merged, schema, &mut left)?;
    Ok(merged)
}

fn add(document: &Document, merged: &mut Object, schema: &Object, left: &mut usize) -> Result<(), Refusal> {
    *left = left.checked_sub(1).ok_or(Refusal::Cycle)?;
    for (name, value) in schema {
        match (name.as_str(), merged.get_mut(name), value) {
            ("$ref" | "allOf" | "nullable", _, _) => {}
            ("properties", Some(Value::Object(properties)), Value::Object(more)) => {
                for (name, property) in more {
                    document.take(size(property))?;
                    properties.entry(name.clone()).or_insert_with(|| property.clone());
                }
            }
            ("required", Some(Value::Array(names)), Value::Array(more)) => {
                names.extend(more.iter().cloned());
            }
            (_, None, _) => {
                document.take(size(value))?;
                merged.insert(name.clone(), value.clone());
            }
            _ => {}
        }
    }
    let target = match schema.get("$ref") {
        Some(Value::String(reference)) => Some(document.target(reference)?),
        Some(_) => return Err(Refusal::Malformed("a `$ref` is not a text")),
        None => None,
    };
    let parts = schema.get("allOf").and_then(Value::as_array).into_iter().flatten();
    for part in target.into_iter().chain(parts).filter(|part| !part.is_boolean()) {
        let part = part.as_object().ok_or(Refusal::Malformed("a schema is not an object"))?;
        add(document, merged, part, left)?;
    }
    Ok(())
}

/// Schemas in `allOf`, however deep. References in a circle reach it.
const MAX_PARTS: usize = 200;
