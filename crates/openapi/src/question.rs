//! The question to the user before a destructive operation.

use std::{collections::BTreeMap, fmt::Write as _};

use deputy::mcp::Confirmation;
use rmcp::model::{
    ElicitRequest, ElicitRequestParams, ElicitResult, ElicitationAction, ElicitationSchema, InputRequest,
    InputRequiredResult, InputResponses,
};
use serde_json::Value;

use crate::{
    document::{Object, clean},
    operation::Operation,
};

/// Whether an operation may go ahead.
pub(crate) enum Answer {
    /// The user has agreed, or need not.
    Act,
    /// The user has to be asked first.
    Ask(Box<InputRequiredResult>),
    /// Nothing is done, for this reason.
    Refuse(String),
}

/// Decides whether `operation` may go ahead. `responses` and `state` are those of the previous round.
///
/// Deputy has sealed the state, and accepts it from the same user and client, for the same tool and arguments. The state is the
/// question itself, so that a reply to another question does not count.
pub(crate) fn confirm(
    operation: &Operation,
    arguments: &Object,
    confirmation: Confirmation,
    responses: Option<InputResponses>,
    state: Option<&str>,
) -> Answer {
    match confirmation {
        _ if !operation.is_destructive => return Answer::Act,
        Confirmation::Ask => {}
        Confirmation::Unavailable => return Answer::Refuse(unavailable(&operation.tool.name)),
        Confirmation::Waived => return Answer::Act,
    }
    let message = message(operation, arguments);
    let reply = responses
        .and_then(|mut responses| responses.remove(QUESTION))
        .filter(|_| state == Some(message.as_str()));
    let Some(reply) = reply else { return Answer::Ask(Box::new(question(message))) };
    let accepted = serde_json::from_value(reply)
        .is_ok_and(|reply: ElicitResult| reply.action == ElicitationAction::Accept);
    if accepted { Answer::Act } else { Answer::Refuse(DECLINED.to_owned()) }
}

/// The operation and its arguments in words.
fn message(operation: &Operation, arguments: &Object) -> String {
    let title = operation.tool.title.as_deref().unwrap_or(&operation.tool.name);
    let mut message = format!("{}?", title.trim_end_matches(['.', '?', '!']));
    let mut words = Vec::new();
    for (name, value) in arguments {
        in_words(name, value, &mut words);
    }
    for line in words.iter().take(MAX_ARGUMENTS) {
        message.push('\n');
        message += line;
    }
    if words.len() > MAX_ARGUMENTS {
        // Writing to a `String` cannot fail.
        let _ = write!(message, "\nand {} more", words.len() - MAX_ARGUMENTS);
    }
    message + "\nThis may not be undone."
}

/// A line for each value. Texts are in quotes, so that they cannot imitate a line.
fn in_words(name: &str, value: &Value, words: &mut Vec<String>) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            members.iter().for_each(|(member, value)| in_words(&format!("{name}.{member}"), value, words));
        }
        Value::Array(items) if !items.is_empty() => {
            items
                .iter()
                .enumerate()
                .for_each(|(index, value)| in_words(&format!("{name}.{index}"), value, words));
        }
        Value::String(text) => words.push(format!("{}: {}", clean(name, 60), Value::from(clean(text, 200)))),
        value => words.push(format!("{}: {value}", clean(name, 60))),
    }
}

fn question(message: String) -> InputRequiredResult {
    let form = ElicitRequestParams::FormElicitationParams {
        meta: None,
        message: message.clone(),
        // The form has no fields: the user accepts or declines.
        requested_schema: ElicitationSchema::new(BTreeMap::new()),
    };
    let question = InputRequest::Elicitation(ElicitRequest::new(form));
    InputRequiredResult::new(Some([(QUESTION.to_owned(), question)].into()), Some(message))
}

fn unavailable(tool: &str) -> String {
    format!(
        "Nothing was done: the user has to confirm this, and this client cannot ask its user (it has not declared MCP \
         elicitation). Tell the user to do it with a client that can ask, or in another way. The operator of this server can also \
         allow this tool to act without a confirmation: UNCONFIRMED_TOOLS={tool}."
    )
}

const DECLINED: &str = "The user was asked and did not agree, so nothing was done. Do not try again unless the user asks for it.";

const QUESTION: &str = "confirm";
/// Values that a question shows.
const MAX_ARGUMENTS: usize = 12;
