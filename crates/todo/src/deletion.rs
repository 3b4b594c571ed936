//! The user's confirmation before a todo is deleted.
//!
//! The tool returns a question, and is called again with the reply. In between, the client holds the text of the todo
//! as `requestState`, which Deputy seals. A confirmation is therefore for the text that the user read; if the text has
//! changed since, the user is asked again. If the client cannot ask its user, nothing is deleted, unless the operator
//! has named the tool in `UNCONFIRMED_TOOLS`.

use std::collections::BTreeMap;

use deputy::mcp::Confirmation;
use rmcp::model::{
    ElicitRequest, ElicitRequestParams, ElicitResult, ElicitationAction, ElicitationSchema, InputRequest,
    InputRequiredResult, InputResponses,
};

use crate::{api::TodoApi, failure::Failure, inputs::TodoId};

/// The result of the previous round, from the client.
pub(crate) struct PreviousRound {
    /// The user's reply.
    pub(crate) responses: Option<InputResponses>,
    /// The text of the todo in the question.
    pub(crate) state: Option<String>,
}

/// The question to ask the user before the todo `id` is deleted; `None` if the deletion may go ahead.
pub(crate) async fn question(
    api: &TodoApi<'_>,
    id: &TodoId,
    previous: PreviousRound,
) -> Result<Option<InputRequiredResult>, Failure> {
    match api.0.confirmation() {
        Confirmation::Ask => {}
        Confirmation::Unavailable => return Err(Failure::Unconfirmed),
        Confirmation::Waived => return Ok(None),
    }
    let todos = api.list().await?;
    let text = todos.quoted_text(id).ok_or(Failure::NoSuchTodo)?;
    if previous.state.as_ref() == Some(&text)
        && let Some(reply) = previous.responses.as_ref().and_then(|responses| responses.get(QUESTION))
    {
        let reply: ElicitResult = serde_json::from_value(reply.clone()).map_err(|_| Failure::Unanswered)?;
        return match reply.action {
            ElicitationAction::Accept => Ok(None),
            ElicitationAction::Decline => Err(Failure::Declined),
            _ => Err(Failure::Unanswered),
        };
    }
    let form = ElicitRequestParams::FormElicitationParams {
        meta: None,
        message: format!("Delete {text}? This cannot be undone."),
        // The form has no fields: the user accepts or declines.
        requested_schema: ElicitationSchema::new(BTreeMap::new()),
    };
    let question = InputRequest::Elicitation(ElicitRequest::new(form));
    Ok(Some(InputRequiredResult::new(Some([(QUESTION.to_owned(), question)].into()), Some(text))))
}

const QUESTION: &str = "delete";
