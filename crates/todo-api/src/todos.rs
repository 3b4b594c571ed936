//! A person's todos and what can be done with them.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Todo {
    /// Names it among everybody's todos, and cannot be guessed.
    pub id: String,
    /// What is to be done: one line, at most [`MAX_TEXT_CHARACTERS`].
    pub text: String,
    /// Whether it is done.
    pub completed: bool,
}

/// What can be done with one person's todos. Serializable, because a backend may have to send it to where they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operation {
    /// Adds a todo at the end, unless there are [`MAX_TODOS`].
    Create(Todo),
    /// Removes the todo with this id.
    Delete(String),
    /// Changes nothing.
    List,
    /// Says whether the todo with this id is done.
    SetCompleted {
        /// Of the todo.
        id: String,
        /// Whether it is done.
        completed: bool,
    },
}

/// The text of a todo as it is kept, or `None` if it is empty, too long, or more than one line of text.
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

/// How many todos one person can have.
pub const MAX_TODOS: u32 = 1000;

/// How long the text of a todo can be.
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
