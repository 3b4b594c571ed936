//! Tools that ask the client while it waits, as revisions with a handshake have it.
#![expect(deprecated, reason = "the suite lets tools ask for sampling")]

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

/// `test_elicitation`.
#[derive(Deserialize, JsonSchema)]
struct Elicitation {
    /// What the person is told.
    message: String,
}

/// `test_sampling`.
#[derive(Deserialize, JsonSchema)]
struct Sampling {
    /// What the model is told.
    prompt: String,
}

#[tool_router(router = asking, vis = "pub(crate)")]
impl Fixture {
    #[tool(description = "Asks the client's model.")]
    async fn test_sampling(
        Parameters(Sampling { prompt }): Parameters<Sampling>,
        context: Context,
    ) -> Result<String, ErrorData> {
        let message = context.peer.create_message(input::prompt(&prompt, 100)).await.map_err(failed)?.message;
        let text = message.content.first().and_then(SamplingMessageContentBlock::as_text);
        Ok(format!("LLM response: {}", text.map_or("nothing", |text| &text.text)))
    }

    #[tool(description = "Asks the person for a name and an address.")]
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

    #[tool(description = "Asks the person with a form that is filled in already.")]
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

    #[tool(description = "Asks the person to choose, in every way a form can.")]
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
        if context.client_capabilities().is_some_and(|able| able.sampling.is_some()) {
            return Ok(ContentBlock::text("The client can sample."));
        }
        let required = ClientCapabilities::builder().enable_sampling().build();
        Err(ErrorData::missing_required_client_capability(required))
    }
}

/// What the person did with a form, in words.
async fn elicit(context: &Context, message: &str, schema: Value) -> Result<String, ErrorData> {
    let form = input::form(message, schema)?;
    let ElicitResult { action, content, .. } = context.peer.create_elicitation(form).await.map_err(failed)?;
    Ok(format!("action={action:?}, content={}", content.unwrap_or_default()))
}
