//! Why a tool has no answer, in words for a model. None of them come from elsewhere.

use std::fmt;

use deputy::mcp::ApiError;
use rmcp::ErrorData;

/// Why a tool has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// No request reached the API, or no answer came back.
    Api(ApiError),
    /// The person was asked and did not say yes.
    Declined,
    /// The list is full.
    Full,
    /// The server around this one gives no caller: nothing that a model can do anything about.
    NoCaller,
    /// The API has nothing at the path of a todo.
    NotFound,
    /// The token of this call, or the API's, does not have this scope.
    Scope(&'static str),
    /// The API does not take this text.
    Text,
    /// The API has trouble of its own.
    Trouble,
    /// The person has to confirm, and the client cannot ask them.
    Unconfirmed,
    /// The answer is none that the API is known to give.
    Unexpected,
    /// There is no todo with this id.
    Unknown,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Api(error) => match error {
                ApiError::InsufficientScope { scopes } if !scopes.is_empty() => scope(f, &scopes.join(" ")),
                ApiError::NotTheApi | ApiError::TooLarge => Self::Unexpected.fmt(f),
                ApiError::Timeout => f.write_str(
                    "The Todo API did not answer in time. A change may have been made all the same: call \
                     get_my_todo_list before you try again.",
                ),
                ApiError::Unavailable => {
                    f.write_str("The Todo API cannot be reached at the moment. Try again later.")
                }
                // Deputy's words are for models too.
                other => other.fmt(f),
            },
            Self::Declined => f.write_str(
                "The person was asked and did not agree, so nothing was changed. Do not try again unless they ask.",
            ),
            Self::Full => f.write_str(
                "The todo list is full, so nothing was added. Ask the person which todo may be deleted first.",
            ),
            Self::NoCaller => f.write_str("these tools need Deputy around them"),
            Self::Scope(name) => scope(f, name),
            Self::Text => f.write_str(
                "The Todo API did not take this text. It must be one line of 1 to 2000 characters.",
            ),
            Self::Trouble => f.write_str("The Todo API has a problem at the moment. Try again later."),
            Self::Unconfirmed => f.write_str(
                "Nothing was deleted: the person has to confirm a deletion, and this client cannot ask them (it has not \
                 declared MCP elicitation). Tell the person; a client that can ask, or another way to the list, is needed. \
                 The operator of this server can let the tool act without a confirmation: UNCONFIRMED_TOOLS=delete_todo.",
            ),
            Self::Unexpected => f.write_str(
                "The Todo API gave an unexpected answer. Trying again will not help; tell the person.",
            ),
            Self::NotFound | Self::Unknown => f.write_str("There is no todo with this id. Call get_my_todo_list for the ids."),
        }
    }
}

fn scope(f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
    write!(
        f,
        "This needs the scope {name}, which was not granted. The person can grant it by connecting again."
    )
}

impl From<Failure> for ErrorData {
    fn from(failure: Failure) -> Self {
        Self::internal_error(failure.to_string(), None)
    }
}
