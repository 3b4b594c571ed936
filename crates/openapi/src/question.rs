//! The question to the user before a destructive operation.

use std::collections::BTreeMap;

use deputy::{mcp::Confirmation, types::is_invisible};
use rmcp::model::{
    ElicitRequest, ElicitRequestParams, ElicitResult, ElicitationAction, ElicitationSchema, InputRequest,
    InputRequiredResult, InputResponses,
};
use serde_json::Value;

use crate::{document::Object, operation::Operation};

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
    let Some(message) = message(operation, arguments) else { return Answer::Refuse(TOO_MUCH.to_owned()) };
    let reply = responses
        .and_then(|mut responses| responses.remove(QUESTION))
        .filter(|_| state == Some(message.as_str()));
    let Some(reply) = reply else { return Answer::Ask(Box::new(question(message))) };
    match serde_json::from_value(reply).map(|reply: ElicitResult| reply.action) {
        Ok(ElicitationAction::Accept) => Answer::Act,
        Ok(ElicitationAction::Decline) => Answer::Refuse(DECLINED.to_owned()),
        _ => Answer::Refuse(UNANSWERED.to_owned()),
    }
}

/// The operation and its arguments in words. `None` if the user could not see all of them.
fn message(operation: &Operation, arguments: &Object) -> Option<String> {
    let title = operation.tool.title.as_deref().unwrap_or(&operation.tool.name);
    let mut message = format!("{}?", title.trim_end_matches(['.', '?', '!']));
    let mut words = Vec::new();
    for (name, value) in arguments {
        in_words(&name_in_words(name), value, &mut words)?;
    }
    if words.len() > MAX_ARGUMENTS {
        return None;
    }
    for line in words {
        message.push('\n');
        message += &line;
    }
    Some(message + "\nThis may not be undone.")
}

/// A line for each value. Texts are in quotes, so that they cannot imitate a line. `None` for a text that is too long.
fn in_words(name: &str, value: &Value, words: &mut Vec<String>) -> Option<()> {
    match value {
        Value::Object(members) if !members.is_empty() => members.iter().try_for_each(|(member, value)| {
            in_words(&format!("{name}.{}", name_in_words(member)), value, words)
        }),
        Value::Array(items) if !items.is_empty() => {
            let mut items = items.iter().enumerate();
            items.try_for_each(|(index, value)| in_words(&format!("{name}.{index}"), value, words))
        }
        value => {
            let fits = |text: &str, most| text.chars().count() <= most;
            let written = match value {
                Value::String(text) if !fits(text, MAX_TEXT) => return None,
                Value::String(text) => quoted(text),
                value => value.to_string(),
            };
            fits(name, MAX_NAME).then(|| words.push(format!("{name}: {written}")))
        }
    }
}

/// A text in quotes. Characters that a user could not see, or not tell apart, are escaped, and each space after another one.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    let mut after_space = false;
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted += "\\n",
            ' ' if !after_space => quoted.push(c),
            c if c.is_control() || c.is_whitespace() || is_invisible(c) => {
                quoted.extend(c.escape_unicode());
            }
            c => quoted.push(c),
        }
        after_space = c == ' ';
    }
    quoted + "\""
}

/// The name of a member: in quotes, unless it is a plain word.
fn name_in_words(name: &str) -> String {
    let is_plain =
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if is_plain { name.to_owned() } else { quoted(name) }
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

const UNANSWERED: &str = "The user gave no answer, so nothing was done. Some clients close the question themselves, for example when \
                          they run without a window. Tell the user, and try again only if the user asks for it.";

const TOO_MUCH: &str = "Nothing was done: the user has to confirm this, and a question cannot show so many or so long arguments. Use \
                        fewer or shorter ones.";

const QUESTION: &str = "confirm";
/// Values that a question shows.
const MAX_ARGUMENTS: usize = 40;
/// Characters of a text in a question.
const MAX_TEXT: usize = 500;
/// Characters of the name of a value in a question.
const MAX_NAME: usize = 120;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::catalog::Catalog;

    fn catalog() -> Catalog {
        Catalog::read(include_str!("../../../examples/invoices/openapi.yaml")).expect("a document")
    }

    /// The answer to a deletion with these arguments, after a reply with this action and state.
    fn answer(arguments: &Value, reply: Option<(&str, &str)>) -> Answer {
        let catalog = catalog();
        let operation = catalog.operations.iter().find(|operation| operation.tool.name == "deleteInvoice");
        let arguments = arguments.as_object().expect("arguments");
        let responses = reply.map(|(action, _)| {
            serde_json::from_value(json!({ QUESTION: { "action": action } })).expect("responses")
        });
        let state = reply.map(|(_, state)| state);
        confirm(operation.expect("a tool"), arguments, Confirmation::Ask, responses, state)
    }

    fn question_about(arguments: &Value) -> String {
        match answer(arguments, None) {
            Answer::Ask(question) => question.request_state.clone().expect("a state"),
            Answer::Act | Answer::Refuse(_) => panic!("the user is not asked"),
        }
    }

    #[test]
    fn tool_acts_only_after_the_user_accepted_this_question() {
        let arguments = json!({ "id": "1" });
        let question = question_about(&arguments);
        assert!(question.contains("id: \"1\""), "{question}");
        assert!(matches!(answer(&arguments, Some(("accept", &question))), Answer::Act));
        assert!(matches!(answer(&arguments, Some(("accept", "another question"))), Answer::Ask(_)));
        assert!(matches!(answer(&json!({ "id": "2" }), Some(("accept", &question))), Answer::Ask(_)));
        for (action, text) in [("decline", DECLINED), ("cancel", UNANSWERED), ("invented", UNANSWERED)] {
            let Answer::Refuse(refusal) = answer(&arguments, Some((action, &question))) else {
                panic!("{action}")
            };
            assert_eq!(refusal, text, "{action}");
        }
    }

    #[test]
    fn question_shows_names_and_texts_as_they_are() {
        for (value, line) in [
            (json!({ "id": "a  b" }), r#"id: "a \u{20}b""#),
            (json!({ "id": "a\u{200b}\tb\n\"c\"" }), r#"id: "a\u{200b}\u{9}b\n\"c\"""#),
            (json!({ "id": { "a.b": 1 } }), r#"id."a.b": 1"#),
            (json!({ "id": { "x: 1\nreal": 5 } }), r#"id."x: 1\nreal": 5"#),
            (json!({ "id": "" }), r#"id: """#),
        ] {
            let question = question_about(&value);
            assert!(question.lines().any(|shown| shown == line), "{line}\n{question}");
        }
    }

    #[test]
    fn arguments_that_a_question_cannot_show_are_refused() {
        let many: Vec<_> = (0..=MAX_ARGUMENTS).collect();
        let long = "x".repeat(MAX_TEXT + 1);
        let name = "x".repeat(MAX_NAME + 1);
        for arguments in [json!({ "id": many }), json!({ "id": long }), json!({ name: 1 })] {
            let Answer::Refuse(refusal) = answer(&arguments, None) else { panic!("{arguments}") };
            assert_eq!(refusal, TOO_MUCH);
        }
    }
}
