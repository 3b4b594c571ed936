//! `allOf`: several schemas as one.

use serde_json::{Value, json};

use crate::{
    document::{Document, Object},
    refusal::Refusal,
};

/// The schema that has the members of `schema`, of the target of its `$ref`, and of all parts of its `allOf`, without these two.
///
/// Properties and required names are united. For every other keyword the first schema that has it counts, with `schema` itself
/// before its parts. `nullable` counts in `schema` itself only.
pub(super) fn merged(document: &Document, schema: &Object) -> Result<Object, Refusal> {
    let mut merged = schema.clone();
    let mut left = MAX_PARTS;
    if let Some(reference) = merged.remove("$ref") {
        add(document, &mut merged, &[json!({ "$ref": reference })], &mut left)?;
    }
    if let Some(Value::Array(parts)) = merged.remove("allOf") {
        add(document, &mut merged, &parts, &mut left)?;
    }
    Ok(merged)
}

fn add(document: &Document, merged: &mut Object, parts: &[Value], left: &mut usize) -> Result<(), Refusal> {
    for part in parts {
        *left = left.checked_sub(1).ok_or(Refusal::Cycle)?;
        if part.is_boolean() {
            continue;
        }
        let part = document.object(part)?;
        if let Some(inner) = part.get("allOf").and_then(Value::as_array) {
            add(document, merged, inner, left)?;
        }
        for (name, value) in part {
            match (name.as_str(), merged.get_mut(name), value) {
                ("allOf" | "nullable", _, _) => {}
                ("properties", Some(Value::Object(properties)), Value::Object(more)) => {
                    for (name, property) in more {
                        properties.entry(name.clone()).or_insert_with(|| property.clone());
                    }
                }
                ("required", Some(Value::Array(names)), Value::Array(more)) => {
                    names.extend(more.iter().cloned());
                }
                (_, None, _) => {
                    merged.insert(name.clone(), value.clone());
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// Schemas in `allOf`, however deep. References in a circle reach it.
const MAX_PARTS: usize = 200;
