//! What clients are asked, and what they answer.
#![expect(deprecated, reason = "the suite lets tools ask for sampling and roots")]

use rmcp::{
    ErrorData,
    handler::server::tool::InputResponses,
    model::{
        CreateMessageRequest, CreateMessageRequestParams, CreateMessageResult, ElicitRequest,
        ElicitRequestParams, ElicitResult, ElicitationAction, InputRequest, InputRequests,
        InputRequiredResult, ListRootsRequest, ListRootsResult, SamplingMessage, SamplingMessageContentBlock,
    },
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// A question to the client's model.
pub(crate) fn prompt(text: &str, max_tokens: u32) -> CreateMessageRequestParams {
    CreateMessageRequestParams::new(vec![SamplingMessage::user_text(text)], max_tokens)
}

/// A form for the person.
pub(crate) fn form(message: &str, schema: Value) -> Result<ElicitRequestParams, ErrorData> {
    let requested_schema = serde_json::from_value(schema)
        .map_err(|error| ErrorData::internal_error(format!("the form is not one: {error}"), None))?;
    Ok(ElicitRequestParams::FormElicitationParams {
        meta: None,
        message: message.to_owned(),
        requested_schema,
    })
}

/// What a client is asked in one round, by names of our choosing.
#[derive(Default)]
pub(crate) struct Questions(InputRequests);

impl Questions {
    /// A form with one field, which is `{"type": kind}`.
    pub(crate) fn field(
        mut self,
        name: &str,
        message: &str,
        field: &str,
        kind: &str,
    ) -> Result<Self, ErrorData> {
        let schema =
            json!({ "type": "object", "properties": { field: { "type": kind } }, "required": [field] });
        let request = ElicitRequest::new(form(message, schema)?);
        self.0.insert(name.to_owned(), InputRequest::Elicitation(request));
        Ok(self)
    }

    /// A question to the client's model.
    pub(crate) fn prompt(mut self, name: &str, text: &str, max_tokens: u32) -> Self {
        let request = CreateMessageRequest::new(prompt(text, max_tokens));
        self.0.insert(name.to_owned(), InputRequest::CreateMessage(request));
        self
    }

    /// The client's roots.
    pub(crate) fn roots(mut self, name: &str) -> Self {
        self.0.insert(name.to_owned(), InputRequest::ListRoots(ListRootsRequest::default()));
        self
    }

    /// Whether there is nothing to ask.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Asks. `state` comes back with the answers.
    pub(crate) fn ask(self, state: Option<String>) -> InputRequiredResult {
        InputRequiredResult::new(Some(self.0), state)
    }
}

/// What a client answered. An answer that was not asked for is not looked at, and one of the wrong shape is none.
pub(crate) struct Answers(rmcp::model::InputResponses);

impl Answers {
    /// The answers in a tool call.
    pub(crate) fn new(responses: InputResponses) -> Self {
        Self::of(responses.0)
    }

    /// The answers in any request.
    pub(crate) fn of(responses: Option<rmcp::model::InputResponses>) -> Self {
        Self(responses.unwrap_or_default())
    }

    /// A field of the form of this name, if the person accepted it.
    pub(crate) fn field<T: DeserializeOwned>(&self, name: &str, field: &str) -> Option<T> {
        let ElicitResult { action: ElicitationAction::Accept, content, .. } = self.answer(name)? else {
            return None;
        };
        serde_json::from_value(content?.get_mut(field)?.take()).ok()
    }

    /// What the client's model said.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        let CreateMessageResult { message, .. } = self.answer(name)?;
        let text = message.content.first().and_then(SamplingMessageContentBlock::as_text)?;
        Some(text.text.clone())
    }

    /// The client's roots.
    pub(crate) fn roots(&self, name: &str) -> Option<Vec<String>> {
        let ListRootsResult { roots, .. } = self.answer(name)?;
        Some(roots.into_iter().map(|root| root.uri).collect())
    }

    fn answer<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        serde_json::from_value(self.0.get(name)?.clone()).ok()
    }
}
