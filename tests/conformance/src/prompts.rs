//! Prompts, and completions for their arguments.

use rmcp::{
    ErrorData,
    model::{
        CompleteRequestParams, CompleteResult, CompletionInfo, ContentBlock, GetPromptRequestParams,
        GetPromptResponse, GetPromptResult, Prompt, PromptArgument, PromptMessage, ResourceContents, Role,
    },
};
use serde_json::Value;

use crate::{
    input::{Replies, Requests},
    media::PNG,
};

/// All prompts.
pub(crate) fn list() -> Vec<Prompt> {
    let required = |name: &str, text: &str| {
        PromptArgument::new(name.to_owned()).with_description(text.to_owned()).with_required(true)
    };
    vec![
        Prompt::new(INPUT_REQUIRED, Some("Asks the user for context."), None),
        Prompt::new(
            WITH_ARGUMENTS,
            Some("Repeats its arguments."),
            Some(vec![required("arg1", "First test argument"), required("arg2", "Second test argument")]),
        ),
        Prompt::new(
            WITH_EMBEDDED_RESOURCE,
            Some("Embeds a resource."),
            Some(vec![required("resourceUri", "URI of the resource to embed")]),
        ),
        Prompt::new(WITH_IMAGE, Some("Shows an image."), None),
        Prompt::new(SIMPLE, Some("Has one sentence."), None),
    ]
}

/// The messages of a prompt, or a request for input.
pub(crate) fn get(params: GetPromptRequestParams) -> Result<GetPromptResponse, ErrorData> {
    let messages = match params.name.as_str() {
        INPUT_REQUIRED => return with_input(params),
        SIMPLE => vec![text("This is a simple prompt for testing.")],
        WITH_ARGUMENTS => {
            let (arg1, arg2) = (argument(&params, "arg1")?, argument(&params, "arg2")?);
            vec![text(&format!("Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"))]
        }
        WITH_EMBEDDED_RESOURCE => {
            let uri = argument(&params, "resourceUri")?;
            let resource = ResourceContents::text("Embedded resource content for testing.", uri);
            vec![user(ContentBlock::resource(resource)), text("Please process the embedded resource above.")]
        }
        WITH_IMAGE => {
            vec![user(ContentBlock::image(PNG, "image/png")), text("Please analyze the image above.")]
        }
        _ => return Err(ErrorData::invalid_params("there is no such prompt", None)),
    };
    Ok(GetPromptResult::new(messages).into())
}

/// Completions for an argument of any prompt or resource.
pub(crate) fn complete(params: CompleteRequestParams) -> Result<CompleteResult, ErrorData> {
    let prefix = params.argument.value;
    let values = SUGGESTIONS.iter().filter(|word| word.starts_with(&prefix)).map(|word| (*word).to_owned());
    let info = CompletionInfo::with_all_values(values.collect())
        .map_err(|error| ErrorData::internal_error(error, None))?;
    Ok(CompleteResult::new(info))
}

/// A prompt that asks the user first (MCP 2026-07-28, Multi Round-Trip Requests).
fn with_input(params: GetPromptRequestParams) -> Result<GetPromptResponse, ErrorData> {
    let replies = Replies::of(params.input_responses);
    if let Some(context) = replies.field::<String>("user_context", "context") {
        return Ok(GetPromptResult::new(vec![text(&format!("Use this: {context}"))]).into());
    }
    let question = "What context should the prompt use?";
    let requests = Requests::default().field("user_context", question, "context", "string")?;
    Ok(requests.ask(None).into())
}

fn argument<'a>(params: &'a GetPromptRequestParams, name: &str) -> Result<&'a str, ErrorData> {
    let argument = params.arguments.as_ref().and_then(|arguments| arguments.get(name));
    argument
        .and_then(Value::as_str)
        .ok_or_else(|| ErrorData::invalid_params(format!("the argument {name} is missing"), None))
}

fn text(text: &str) -> PromptMessage {
    user(ContentBlock::text(text))
}

fn user(content: ContentBlock) -> PromptMessage {
    PromptMessage::new(Role::User, content)
}

const INPUT_REQUIRED: &str = "test_input_required_result_prompt";
const SIMPLE: &str = "test_simple_prompt";
const WITH_ARGUMENTS: &str = "test_prompt_with_arguments";
const WITH_EMBEDDED_RESOURCE: &str = "test_prompt_with_embedded_resource";
const WITH_IMAGE: &str = "test_prompt_with_image";
const SUGGESTIONS: [&str; 4] = ["paris", "park", "party", "test"];
