//! Tools that ask for input in their result and are called again with it (MCP 2026-07-28, Multi Round-Trip Requests).

use rmcp::{
    ErrorData,
    handler::server::tool::{InputResponses, RequestState},
    model::{CallToolResponse, CallToolResult, ContentBlock},
    tool, tool_router,
};

use crate::{
    Context, Fixture,
    input::{Answers, Questions},
};

type Round = Result<CallToolResponse, ErrorData>;

#[tool_router(router = rounds, vis = "pub(crate)")]
impl Fixture {
    #[tool(description = "Asks the person for a name.")]
    fn test_input_required_result_elicitation(responses: InputResponses) -> Round {
        match Answers::new(responses).field::<String>("user_name", "name") {
            Some(name) => text(format!("Hello, {name}!")),
            None => ask(name("user_name", "What is your name?")?, None),
        }
    }

    #[tool(description = "Asks the client's model for a capital.")]
    fn test_input_required_result_sampling(responses: InputResponses) -> Round {
        if let Some(answer) = Answers::new(responses).text("capital_question") {
            return text(answer);
        }
        let question = "What is the capital of France?";
        ask(Questions::default().prompt("capital_question", question, 100), None)
    }

    #[tool(description = "Asks the client for its roots.")]
    fn test_input_required_result_list_roots(responses: InputResponses) -> Round {
        match Answers::new(responses).roots("client_roots") {
            Some(roots) => text(format!("The roots are {roots:?}.")),
            None => ask(Questions::default().roots("client_roots"), None),
        }
    }

    #[tool(description = "Asks for a confirmation, and looks at what it gave the client to keep.")]
    fn test_input_required_result_request_state(responses: InputResponses, state: RequestState) -> Round {
        confirm(responses, state, "state-ok")
    }

    #[tool(description = "Asks for a confirmation, and does not take it with an altered state.")]
    fn test_input_required_result_tampered_state(responses: InputResponses, state: RequestState) -> Round {
        confirm(responses, state, "Confirmed.")
    }

    #[tool(description = "Asks for a name, a greeting and the client's roots at once.")]
    fn test_input_required_result_multiple_inputs(responses: InputResponses) -> Round {
        let answers = Answers::new(responses);
        let given = answers.field::<String>("user_name", "name");
        if let (Some(name), Some(greeting), Some(roots)) =
            (given, answers.text("greeting"), answers.roots("client_roots"))
        {
            return text(format!("{greeting} {name}, {roots:?}"));
        }
        let questions = name("user_name", "What is your name?")?;
        let questions = questions.prompt("greeting", "Generate a greeting", 50).roots("client_roots");
        ask(questions, Some("asked for three".to_owned()))
    }

    #[tool(description = "Asks for a name, then for a colour.")]
    fn test_input_required_result_multi_round(
        responses: InputResponses,
        RequestState(state): RequestState,
    ) -> Round {
        let answers = Answers::new(responses);
        let named = state.as_deref().and_then(|state| state.strip_prefix("name: "));
        if let (Some(name), Some(color)) = (named, answers.field::<String>("step2", "color")) {
            return text(format!("{name} likes {color}."));
        }
        match answers.field::<String>("step1", "name") {
            Some(name) if state.is_some() => {
                let question = "Step 2: What is your favorite color?";
                let questions = Questions::default().field("step2", question, "color", "string")?;
                ask(questions, Some(format!("name: {name}")))
            }
            _ => ask(name("step1", "Step 1: What is your name?")?, Some("asked for the name".to_owned())),
        }
    }

    #[tool(description = "Asks for whatever the client can answer.")]
    fn test_input_required_result_capabilities(context: Context, responses: InputResponses) -> Round {
        let able = context.client_capabilities().unwrap_or_default();
        let mut questions = Questions::default();
        if able.elicitation.is_some() {
            questions = questions.field("user_name", "What is your name?", "name", "string")?;
        }
        if able.sampling.is_some() {
            questions = questions.prompt("greeting", "Generate a greeting", 50);
        }
        if able.roots.is_some() {
            questions = questions.roots("client_roots");
        }
        match responses {
            InputResponses(Some(_)) => text("The client answered."),
            InputResponses(None) if questions.is_empty() => {
                text("There is nothing that the client can answer.")
            }
            InputResponses(None) => ask(questions, None),
        }
    }

    #[tool(description = "Asks the person, where a stream could carry a request.")]
    fn test_streaming_elicitation(responses: InputResponses) -> Round {
        Self::test_input_required_result_elicitation(responses)
    }
}

/// Asks for a confirmation, and answers with `done` once it is there and the state is ours. That a client cannot make
/// one up is for Deputy to see to.
fn confirm(responses: InputResponses, RequestState(state): RequestState, done: &str) -> Round {
    let confirmed = Answers::new(responses).field("confirm", "ok") == Some(true);
    if confirmed && state.as_deref() == Some(UNCONFIRMED) {
        return text(done);
    }
    let questions = Questions::default().field("confirm", "Please confirm", "ok", "boolean")?;
    ask(questions, Some(UNCONFIRMED.to_owned()))
}

fn name(question: &str, message: &str) -> Result<Questions, ErrorData> {
    Questions::default().field(question, message, "name", "string")
}

#[expect(clippy::unnecessary_wraps, reason = "the other end of a round")]
fn ask(questions: Questions, state: Option<String>) -> Round {
    Ok(questions.ask(state).into())
}

#[expect(clippy::unnecessary_wraps, reason = "the other end of a round")]
fn text(text: impl Into<String>) -> Round {
    Ok(CallToolResult::success(vec![ContentBlock::text(text)]).into())
}

const UNCONFIRMED: &str = "asked for a confirmation";
