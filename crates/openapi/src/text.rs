//! The text of a document: JSON, or YAML with bounds.

use serde_json::Value;

use crate::refusal::DocumentError;

/// Parses a text that is JSON if it begins with `{`, and YAML otherwise.
pub(crate) fn parse(text: &str) -> Result<Value, DocumentError> {
    if text.len() > MAX_BYTES {
        return Err(DocumentError::TooLarge);
    }
    let text = text.trim_start_matches('\u{feff}');
    if text.trim_start().starts_with('{') {
        // Values deeper than 128 are refused by serde_json.
        return serde_json::from_str(text).map_err(|error| DocumentError::Syntax(error.to_string()));
    }
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: MAX_DEPTH,
            max_documents: 1,
            max_events: MAX_NODES * 2,
            max_nodes: MAX_NODES,
        },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: MAX_NODES },
        // In YAML 1.2, `yes`, `no`, `on` and `off` are texts.
        strict_booleans: true,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options)
        .map_err(|error| DocumentError::Syntax(error.to_string()))
}

const MAX_BYTES: usize = 16 * 1024 * 1024;
const MAX_NODES: usize = 2_000_000;
const MAX_DEPTH: usize = 100;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_and_yaml_of_a_document_are_the_same() {
        let yaml =
            "openapi: 3.0.0\ninfo: {version: '1', on: yes}\nresponses:\n  200: {x: &a [1]}\n  default: *a\n";
        let expected = json!({
            "openapi": "3.0.0", "info": { "version": "1", "on": "yes" }, "responses": { "200": { "x": [1] }, "default": [1] },
        });
        assert_eq!(parse(yaml).unwrap(), expected);
        assert_eq!(parse(&format!("\u{feff}{}", yaml.replace('\n', "\r\n"))).unwrap(), expected);
        assert_eq!(parse(&format!("\u{feff} {expected}")).unwrap(), expected);
    }

    #[test]
    fn text_beyond_its_bounds_is_refused() {
        let mut bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
        for level in 1..12 {
            let alias = format!("*a{},", level - 1).repeat(10);
            bomb = format!("{bomb}a{level}: &a{level} [{alias}]\n");
        }
        let deep = "[".repeat(100_000);
        let deep_json = format!("{{\"a\": {}", "[".repeat(100_000));
        for text in
            [bomb.as_str(), &deep, &deep_json, "a: 1\na: 2", "a: 1\n---\nb: 2", "a: [", "{", "a: .inf"]
        {
            assert!(matches!(parse(text), Err(DocumentError::Syntax(_))), "{text:.40}");
        }
        assert!(matches!(parse(&" ".repeat(MAX_BYTES + 1)), Err(DocumentError::TooLarge)));
    }
}
