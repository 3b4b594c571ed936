//! Texts without the marks of Markdown.

use crate::document::clean;

/// [`clean`] text without the marks of Markdown for emphasis, code and links, for pages, which show it as it is.
pub(crate) fn unmarked(text: &str, most: usize) -> String {
    let mut text = without_links(&clean(text, most * 2));
    for mark in ["`", "**", "__", "*", "_"] {
        text = without_pairs(&text, mark);
    }
    clean(&text, most)
}

/// The text with `[words](target)` as `words`.
fn without_links(text: &str) -> String {
    let link = |text: &str| {
        let (before, rest) = text.split_once("](")?;
        let (before, words) = before.rsplit_once('[')?;
        let (_, after) = rest.split_once(')')?;
        Some((format!("{before}{words}"), after.to_owned()))
    };
    match link(text) {
        Some((words, after)) => words + &without_links(&after),
        None => text.to_owned(),
    }
}

/// The text without the pairs of a mark that are around words. A mark inside a word, as in `todo_read`, stays.
fn without_pairs(text: &str, mark: &str) -> String {
    let is_word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    let is_space = |c: Option<char>| c.is_none_or(char::is_whitespace);
    let neighbors = |at: usize| (text[..at].chars().next_back(), text[at + mark.len()..].chars().next());
    let mut places = text.match_indices(mark).map(|(at, _)| (at, neighbors(at)));
    let Some((open, _)) = places.find(|(_, (before, after))| !is_word(*before) && !is_space(*after)) else {
        return text.to_owned();
    };
    let Some((close, _)) = places.find(|(_, (before, after))| !is_space(*before) && !is_word(*after)) else {
        return text.to_owned();
    };
    let (before, within, after) =
        (&text[..open], &text[open + mark.len()..close], &text[close + mark.len()..]);
    format!("{before}{within}{}", without_pairs(after, mark))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_of_markdown_are_left_out() {
        for (text, shown) in [
            ("**See** your `invoices`", "See your invoices"),
            ("*See* __your__ _invoices_, ***all***", "See your invoices, all"),
            (
                "See [your invoices](https://example.com/a_b) and [others](#x).",
                "See your invoices and others.",
            ),
            ("`todo_read`, 2 * 3 and a*b, *x", "todo_read, 2 * 3 and a*b, *x"),
            ("an [open link](https://example", "an [open link](https://example"),
            ("[a] (b) [c](d)", "[a] (b) c"),
            ("**é**", "é"),
        ] {
            assert_eq!(unmarked(text, 100), shown);
        }
        assert_eq!(unmarked(&"[a](b)".repeat(10_000), 10), "aaa[…");
    }
}
