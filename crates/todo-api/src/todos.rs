//! Todos, and the operations on them.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

/// A todo.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Todo {
    /// A random id, unique among the todos of all users.
    pub id: String,
    /// The text: one line of at most [`MAX_TEXT_CHARACTERS`].
    pub text: String,
    /// Whether the todo is done.
    pub completed: bool,
}

/// An operation on one user's todos. Serializable, because a backend may send it to another process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operation {
    /// Adds a todo at the end. Fails if there are [`MAX_TODOS`].
    Create(Todo),
    /// Removes the todo with this id.
    Delete(String),
    /// Changes nothing.
    List,
    /// Marks the todo with this id as done or open.
    SetCompleted {
        /// The id of the todo.
        id: String,
        /// Whether the todo is done.
        completed: bool,
    },
}

/// The texts of the list that a user of the demo has at first, and whether each is done.
pub const FIRST_TODOS: [(&str, bool); 3] = [
    ("Start Deputy's demo", true),
    ("Ask the agent who I am, and which token the API sees", false),
    ("Let the agent delete this todo: it has to ask me first", false),
];

/// The trimmed text of a todo; `None` if it is empty, too long, or has control characters such as line breaks.
pub(crate) fn parse_text(text: &str) -> Option<String> {
    let text = text.trim();
    let length = text.chars().count();
    ((1..=MAX_TEXT_CHARACTERS).contains(&length) && !text.chars().any(char::is_control))
        .then(|| text.to_owned())
}

/// An id of 128 random bits.
pub(crate) fn id(random: [u8; 16]) -> String {
    URL_SAFE_NO_PAD.encode(random)
}

/// The number of todos that one user can have.
pub const MAX_TODOS: u32 = 1000;

/// The length of a todo's text, in characters.
pub const MAX_TEXT_CHARACTERS: usize = 2000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_trimmed_and_counted_in_characters() {
        let longest = "ü".repeat(MAX_TEXT_CHARACTERS);
        assert_eq!(parse_text(" buy milk\n"), Some("buy milk".to_owned()));
        assert_eq!(parse_text(&longest), Some(longest.clone()));
        assert_eq!(parse_text(&format!("{longest}ü")), None);
    }

    #[test]
    fn text_that_is_empty_or_has_control_characters_is_refused() {
        for text in ["", " \t\n", "two\nlines", "bell\u{7}", "del\u{7f}", "c1\u{85}x"] {
            assert_eq!(parse_text(text), None, "{text:?}");
        }
    }
}
