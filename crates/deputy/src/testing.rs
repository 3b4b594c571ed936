//! Checks of tools, for the tests of a crate with tools and for `deputy tools`.

use serde::Serialize;
use serde_json::{Map, Value};

/// The parts of a tool that the provider of some model refuses, each as a path and a reason. Clients pass the schemas of
/// tools on to models, and each provider has its own dialect of JSON Schema. `tool` is an rmcp `Tool`, or an entry of the
/// response to `tools/list`.
///
/// A tool without problems has a name and schemas that `OpenAI`, Anthropic and Gemini accept as they are.
///
/// ```
/// use serde_json::json;
///
/// let tool = json!({
///     "name": "greet",
///     "inputSchema": { "type": "object", "properties": { "name": { "type": ["string", "null"] } } },
/// });
/// assert_eq!(
///     deputy::testing::tool_problems(&tool),
///     ["greet: inputSchema.properties.name.type must be one type; leave an absent value out instead of null"]
/// );
/// ```
#[must_use]
pub fn tool_problems(tool: &impl Serialize) -> Vec<String> {
    let tool = serde_json::to_value(tool).unwrap_or_default();
    let name = tool.get("name").and_then(Value::as_str).unwrap_or_default();
    let mut problems = Problems { tool: name, found: Vec::new() };
    if !is_tool_name(name) {
        problems.add("name", "must be 1 to 64 letters, digits, _ or -, and begin with a letter or _");
    }
    for member in ["inputSchema", "outputSchema"] {
        match tool.get(member) {
            None if member == "outputSchema" => {}
            Some(Value::Object(schema)) => problems.of_root(member, schema),
            None | Some(_) => problems.add(member, "must be a schema"),
        }
    }
    problems.found
}

/// Whether every provider accepts this name of a tool.
#[must_use]
pub fn is_tool_name(name: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    (1..=64).contains(&name.len())
        && name.bytes().all(known)
        && !name.starts_with(|first: char| first.is_ascii_digit() || first == '-')
}

struct Problems<'a> {
    tool: &'a str,
    found: Vec<String>,
}

impl Problems<'_> {
    fn add(&mut self, path: &str, reason: &str) {
        self.found.push(format!("{}: {path} {reason}", self.tool));
    }

    fn of_root(&mut self, path: &str, schema: &Map<String, Value>) {
        if schema.get("type").and_then(Value::as_str) != Some("object") || schema.contains_key("anyOf") {
            self.add(path, "must be one object, without alternatives");
        }
        self.of_schema(path, schema);
    }

    fn of_schema(&mut self, path: &str, schema: &Map<String, Value>) {
        for keyword in schema.keys().filter(|keyword| REFUSED.contains(&keyword.as_str())) {
            self.add(&format!("{path}.{keyword}"), "is not known to every model");
        }
        let kind = schema.get("type");
        match kind {
            Some(Value::String(_)) => {}
            Some(_) => self
                .add(&format!("{path}.type"), "must be one type; leave an absent value out instead of null"),
            None if schema.contains_key("anyOf") => {}
            None => self.add(path, "must have a type"),
        }
        if schema.get("format").is_some_and(|format| !FORMATS.iter().any(|known| format == known)) {
            self.add(&format!("{path}.format"), "must be date-time, double, float, int32 or int64");
        }
        if schema.get("additionalProperties").is_some_and(|other| *other != Value::Bool(false)) {
            self.add(&format!("{path}.additionalProperties"), "must be false or absent");
        }
        let is_text = |values: &Vec<Value>| !values.is_empty() && values.iter().all(Value::is_string);
        if schema.get("enum").is_some_and(|values| !values.as_array().is_some_and(is_text)) {
            self.add(&format!("{path}.enum"), "must be a list of strings");
        }
        match schema.get("items") {
            Some(items) => self.of_nested(&format!("{path}.items"), items),
            None if kind.is_some_and(|kind| kind == "array") => self.add(path, "must have items"),
            None => {}
        }
        for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            self.of_nested(&format!("{path}.properties.{name}"), property);
        }
        for (place, choice) in schema.get("anyOf").and_then(Value::as_array).into_iter().flatten().enumerate()
        {
            self.of_nested(&format!("{path}.anyOf.{place}"), choice);
        }
    }

    fn of_nested(&mut self, path: &str, schema: &Value) {
        match schema {
            Value::Object(schema) => self.of_schema(path, schema),
            _ => self.add(path, "must be a schema"),
        }
    }
}

