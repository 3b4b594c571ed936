//! The description of a variable.

use std::{fmt, ops::RangeInclusive};

/// The description of a variable. Its texts are Markdown.
#[derive(Clone, Debug)]
pub struct Variable {
    /// The name.
    pub name: &'static str,
    /// Its name in the server that Deputy replaces. Both names are read.
    pub former_name: Option<&'static str>,
    /// Its meaning: a noun phrase without an article.
    pub summary: &'static str,
    /// Sentences about its consequences. May be empty.
    pub details: &'static str,
    /// The values that it takes.
    pub syntax: Syntax,
    /// Its value while it is absent or empty.
    pub default: DefaultValue,
    /// A valid value. A secret has none: an example would be copied.
    pub example: Option<&'static str>,
    /// How it differs on Workers.
    pub on_workers: Option<&'static str>,
    /// Whether its value is secret. On Workers it is then not a variable of `wrangler.jsonc` but a secret of the Worker.
    pub secret: bool,
}

/// The values that a variable takes.
#[derive(Clone, Debug)]
pub enum Syntax {
    /// One of these words, each with its meaning.
    Choice(&'static [(&'static str, &'static str)]),
    /// Whole seconds.
    Seconds(RangeInclusive<u64>),
    /// Text that this phrase describes.
    Text(&'static str),
}

/// The value of a variable while it is absent or empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultValue {
    /// A value that the native host knows. On Workers the variable is required.
    Native(&'static str),
    /// Nothing: the server does not start.
    Required,
    /// This value. An empty one stands for an empty list.
    Value(&'static str),
}

impl Variable {
    /// The names under which it is read.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        [self.name].into_iter().chain(self.former_name)
    }

    /// Why its absence is an error, and what to do.
    pub(super) fn absence(&self) -> String {
        let also = self.former_name.map(|name| format!(", or {name}, its former name,")).unwrap_or_default();
        let hint = match (self.example, &self.syntax) {
            (Some(example), _) => format!(", such as {example}"),
            (None, syntax) => format!(": {syntax}"),
        };
        format!("is not set. Set it{also} to the {}{hint}", plain(self.summary))
    }
}

impl fmt::Display for Syntax {
    /// Names the values, without Markdown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Choice(choices) => {
                let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
                match words.split_last() {
                    Some((last, words)) if !words.is_empty() => write!(f, "{} or {last}", words.join(", ")),
                    _ => f.write_str(&words.concat()),
                }
            }
            Self::Seconds(range) => write!(f, "whole seconds, from {} to {}", range.start(), range.end()),
            Self::Text(text) => f.write_str(&plain(text)),
        }
    }
}

/// Markdown as text for a terminal.
pub fn plain(markdown: &str) -> String {
    markdown.replace('`', "")
}
