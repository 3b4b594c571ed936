//! Tools whose input schemas must reach the client unchanged.

use std::sync::Arc;

use rmcp::{handler::server::wrapper::Parameters, model::JsonObject, tool, tool_router};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::Fixture;

/// The arguments of `test_x_mcp_header`.
#[derive(Deserialize, JsonSchema)]
struct Query {
    /// The region of the query. A proxy between client and server could route by its header.
    #[schemars(extend("x-mcp-header" = "Region"))]
    region: String,
    /// The number of rows to return.
    #[serde(default)]
    #[schemars(extend("x-mcp-header" = "Limit"))]
    limit: Option<i64>,
}

#[tool_router(router = schemas, vis = "pub(crate)")]
impl Fixture {
    #[tool(description = "Tool with JSON Schema 2020-12 features", input_schema = contact())]
    fn json_schema_2020_12_tool(arguments: JsonObject) -> String {
        format!("Got {} arguments.", arguments.len())
    }

    #[tool(description = "Repeats the arguments that headers of the request repeat too.")]
    fn test_x_mcp_header(Parameters(Query { region, limit }): Parameters<Query>) -> String {
        format!("region={region}, limit={limit:?}")
    }
}

/// A schema with keywords that libraries tend to drop (JSON Schema 2020-12 §8.2, §10.2).
fn contact() -> Arc<JsonObject> {
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": {
            "address": {
                "$anchor": "addressDef",
                "type": "object",
                "properties": { "street": { "type": "string" }, "city": { "type": "string" } },
            },
        },
        "properties": {
            "name": { "type": "string" },
            "address": { "$ref": "#/$defs/address" },
            "contactMethod": { "type": "string", "enum": ["phone", "email"] },
            "phone": { "type": "string" },
            "email": { "type": "string" },
        },
        "allOf": [{ "anyOf": [{ "required": ["phone"] }, { "required": ["email"] }] }],
        "if": { "properties": { "contactMethod": { "const": "phone" } }, "required": ["contactMethod"] },
        "then": { "required": ["phone"] },
        "else": { "required": ["email"] },
        "additionalProperties": false,
    });
    match schema {
        Value::Object(schema) => Arc::new(schema),
        _ => Arc::default(),
    }
}
