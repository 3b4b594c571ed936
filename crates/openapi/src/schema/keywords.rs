//! Keywords of a schema, in the subset.

use serde_json::{Value, json};

use crate::document::{Object, clean, is_true, size, text_of};

/// The types of a schema, without `null`, and whether it accepts `null`. A schema without `type` has the type that its keywords
/// imply.
pub(super) fn types(schema: &Object) -> (Vec<&str>, bool) {
    let mut is_nullable = is_true(schema, "nullable");
    let mut types: Vec<&str> = match schema.get("type") {
        Some(Value::String(kind)) => vec![kind.as_str()],
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    is_nullable |= types.contains(&"null");
    let values = schema.get("enum").and_then(Value::as_array);
    is_nullable |= !schema.contains_key("type") && values.is_some_and(|values| values.contains(&Value::Null));
    let mut known = TYPES.to_vec();
    types.retain(|kind| {
        known.iter().position(|other| other == kind).map(|index| known.remove(index)).is_some()
    });
    if types.is_empty() && !schema.contains_key("type") {
        if schema.contains_key("properties") || schema.contains_key("additionalProperties") {
            types.push("object");
        } else if schema.contains_key("items") {
            types.push("array");
        }
    }
    (types, is_nullable)
}

/// Bytes of the keywords of a schema, without the schemas in it.
pub(super) fn own_size(schema: &Object) -> usize {
    let own = schema.iter().map(|(name, value)| match (name.as_str(), value) {
        ("allOf" | "anyOf" | "oneOf" | "prefixItems", Value::Array(schemas)) => schemas.len(),
        ("discriminator", value) | (_, value @ (Value::Array(_) | Value::String(_))) => size(value),
        (_, Value::Object(members)) => members.len(),
        _ => 0,
    });
    size_of::<Value>() * (schema.len() + 1) + own.sum::<usize>()
}

pub(super) fn or_null(mut schema: Value) -> Value {
    let nothing = json!({ "type": "null" });
    if let Some(Value::Array(branches)) = schema.get_mut("anyOf") {
        if !branches.contains(&nothing) {
            branches.push(nothing);
        }
        return schema;
    }
    let description = schema.as_object_mut().and_then(|schema| schema.remove("description"));
    let mut either = json!({ "anyOf": [schema, nothing] });
    if let Some(description) = description {
        either["description"] = description;
    }
    either
}

/// Copies the constraints that every provider accepts. Others are words of the description.
pub(super) fn constraints(
    schema: &Object,
    kind: Option<&str>,
    written: &mut Object,
    hints: &mut Vec<String>,
) {
    let names: &[&str] = match kind {
        Some("string") => &["minLength", "maxLength"],
        Some("number" | "integer") => &["minimum", "maximum"],
        Some("array") => &["minItems", "maxItems"],
        _ => &[],
    };
    for name in names {
        // A length is a whole number, and not negative.
        let is_bound =
            |bound: &Value| if name.ends_with("imum") { bound.is_number() } else { bound.is_u64() };
        if let Some(bound) = schema.get(*name).filter(|bound| is_bound(bound)) {
            written.insert((*name).to_owned(), bound.clone());
        }
    }
    for (name, bound, words) in
        [("exclusiveMinimum", "minimum", "More than"), ("exclusiveMaximum", "maximum", "Less than")]
    {
        let exclusive = match schema.get(name) {
            Some(Value::Number(number)) => Some(number.to_string()),
            // In 3.0 it is a boolean beside the bound.
            Some(Value::Bool(true)) => written.remove(bound).map(|bound| bound.to_string()),
            _ => None,
        };
        hints.extend(exclusive.map(|exclusive| format!("{words} {exclusive}.")));
    }
    if let Some(default) =
        schema.get("default").filter(|value| value.is_string() || value.is_number() || value.is_boolean())
        && kind.is_some_and(|kind| is_of_type(default, kind))
    {
        written.insert("default".to_owned(), default.clone());
    }
    if let Some(pattern) = text_of(schema, "pattern").filter(|_| kind == Some("string")) {
        hints.push(format!("Pattern: {}", clean(pattern, MAX_HINT)));
    }
    if let Some(format) =
        text_of(schema, "format").filter(|format| *format != "date-time" && kind == Some("string"))
    {
        hints.push(format!("Format: {}.", clean(format, 40)));
    }
}

/// Whether a value has a type of JSON Schema.
pub(crate) fn is_of_type(value: &Value, kind: &str) -> bool {
    match kind {
        "array" => value.is_array(),
        "boolean" => value.is_boolean(),
        "integer" => {
            value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|number| number.fract() == 0.0)
        }
        "null" => value.is_null(),
        "number" => value.is_number(),
        "object" => value.is_object(),
        "string" => value.is_string(),
        _ => true,
    }
}

/// A description, and hints after it.
pub(super) fn described(description: Option<&str>, hints: &[String]) -> String {
    let description = clean(description.unwrap_or_default(), MAX_DESCRIPTION);
    let parts = std::iter::once(description).chain(hints.iter().cloned());
    parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Strings stay an enumeration. Other values are words of the description.
pub(super) fn enumeration(
    schema: &Object,
    kind: Option<&str>,
    written: &mut Object,
    hints: &mut Vec<String>,
) {
    let constant = schema.get("const").map(std::slice::from_ref);
    let values = constant.or_else(|| schema.get("enum").and_then(Value::as_array).map(Vec::as_slice));
    let Some(values) = values else { return };
    let values: Vec<_> = values.iter().filter(|value| !value.is_null()).collect();
    if values.is_empty() {
        return;
    }
    if matches!(kind, None | Some("string")) && values.iter().all(|value| value.is_string()) {
        written.insert("type".to_owned(), "string".into());
        written.insert("enum".to_owned(), json!(values));
    } else {
        let all = values.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        hints.push(format!("One of {}.", clean(&all, MAX_HINT)));
    }
}

/// The values of the member that says which alternative a value is (OpenAPI §4.8.25, Discriminator Object). The alternatives
/// rarely declare them.
pub(super) fn discriminator(schema: &Object) -> Option<String> {
    let discriminator = schema.get("discriminator")?;
    let member = discriminator.get("propertyName")?.as_str()?;
    let mapped: Vec<&str> = if let Some(mapping) = discriminator.get("mapping").and_then(Value::as_object) {
        mapping.keys().map(String::as_str).collect()
    } else {
        let parts = ["anyOf", "oneOf"].into_iter().filter_map(|name| schema.get(name)?.as_array()).flatten();
        let references = parts.filter_map(|part| part.get("$ref")?.as_str());
        references.filter_map(|reference| reference.rsplit('/').next()).collect()
    };
    let all = mapped.iter().map(|name| json!(name).to_string()).collect::<Vec<_>>().join(", ");
    (!mapped.is_empty()).then(|| format!("{} is one of {}.", clean(member, 64), clean(&all, MAX_HINT)))
}

const TYPES: [&str; 6] = ["array", "boolean", "integer", "number", "object", "string"];

/// Characters of a description.
pub(super) const MAX_DESCRIPTION: usize = 500;
/// Characters of a hint in a description.
const MAX_HINT: usize = 200;