/// Keywords that Gemini does not know, or that `OpenAI` does not.
const REFUSED: [&str; 22] = [
    "$defs",
    "$ref",
    "allOf",
    "const",
    "contains",
    "definitions",
    "dependentRequired",
    "dependentSchemas",
    "else",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "if",
    "multipleOf",
    "not",
    "oneOf",
    "patternProperties",
    "prefixItems",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
    "uniqueItems",
];

/// The formats that Gemini knows.
const FORMATS: [&str; 5] = ["date-time", "double", "float", "int32", "int64"];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn schema_beyond_a_dialect_is_a_problem_with_its_path() {
        for (schema, problem) in [
            (
                json!({ "type": ["string", "null"] }),
                ".type must be one type; leave an absent value out instead of null",
            ),
            (json!({ "$ref": "#/$defs/x", "type": "object" }), ".$ref is not known to every model"),
            (
                json!({ "type": "integer", "format": "uint64" }),
                ".format must be date-time, double, float, int32 or int64",
            ),
            (
                json!({ "type": "string", "format": "uri" }),
                ".format must be date-time, double, float, int32 or int64",
            ),
            (json!({ "type": "array" }), " must have items"),
            (json!({ "type": "array", "items": true }), ".items must be a schema"),
            (json!({ "type": "integer", "enum": [1] }), ".enum must be a list of strings"),
            (
                json!({ "type": "object", "additionalProperties": {} }),
                ".additionalProperties must be false or absent",
            ),
            (json!({ "anyOf": [{ "type": "string" }, {}] }), ".anyOf.1 must have a type"),
            (json!({}), " must have a type"),
            (json!(true), " must be a schema"),
        ] {
            let input = json!({ "type": "object", "properties": { "it": schema } });
            let found = tool_problems(&json!({ "name": "t", "inputSchema": input }));
            assert_eq!(found, [format!("t: inputSchema.properties.it{problem}")], "{schema}");
        }
    }

    #[test]
    fn tool_with_a_foreign_name_or_root_is_a_problem() {
        let object = json!({ "type": "object" });
        for name in ["", "a.b", "1st", "-x", "ä", &"x".repeat(65)] {
            let found = tool_problems(&json!({ "name": name, "inputSchema": object }));
            assert!(found.len() == 1 && found[0].contains(": name must be"), "{found:?}");
        }
        for root in
            [json!({ "type": "string" }), json!({ "type": "object", "anyOf": [{ "type": "object" }] })]
        {
            let found = tool_problems(&json!({ "name": "t", "inputSchema": root }));
            assert_eq!(found, ["t: inputSchema must be one object, without alternatives"]);
        }
        assert_eq!(tool_problems(&json!({ "name": "t" })), ["t: inputSchema must be a schema"]);
    }

    #[test]
    fn schema_in_every_dialect_is_no_problem() {
        let input = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "additionalProperties": false,
            "required": ["id"],
            "properties": {
                "id": { "type": "string", "minLength": 1, "pattern": "^[a-z]+$", "description": "The id.", "x-mcp-header": "Id" },
                "when": { "type": "string", "format": "date-time" },
                "kind": { "anyOf": [{ "type": "string", "enum": ["a", "b"] }, { "type": "integer", "minimum": 0 }] },
                "names": { "type": "array", "items": { "type": "string" }, "maxItems": 5 },
            },
        });
        assert_eq!(tool_problems(&json!({ "name": "get_it-2", "inputSchema": input })), Vec::<String>::new());
    }
}
