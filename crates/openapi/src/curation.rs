//! The keys `x-deputy-*`, which decide about operations: in the document, or added by an overlay.

use deputy::testing::is_tool_name;
use serde_json::Value;

use crate::{
    document::{Object, text_of},
    refusal::Refusal,
};

/// An operation, and the objects around it.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) path: &'a str,
    /// In lower case, as in the document.
    pub(crate) method: &'a str,
    pub(crate) root: &'a Object,
    pub(crate) item: &'a Object,
    pub(crate) operation: &'a Object,
}

impl<'a> Place<'a> {
    /// The value of a key at the operation, or else at its path, or else at the document.
    fn nearest(&self, key: &str) -> Option<&'a Value> {
        [self.operation, self.item, self.root].into_iter().find_map(|object| object.get(key))
    }

    fn flag(value: Option<&Value>, key: &'static str) -> Result<Option<bool>, Refusal> {
        value.map(|value| value.as_bool().ok_or(Refusal::Curation(key))).transpose()
    }

    /// Refuses an operation that is hidden, or that is deprecated and not included by name.
    pub(crate) fn check_hidden(&self) -> Result<(), Refusal> {
        let own = Self::flag(self.operation.get(HIDE), HIDE)?;
        let is_hidden = Self::flag(self.nearest(HIDE), HIDE)?;
        if is_hidden == Some(true) {
            return Err(Refusal::Hidden);
        }
        // Such as `deprecated: yes` in YAML, which is a text.
        let is_deprecated = self
            .operation
            .get("deprecated")
            .is_some_and(|value| !matches!(value, Value::Null | Value::Bool(false)));
        if is_deprecated && own != Some(false) { Err(Refusal::Deprecated) } else { Ok(()) }
    }

    /// The scopes that the curation decides for an operation without scopes.
    pub(crate) fn scopes(&self) -> Result<Option<Vec<String>>, Refusal> {
        self.nearest(SCOPES).map(|value| texts(value, SCOPES)).transpose()
    }

    /// The scopes that the curation decides for this operation alone, whatever the document says.
    pub(crate) fn own_scopes(&self) -> Result<Option<Vec<String>>, Refusal> {
        self.operation.get(SCOPES).map(|value| texts(value, SCOPES)).transpose()
    }

    pub(crate) fn is_destructive(&self) -> Result<bool, Refusal> {
        let marked = Self::flag(self.operation.get(DESTRUCTIVE), DESTRUCTIVE)?;
        Ok(marked.unwrap_or(self.method == "delete"))
    }

    pub(crate) fn is_read_only(&self) -> Result<bool, Refusal> {
        let marked = Self::flag(self.operation.get(READ_ONLY), READ_ONLY)?;
        Ok(marked.unwrap_or(self.method == "get") && !self.is_destructive()?)
    }

    /// The name of the tool, if the curation gives it one.
    pub(crate) fn name(&self) -> Result<Option<&'a str>, Refusal> {
        let Some(name) = self.operation.get(NAME) else { return Ok(None) };
        name.as_str().filter(|name| is_tool_name(name)).map(Some).ok_or(Refusal::Curation(NAME))
    }

    /// A prefix of the tool's name, for a group of operations.
    pub(crate) fn prefix(&self) -> Result<&'a str, Refusal> {
        let Some(prefix) = self.nearest(PREFIX) else { return Ok("") };
        let is_prefix = |prefix: &&str| {
            prefix.len() <= 32 && prefix.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
        };
        prefix.as_str().filter(is_prefix).ok_or(Refusal::Curation(PREFIX))
    }

    /// Arguments with a fixed value, and whether an operation without the argument is a mistake.
    pub(crate) fn fixed(&self) -> Result<Vec<(&'a str, &'a Value, bool)>, Refusal> {
        let mut fixed: Vec<(&str, &Value, bool)> = Vec::new();
        for (object, is_own) in [(self.operation, true), (self.item, false), (self.root, false)] {
            let Some(values) = object.get(FIXED) else { continue };
            for (name, value) in values.as_object().ok_or(Refusal::Curation(FIXED))? {
                if !fixed.iter().any(|(other, ..)| other == name) {
                    fixed.push((name, value, is_own));
                }
            }
        }
        Ok(fixed)
    }

    /// The members of the response to keep, as paths such as `items.id`.
    pub(crate) fn kept(&self) -> Result<Option<Vec<String>>, Refusal> {
        self.operation.get(FIELDS).map(|value| texts(value, FIELDS)).transpose()
    }

    /// The members of the response to drop, as paths such as `items.id`: those that the operation, its path or the document
    /// names.
    pub(crate) fn dropped(&self) -> Result<Vec<String>, Refusal> {
        let lists = [self.operation, self.item, self.root].into_iter().filter_map(|object| object.get(DROP));
        let lists = lists.map(|value| texts(value, DROP)).collect::<Result<Vec<_>, _>>()?;
        Ok(lists.concat())
    }

    /// The members of the response that the operation itself names, each with its key.
    pub(crate) fn own_fields(&self) -> Result<Vec<(&'static str, String)>, Refusal> {
        let mut fields = Vec::new();
        for key in [FIELDS, DROP] {
            let texts = self.operation.get(key).map(|value| texts(value, key)).transpose()?;
            fields.extend(texts.into_iter().flatten().map(|text| (key, text)));
        }
        Ok(fields)
    }

    /// Whether the operation or its path has servers that are not those of the document.
    pub(crate) fn has_other_servers(&self) -> bool {
        let own = self.operation.get("servers").or_else(|| self.item.get("servers"));
        own.is_some_and(|servers| Some(servers) != self.root.get("servers"))
    }

    /// The title of the tool.
    pub(crate) fn summary(&self) -> &'a str {
        text_of(self.operation, "summary").or_else(|| text_of(self.item, "summary")).unwrap_or_default()
    }

    /// The description of the tool.
    pub(crate) fn description(&self) -> &'a str {
        text_of(self.operation, "description")
            .or_else(|| text_of(self.item, "description"))
            .unwrap_or_default()
    }
}

fn texts(value: &Value, key: &'static str) -> Result<Vec<String>, Refusal> {
    let texts = value
        .as_array()
        .and_then(|values| values.iter().map(|value| value.as_str().map(str::to_owned)).collect());
    texts.ok_or(Refusal::Curation(key))
}

pub(crate) const DESTRUCTIVE: &str = "x-deputy-destructive";
pub(crate) const DROP: &str = "x-deputy-drop";
pub(crate) const FIELDS: &str = "x-deputy-fields";
pub(crate) const FIXED: &str = "x-deputy-fixed";
pub(crate) const HIDE: &str = "x-deputy-hide";
pub(crate) const NAME: &str = "x-deputy-name";
pub(crate) const PREFIX: &str = "x-deputy-prefix";
pub(crate) const READ_ONLY: &str = "x-deputy-read-only";
pub(crate) const SCOPES: &str = "x-deputy-scopes";
