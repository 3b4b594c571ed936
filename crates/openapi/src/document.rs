//! An OpenAPI document as JSON, and the references inside it.

use std::cell::Cell;

use deputy::types::is_invisible;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use crate::{
    keys, overlay,
    refusal::{DocumentError, Refusal},
    text,
};

/// A JSON object of a document.
pub(crate) type Object = Map<String, Value>;

/// An OpenAPI 3.0 or 3.1 document. Its parts are read when an operation needs them, so that a mistake affects the operations
/// that contain it and no other.
pub(crate) struct Document {
    root: Value,
    /// The keys of Deputy that decide about operations and that the document itself has, beside those of an overlay.
    own_keys: Vec<String>,
    /// Bytes that are left for the schemas of its operations.
    left: Cell<usize>,
}

impl Document {
    /// Parses a document, and applies an overlay to it.
    pub(crate) fn parse(text: &str, overlay: Option<&str>) -> Result<Self, DocumentError> {
        let mut root = text::parse(text)?;
        let Some(overlay) = overlay else { return Self::new(root) };
        let own_keys = keys::of_operations(&root);
        overlay::apply(overlay, &mut root)?;
        Ok(Self { own_keys, ..Self::new(root)? })
    }

    pub(crate) fn new(root: Value) -> Result<Self, DocumentError> {
        if root.get("swagger").is_some() {
            return Err(DocumentError::Swagger);
        }
        let version = match root.get("openapi") {
            Some(Value::String(version)) => version.clone(),
            // Such as `openapi: 3.1` in YAML.
            Some(Value::Number(version)) => version.to_string(),
            _ => return Err(DocumentError::NotOpenApi),
        };
        let minor = version.split('.').take(2).collect::<Vec<_>>();
        match minor[..] {
            ["3", "0" | "1"] => Ok(Self { root, own_keys: Vec::new(), left: Cell::new(MAX_SCHEMAS) }),
            _ => Err(DocumentError::Version(clean(&version, 20))),
        }
    }

    pub(crate) fn root(&self) -> &Value {
        &self.root
    }

    /// Takes the bytes of a schema that is read, copied or kept. Operations that share a schema each have a copy of it, so that a
    /// small document could fill the memory.
    pub(crate) fn take(&self, bytes: usize) -> Result<(), Refusal> {
        self.left.set(self.left.get().saturating_sub(bytes));
        if self.left.get() == 0 { Err(Refusal::Schemas(MAX_SCHEMAS)) } else { Ok(()) }
    }

    pub(crate) fn own_keys(&self) -> &[String] {
        &self.own_keys
    }

    /// The object that `value` is or refers to (Reference Object).
    pub(crate) fn object<'a>(&'a self, value: &'a Value) -> Result<&'a Object, Refusal> {
        self.resolved(value)?.as_object().ok_or(Refusal::Malformed("an object is missing"))
    }

    /// The value that `value` is or refers to.
    pub(crate) fn resolved<'a>(&'a self, value: &'a Value) -> Result<&'a Value, Refusal> {
        let mut value = value;
        for _ in 0..MAX_HOPS {
            match value.get("$ref") {
                Some(Value::String(reference)) => value = self.target(reference)?,
                _ => return Ok(value),
            }
        }
        Err(Refusal::Cycle)
    }

    /// The target of a reference (RFC 6901 in a URI fragment).
    pub(crate) fn target(&self, reference: &str) -> Result<&Value, Refusal> {
        let Some(pointer) = reference.strip_prefix('#') else {
            return Err(Refusal::ExternalReference(shorten(reference)));
        };
        let pointer = percent_decode_str(pointer).decode_utf8_lossy();
        self.root.pointer(&pointer).ok_or_else(|| Refusal::NoTarget(shorten(reference)))
    }
}

/// The text of a member that is a string.
pub(crate) fn text_of<'a>(object: &'a Object, name: &str) -> Option<&'a str> {
    object.get(name).and_then(Value::as_str)
}

/// Whether a member is `true`.
pub(crate) fn is_true(object: &Object, name: &str) -> bool {
    object.get(name) == Some(&Value::Bool(true))
}

/// Bytes that a copy of a value takes, roughly.
pub(crate) fn size(value: &Value) -> usize {
    let content = match value {
        Value::Array(items) => items.iter().map(size).sum(),
        Value::Object(members) => members.iter().map(|(name, value)| name.len() + size(value)).sum(),
        Value::String(text) => text.len(),
        Value::Bool(_) | Value::Null | Value::Number(_) => 0,
    };
    size_of::<Value>() + content
}

/// One line of at most 100 characters, for messages.
pub(crate) fn shorten(text: &str) -> String {
    clean(text, 100)
}

/// One line of at most `most` characters: each run of white space and control characters is one space, and there are no invisible
/// characters.
pub(crate) fn clean(text: &str, most: usize) -> String {
    let spaced = |c: char| if c.is_control() || c.is_whitespace() { ' ' } else { c };
    let words: String = text.chars().take(most * 8).map(spaced).filter(|c| !is_invisible(*c)).collect();
    let line = words.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= most {
        return line;
    }
    line.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

/// Bytes of the schemas of all operations together, with the copies that reading them takes. Of the public documents that were
/// tried, that of Elasticsearch takes the most: 400 MB.
const MAX_SCHEMAS: usize = 512 * 1024 * 1024;
/// References from one object to the next.
const MAX_HOPS: usize = 100;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn document_of_another_version_is_refused() {
        let error = |value| Document::new(value).err();
        assert_eq!(error(json!({ "openapi": "3.0.4" })), None);
        assert_eq!(error(json!({ "openapi": 3.1 })), None);
        assert_eq!(error(json!({ "swagger": "2.0" })), Some(DocumentError::Swagger));
        assert_eq!(error(json!({ "openapi": "3.2.0" })), Some(DocumentError::Version("3.2.0".to_owned())));
        for other in [json!({}), json!([]), json!("openapi"), json!({ "openapi": {} })] {
            assert_eq!(error(other), Some(DocumentError::NotOpenApi));
        }
    }

    #[test]
    fn reference_is_followed_inside_the_document_only() {
        let document = Document::new(json!({
            "openapi": "3.0.0",
            "paths": { "/a/{b}": { "x": 1 } },
            "components": { "a": { "$ref": "#/components/b" }, "b": { "found": true }, "loop": { "$ref": "#/components/loop" } },
        }))
        .unwrap();
        let object =
            |reference: &str| document.object(&json!({ "$ref": reference })).map(|object| json!(object));
        assert_eq!(object("#/components/a"), Ok(json!({ "found": true })));
        assert_eq!(object("#/paths/~1a~1%7Bb%7D"), Ok(json!({ "x": 1 })));
        assert_eq!(object("#/components/loop"), Err(Refusal::Cycle));
        assert_eq!(object("#/nowhere"), Err(Refusal::NoTarget("#/nowhere".to_owned())));
        for external in ["other.yaml#/a", "https://evil.example/a.json", "/etc/passwd"] {
            assert_eq!(object(external), Err(Refusal::ExternalReference(external.to_owned())));
        }
    }

    #[test]
    fn cleaned_text_is_one_bounded_line() {
        assert_eq!(clean(" a\n\tb \u{202e}c\u{e0041}\u{200b} ", 10), "a b c");
        assert_eq!(clean("abcdef", 4), "abc…");
    }
}
