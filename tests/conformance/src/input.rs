//! Requests to the client, and its replies.
#![expect(deprecated, reason = "the suite tests sampling and roots")]

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

/// A prompt for the client's model.
pub(crate) fn prompt(text: &str, max_tokens: u32) -> CreateMessageRequestParams {
    CreateMessageRequestParams::new(vec![SamplingMessage::user_text(text)], max_tokens)
}

/// A form for the user.
pub(crate) fn form(message: &str, schema: Value) -> Result<ElicitRequestParams, ErrorData> {
    let requested_schema = serde_json::from_value(schema).map_err(|error| {
        ErrorData::internal_error(format!("the schema of the form is invalid: {error}"), None)
    })?;
    Ok(ElicitRequestParams::FormElicitationParams {
        meta: None,
        message: message.to_owned(),
        requested_schema,
    })
}

/// The requests of one round, by name.
#[derive(Default)]
pub(crate) struct Requests(InputRequests);

impl Requests {
    /// Adds a form with one field, whose schema is `{"type": kind}`.
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

    /// Adds a prompt for the client's model.
    pub(crate) fn prompt(mut self, name: &str, text: &str, max_tokens: u32) -> Self {
        let request = CreateMessageRequest::new(prompt(text, max_tokens));
        self.0.insert(name.to_owned(), InputRequest::CreateMessage(request));
        self
    }

    /// Adds a request for the client's roots.
    pub(crate) fn roots(mut self, name: &str) -> Self {
        self.0.insert(name.to_owned(), InputRequest::ListRoots(ListRootsRequest::default()));
        self
    }

    /// Whether there are no requests.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The result that sends the requests. `state` comes back with the replies.
    pub(crate) fn ask(self, state: Option<String>) -> InputRequiredResult {
        InputRequiredResult::new(Some(self.0), state)
    }
}

/// The replies of a client. A reply of the wrong form counts as missing.
pub(crate) struct Replies(rmcp::model::InputResponses);

impl Replies {
    /// The replies in a tool call.
    pub(crate) fn new(responses: InputResponses) -> Self {
        Self::of(responses.0)
    }

    /// The replies in any request.
    pub(crate) fn of(responses: Option<rmcp::model::InputResponses>) -> Self {
        Self(responses.unwrap_or_default())
    }

    /// A field of the form with this name, if the user accepted the form.
    pub(crate) fn field<T: DeserializeOwned>(&self, name: &str, field: &str) -> Option<T> {
        let ElicitResult { action: ElicitationAction::Accept, content, .. } = self.reply(name)? else {
            return None;
        };
        serde_json::from_value(content?.get_mut(field)?.take()).ok()
    }

    /// The text from the client's model.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        let CreateMessageResult { message, .. } = self.reply(name)?;
        let text = message.content.first().and_then(SamplingMessageContentBlock::as_text)?;
        Some(text.text.clone())
    }

    /// The client's roots.
    pub(crate) fn roots(&self, name: &str) -> Option<Vec<String>> {
        let ListRootsResult { roots, .. } = self.reply(name)?;
        Some(roots.into_iter().map(|root| root.uri).collect())
    }

    fn reply<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        serde_json::from_value(self.0.get(name)?.clone()).ok()
    }
}
