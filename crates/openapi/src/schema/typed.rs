//! Schemas for models that want a type at each place.

use serde_json::{Value, json};

/// The schema with a type at each place. A place without one accepts every value.
pub(crate) fn with_types(schema: &mut Value) {
    let Some(members) = schema.as_object_mut() else { return };
    for name in ["items", "properties", "$defs", "anyOf", "allOf"] {
        match members.get_mut(name) {
            Some(Value::Array(schemas)) => schemas.iter_mut().for_each(with_types),
            Some(Value::Object(schemas)) if name != "items" => schemas.values_mut().for_each(with_types),
            Some(schema) => with_types(schema),
            None => {}
        }
    }
    if !["type", "anyOf", "allOf", "$ref"].iter().any(|name| members.contains_key(*name)) {
        let kinds = ["string", "number", "boolean", "object"].map(|kind| json!({ "type": kind }));
        members.insert("anyOf".to_owned(), json!(kinds));
    }
}
