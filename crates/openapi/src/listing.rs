//! The tools of a catalog as a text for the operator.

use serde_json::Value;

use crate::{
    catalog::{Catalog, RefusedOperation},
    operation::Operation,
    refusal::Refusal,
};

impl Catalog {
    /// The tools as agents see them, the scopes as the approval page shows them, the operations that are not served, and what
    /// could be better.
    pub fn listing(&self) -> String {
        let warnings = self.warnings();
        let mut lines = vec![format!("{}: {}", self.api, count(self.operations.len(), "tool"))];
        for operation in &self.operations {
            lines.push(String::new());
            lines.extend(tool_lines(operation));
        }
        let scopes = self.scopes();
        if !scopes.is_empty() {
            lines.extend([String::new(), "Scopes, as the approval page shows them:".to_owned()]);
        }
        for scope in &scopes {
            let words = self.scope_descriptions.get(scope).map_or("(no description)", String::as_str);
            lines.push(format!("  {scope}: {words}"));
        }
        if !self.refused.is_empty() {
            let refused = count(self.refused.len(), "operation");
            lines.extend([String::new(), format!("{refused} not served:")]);
        }
        for refused in &self.refused {
            lines.push(format!("  {}: {}", refused.source, refused.refusal));
        }
        let without_scopes = |refused: &&RefusedOperation| refused.refusal == Refusal::NoScopes;
        if self.refused.iter().filter(without_scopes).count() > 1 {
            let hint = "To decide for all operations without scopes at once, set x-deputy-scopes at the document (target: $), such as \
                        [api.use], or [] if every signed-in user may use them.";
            lines.extend([String::new(), hint.to_owned()]);
        }
        if !warnings.is_empty() {
            lines.extend([String::new(), format!("{}:", count(warnings.len(), "warning"))]);
        }
        lines.extend(warnings.iter().map(|warning| format!("  {warning}")));
        lines.join("\n")
    }
}

fn tool_lines(operation: &Operation) -> Vec<String> {
    let Operation { tool, scopes, is_destructive, source, .. } = operation;
    let effect = match (operation.is_read_only(), is_destructive) {
        (true, _) => "read-only",
        (false, true) => "asks the user first",
        (false, false) => "changes data",
    };
    let scopes = if scopes.is_empty() { "no scope".to_owned() } else { scopes.join(" ") };
    let mut lines = vec![format!("{} ({source}; {scopes}; {effect})", tool.name)];
    lines.push(format!("  {}", tool.description.as_deref().unwrap_or_default()));
    let required = tool.input_schema.get("required").and_then(Value::as_array);
    let properties = tool.input_schema.get("properties").and_then(Value::as_object);
    for (name, schema) in properties.into_iter().flatten() {
        let is_required = required.is_some_and(|required| required.iter().any(|other| other == name));
        let kind = schema.get("type").and_then(Value::as_str).unwrap_or("any");
        let necessity = if is_required { "" } else { ", optional" };
        let words = schema.get("description").and_then(Value::as_str).unwrap_or_default();
        lines.push(format!("    {name} ({kind}{necessity}) {words}").trim_end().to_owned());
    }
    lines
}

fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}
