//! Tools that request input in their result and are called again with it (MCP 2026-07-28, Multi Round-Trip Requests).

use rmcp::{
    ErrorData,
    handler::server::tool::{InputResponses, RequestState},
    model::{CallToolResponse, CallToolResult, ContentBlock},
    tool, tool_router,
};

use crate::{
    Context, Fixture,
    input::{Replies, Requests},
};

type Round = Result<CallToolResponse, ErrorData>;

#[tool_router(router = rounds, vis = "pub(crate)")]
impl Fixture {
    #[tool(description = "Asks the user for a name.")]
    fn test_input_required_result_elicitation(responses: InputResponses) -> Round {
        match Replies::new(responses).field::<String>("user_name", "name") {
            Some(name) => text(format!("Hello, {name}!")),
            None => ask(name("user_name", "What is your name?")?, None),
        }
    }

    #[tool(description = "Asks the client's model for a capital.")]
    fn test_input_required_result_sampling(responses: InputResponses) -> Round {
        if let Some(capital) = Replies::new(responses).text("capital_question") {
            return text(capital);
        }
        let question = "What is the capital of France?";
        ask(Requests::default().prompt("capital_question", question, 100), None)
    }

    #[tool(description = "Asks the client for its roots.")]
    fn test_input_required_result_list_roots(responses: InputResponses) -> Round {
        match Replies::new(responses).roots("client_roots") {
            Some(roots) => text(format!("The roots are {roots:?}.")),
            None => ask(Requests::default().roots("client_roots"), None),
        }
    }

    #[tool(description = "Asks for a confirmation, and checks the state that comes back.")]
    fn test_input_required_result_request_state(responses: InputResponses, state: RequestState) -> Round {
        confirm(responses, state, "state-ok")
    }

    #[tool(description = "Asks for a confirmation, and refuses it with a changed state.")]
    fn test_input_required_result_tampered_state(responses: InputResponses, state: RequestState) -> Round {
        confirm(responses, state, "Confirmed.")
    }

    #[tool(description = "Asks for a name, a greeting and the client's roots at once.")]
    fn test_input_required_result_multiple_inputs(responses: InputResponses) -> Round {
        let replies = Replies::new(responses);
        let given = replies.field::<String>("user_name", "name");
        if let (Some(name), Some(greeting), Some(roots)) =
            (given, replies.text("greeting"), replies.roots("client_roots"))
        {
            return text(format!("{greeting} {name}, {roots:?}"));
        }
        let requests = name("user_name", "What is your name?")?;
        let requests = requests.prompt("greeting", "Generate a greeting", 50).roots("client_roots");
        ask(requests, Some("asked for three".to_owned()))
    }

    #[tool(description = "Asks for a name, then for a color.")]
    fn test_input_required_result_multi_round(
        responses: InputResponses,
        RequestState(state): RequestState,
    ) -> Round {
        let replies = Replies::new(responses);
        let named = state.as_deref().and_then(|state| state.strip_prefix("name: "));
        if let (Some(name), Some(color)) = (named, replies.field::<String>("step2", "color")) {
            return text(format!("{name} likes {color}."));
        }
        match replies.field::<String>("step1", "name") {
            Some(name) if state.is_some() => {
                let question = "Step 2: What is your favorite color?";
                let requests = Requests::default().field("step2", question, "color", "string")?;
                ask(requests, Some(format!("name: {name}")))
            }
            _ => ask(name("step1", "Step 1: What is your name?")?, Some("asked for the name".to_owned())),
        }
    }

    #[tool(description = "Asks for everything that the client supports.")]
    fn test_input_required_result_capabilities(context: Context, responses: InputResponses) -> Round {
        let capabilities = context.client_capabilities().unwrap_or_default();
        let mut requests = Requests::default();
        if capabilities.elicitation.is_some() {
            requests = requests.field("user_name", "What is your name?", "name", "string")?;
        }
        if capabilities.sampling.is_some() {
            requests = requests.prompt("greeting", "Generate a greeting", 50);
        }
        if capabilities.roots.is_some() {
            requests = requests.roots("client_roots");
        }
        match responses {
            InputResponses(Some(_)) => text("The client replied."),
            InputResponses(None) if requests.is_empty() => text("The client supports no requests."),
            InputResponses(None) => ask(requests, None),
        }
    }

    #[tool(description = "Asks the user, in the result even where a stream could carry the request.")]
    fn test_streaming_elicitation(responses: InputResponses) -> Round {
        Self::test_input_required_result_elicitation(responses)
    }
}

/// Asks for a confirmation, and returns `done` once the user has confirmed and the state is the expected one. Deputy
/// refuses states that a client has made up.
fn confirm(responses: InputResponses, RequestState(state): RequestState, done: &str) -> Round {
    let confirmed = Replies::new(responses).field("confirm", "ok") == Some(true);
    if confirmed && state.as_deref() == Some(UNCONFIRMED) {
        return text(done);
    }
    let requests = Requests::default().field("confirm", "Please confirm", "ok", "boolean")?;
    ask(requests, Some(UNCONFIRMED.to_owned()))
}

fn name(question: &str, message: &str) -> Result<Requests, ErrorData> {
    Requests::default().field(question, message, "name", "string")
}

#[expect(clippy::unnecessary_wraps, reason = "the return type of the tools")]
fn ask(requests: Requests, state: Option<String>) -> Round {
    Ok(requests.ask(state).into())
}

#[expect(clippy::unnecessary_wraps, reason = "the return type of the tools")]
fn text(text: impl Into<String>) -> Round {
    Ok(CallToolResult::success(vec![ContentBlock::text(text)]).into())
}

const UNCONFIRMED: &str = "asked for a confirmation";
