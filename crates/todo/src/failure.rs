//! Failures of the tools, with texts for the model. The texts contain nothing from the API.

use std::fmt;

use deputy::mcp::ApiError;
use rmcp::ErrorData;

/// Why a tool failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The request to the API failed.
    Api(ApiError),
    /// The user declined.
    Declined,
    /// The text of a todo is not acceptable to the API.
    InvalidText,
    /// The list is full.
    ListFull,
    /// The request has no caller, because Deputy is not around these tools. A model can do nothing about that.
    NoCaller,
    /// There is no todo with this id.
    NoSuchTodo,
    /// The API responded with `404`.
    NotFound,
    /// The token of this call, or PingOne's token, lacks this scope.
    Scope(&'static str),
    /// The API responded with a server error.
    ServerError,
    /// The client asked, and the user gave no answer.
    Unanswered,
    /// The user has to confirm, and the client cannot ask its user.
    Unconfirmed,
    /// The response is not one that the Todo API sends.
    Unexpected,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Api(error) => match error {
                ApiError::InsufficientScope { scopes } if !scopes.is_empty() => scope(f, &scopes.join(" ")),
                ApiError::NotTheApi | ApiError::TooLarge => Self::Unexpected.fmt(f),
                ApiError::NoResponse { may_change: false } => {
                    f.write_str("The response of the Todo API did not arrive. Try again later.")
                }
                ApiError::NoResponse { may_change: true } => f.write_str(
                    "The response of the Todo API did not arrive. The change may have been made: call get_my_todo_list before \
                     you try again.",
                ),
                ApiError::Unavailable => {
                    f.write_str("The Todo API cannot be reached at the moment. Try again later.")
                }
                // Deputy's texts are for models, too.
                other => other.fmt(f),
            },
            Self::Declined => f.write_str(
                "The user was asked and did not agree, so nothing was changed. Do not try again unless the user asks \
                 for it.",
            ),
            Self::InvalidText => f.write_str(
                "The Todo API did not accept this text. It must be one line of 1 to 2000 characters.",
            ),
            Self::ListFull => f.write_str(
                "The todo list is full, so nothing was added. Ask the user which todo may be deleted first.",
            ),
            Self::NoCaller => f.write_str("these tools need Deputy around them"),
            Self::Scope(name) => scope(f, name),
            Self::ServerError => f.write_str("The Todo API has a problem at the moment. Try again later."),
            Self::Unanswered => f.write_str(
                "The user gave no answer, so nothing was changed. Some clients close the question themselves, for example \
                 when they run without a window. Tell the user, and try again only if the user asks for it.",
            ),
            Self::Unconfirmed => f.write_str(
                "Nothing was deleted: the user has to confirm a deletion, and this client cannot ask its user (it \
                 has not declared MCP elicitation). Tell the user to delete the todo with a client that can ask, or \
                 in another way. The operator of this server can also allow this tool to act without a \
                 confirmation: UNCONFIRMED_TOOLS=delete_todo.",
            ),
            Self::Unexpected => f.write_str(
                "The Todo API gave an unexpected response. Trying again will not help; tell the user.",
            ),
            Self::NoSuchTodo | Self::NotFound => {
                f.write_str("There is no todo with this id. Call get_my_todo_list for the ids.")
            }
        }
    }
}

fn scope(f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
    write!(
        f,
        "This needs the scope {name}, which was not granted. The user can grant it by connecting again."
    )
}

impl From<Failure> for ErrorData {
    fn from(failure: Failure) -> Self {
        Self::internal_error(failure.to_string(), None)
    }
}
