//! The arguments of the tools. A value of these types needs no further check.
//!
//! Some clients send every argument as text, and some models send an id of digits as a number. Both are accepted where
//! they are unambiguous. The schemas do not mention them.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

/// The arguments of `create_new_todo`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateTodo {
    /// The text of the todo, in one line.
    pub(crate) text: TodoText,
}

/// The arguments of `delete_todo`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeleteTodo {
    /// The id of the todo, from `get_my_todo_list`.
    pub(crate) id: TodoId,
}

/// The arguments of `toggle_todo_status`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetCompleted {
    /// The id of the todo, from `get_my_todo_list`.
    pub(crate) id: TodoId,
    /// Whether the todo is done: `true` marks it as done, `false` as open.
    #[serde(deserialize_with = "flag")]
    pub(crate) completed: bool,
}

/// A boolean, or the text `true` or `false`.
fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "must be true or false")]
    enum Flag {
        Boolean(bool),
        Text(String),
    }
    match Flag::deserialize(deserializer)? {
        Flag::Boolean(flag) => Ok(flag),
        Flag::Text(text) if text.eq_ignore_ascii_case("true") => Ok(true),
        Flag::Text(text) if text.eq_ignore_ascii_case("false") => Ok(false),
        Flag::Text(_) => Err(serde::de::Error::custom("must be true or false")),
    }
}

/// The id of a todo. It is one segment of a path, and stays one however a server decodes that path.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, serde::Serialize, JsonSchema)]
#[serde(try_from = "Id", into = "String")]
#[schemars(inline, with = "String", extend("minLength" = 1, "maxLength" = ID_CHARACTERS, "pattern" = "^[A-Za-z0-9_-]+$"))]
pub(crate) struct TodoId(String);

impl TodoId {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<TodoId> for String {
    fn from(id: TodoId) -> Self {
        id.0
    }
}

/// An id as the client sends it.
#[derive(Deserialize)]
#[serde(untagged, expecting = "not the id of a todo; call get_my_todo_list for the ids")]
enum Id {
    Number(u64),
    Text(String),
}

impl TryFrom<Id> for TodoId {
    type Error = &'static str;

    fn try_from(id: Id) -> Result<Self, Self::Error> {
        let id = match id {
            Id::Number(number) => number.to_string(),
            Id::Text(text) => text,
        };
        let valid = (1..=ID_CHARACTERS).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        if valid { Ok(Self(id)) } else { Err("not the id of a todo; call get_my_todo_list for the ids") }
    }
}

/// The text of a new todo. The API checks the rest, such as control characters.
#[derive(Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(inline, extend("minLength" = 1, "maxLength" = TEXT_CHARACTERS))]
pub(crate) struct TodoText(String);

impl TodoText {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for TodoText {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let text = text.trim();
        if (1..=TEXT_CHARACTERS).contains(&text.chars().count()) {
            Ok(Self(text.to_owned()))
        } else {
            Err("the text of a todo has 1 to 2000 characters")
        }
    }
}

/// The length of a todo's text, in characters.
pub(crate) const TEXT_CHARACTERS: usize = 2000;

const ID_CHARACTERS: usize = 128;
