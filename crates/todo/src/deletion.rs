//! The person's yes before a todo is deleted.
//!
//! The tool answers that it needs input, and is called again with it. In between, what the person was asked is with the
//! client as `requestState`, which Deputy seals. So a yes is for this todo as the person read it, and if its text has
//! changed since, they are asked again. Where the client cannot ask, nothing is deleted, unless the operator has named the
//! tool in `UNCONFIRMED_TOOLS`.

use std::collections::BTreeMap;

use deputy::mcp::Confirmation;
use rmcp::model::{
    ElicitRequest, ElicitRequestParams, ElicitResult, ElicitationAction, ElicitationSchema, InputRequest,
    InputRequiredResult, InputResponses,
};

use crate::{api::TodoApi, failure::Failure, inputs::TodoId};

/// What the client brought of earlier rounds.
pub(crate) struct Earlier {
    /// What the person said.
    pub(crate) responses: Option<InputResponses>,
    /// What they were asked.
    pub(crate) state: Option<String>,
}

/// The question to the person, if there is one to ask before the todo `id` is deleted.
pub(crate) async fn question(
    api: &TodoApi<'_>,
    id: &TodoId,
    earlier: Earlier,
) -> Result<Option<InputRequiredResult>, Failure> {
    match api.0.confirmation() {
        Confirmation::Ask => {}
        Confirmation::Unavailable => return Err(Failure::Unconfirmed),
        Confirmation::Waived => return Ok(None),
    }
    let todos = api.list().await?;
    let text = todos.quote(id).ok_or(Failure::Unknown)?;
    if earlier.state.as_ref() == Some(&text)
        && let Some(answer) = earlier.responses.as_ref().and_then(|responses| responses.get(QUESTION))
    {
        let answer: ElicitResult = serde_json::from_value(answer.clone()).map_err(|_| Failure::Declined)?;
        return if answer.action == ElicitationAction::Accept { Ok(None) } else { Err(Failure::Declined) };
    }
    let form = ElicitRequestParams::FormElicitationParams {
        meta: None,
        message: format!("Delete {text}? This cannot be undone."),
        // Yes or no is all there is to say.
        requested_schema: ElicitationSchema::new(BTreeMap::new()),
    };
    let question = InputRequest::Elicitation(ElicitRequest::new(form));
    Ok(Some(InputRequiredResult::new(Some([(QUESTION.to_owned(), question)].into()), Some(text))))
}

const QUESTION: &str = "delete";
