//! Tools that send requests to the client during a call, as in MCP 2025-11-25 and earlier.
#![expect(deprecated, reason = "the suite tests sampling")]

use rmcp::{
    ErrorData,
    handler::server::wrapper::Parameters,
    model::{ClientCapabilities, ContentBlock, ElicitResult, SamplingMessageContentBlock},
    tool, tool_router,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{Context, Fixture, input, reports::failed};

/// The arguments of `test_elicitation`.
#[derive(Deserialize, JsonSchema)]
struct Elicitation {
    /// The message to the user.
    message: String,
}

/// The arguments of `test_sampling`.
#[derive(Deserialize, JsonSchema)]
struct Sampling {
    /// The message to the model.
    prompt: String,
}

#[tool_router(router = client_requests, vis = "pub(crate)")]
impl Fixture {
    #[tool(description = "Sends a prompt to the client's model.")]
    async fn test_sampling(
        Parameters(Sampling { prompt }): Parameters<Sampling>,
        context: Context,
    ) -> Result<String, ErrorData> {
        let message = context.peer.create_message(input::prompt(&prompt, 100)).await.map_err(failed)?.message;
        let text = message.content.first().and_then(SamplingMessageContentBlock::as_text);
        Ok(format!("LLM response: {}", text.map_or("nothing", |text| &text.text)))
    }

    #[tool(description = "Asks the user for a name and an email address.")]
    async fn test_elicitation(
        Parameters(Elicitation { message }): Parameters<Elicitation>,
        context: Context,
    ) -> Result<String, ErrorData> {
        let schema = json!({
            "type": "object",
            "properties": {
                "username": { "type": "string", "description": "User's response" },
                "email": { "type": "string", "description": "User's email address" },
            },
            "required": ["username", "email"],
        });
        Ok(format!("User response: {}", elicit(&context, &message, schema).await?))
    }

    #[tool(description = "Asks the user with a form that has default values.")]
    async fn test_elicitation_sep1034_defaults(context: Context) -> Result<String, ErrorData> {
        let schema = json!({
            "type": "object",
            "properties": {
                "name": { "type": "string", "default": "John Doe" },
                "age": { "type": "integer", "default": 30 },
                "score": { "type": "number", "default": 95.5 },
                "status": { "type": "string", "enum": ["active", "inactive", "pending"], "default": "active" },
                "verified": { "type": "boolean", "default": true },
            },
        });
        Ok(format!("Elicitation completed: {}", elicit(&context, "Is this right?", schema).await?))
    }

    #[tool(description = "Asks the user to choose, in each way that a form has.")]
    async fn test_elicitation_sep1330_enums(context: Context) -> Result<String, ErrorData> {
        let options = json!(["option1", "option2", "option3"]);
        let titled = json!([
            { "const": "value1", "title": "First" },
            { "const": "value2", "title": "Second" },
            { "const": "value3", "title": "Third" },
        ]);
        let schema = json!({
            "type": "object",
            "properties": {
                "untitledSingle": { "type": "string", "enum": options },
                "titledSingle": { "type": "string", "oneOf": titled },
                "legacyEnum": {
                    "type": "string",
                    "enum": ["opt1", "opt2", "opt3"],
                    "enumNames": ["Option One", "Option Two", "Option Three"],
                },
                "untitledMulti": { "type": "array", "items": { "type": "string", "enum": options } },
                "titledMulti": { "type": "array", "items": { "anyOf": titled } },
            },
        });
        Ok(format!("Elicitation completed: {}", elicit(&context, "Please choose.", schema).await?))
    }

    #[tool(description = "Needs a client that can sample.")]
    fn test_missing_capability(context: Context) -> Result<ContentBlock, ErrorData> {
        if context.client_capabilities().is_some_and(|capabilities| capabilities.sampling.is_some()) {
            return Ok(ContentBlock::text("The client can sample."));
        }
        let required = ClientCapabilities::builder().enable_sampling().build();
        Err(ErrorData::missing_required_client_capability(required))
    }
}

/// Shows a form to the user, and returns the user's action and the content as text.
async fn elicit(context: &Context, message: &str, schema: Value) -> Result<String, ErrorData> {
    let form = input::form(message, schema)?;
    let ElicitResult { action, content, .. } = context.peer.create_elicitation(form).await.map_err(failed)?;
    Ok(format!("action={action:?}, content={}", content.unwrap_or_default()))
}
