//! Schemas for models that want a type at each place.

use serde_json::{Value, json};

use super::FOREIGN;

/// The schema with a type at each place, and without the keyword of this crate. A place without a type accepts every value.
pub(crate) fn with_types(schema: &mut Value) {
    let Some(members) = schema.as_object_mut() else { return };
    members.remove(FOREIGN);
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
