//! The tools of a catalog for the operator's programs: as JSON, their problems, and a path to try.

use serde_json::{Value, json};

use crate::{catalog::Catalog, operation::Operation, refusal::Refusal};

impl Catalog {
    /// The tools with the schemas that agents see, the scopes, the operations that are not served, and the warnings.
    pub fn json(&self) -> Value {
        let tools: Vec<_> = self
            .operations
            .iter()
            .map(|Operation { tool, scopes, is_destructive, source, .. }| {
                json!({ "tool": tool, "operation": source, "scopes": scopes, "asksUser": is_destructive })
            })
            .collect();
        let refused: Vec<_> = self
            .refused
            .iter()
            .map(|refused| {
                json!({ "operation": refused.source, "operationId": refused.operation_id, "reason": refused.refusal.to_string() })
            })
            .collect();
        let Self { api, scope_descriptions, .. } = self;
        json!({
            "api": api, "scopes": self.scopes(), "scopeDescriptions": scope_descriptions, "tools": tools, "refused": refused,
            "warnings": self.warnings(),
        })
    }

    /// The number of warnings, and of operations that are left out by no decision of the operator.
    pub fn problems(&self) -> usize {
        let is_undecided = |refusal: &Refusal| !matches!(refusal, Refusal::Hidden | Refusal::Deprecated);
        self.warnings().len() + self.refused.iter().filter(|refused| is_undecided(&refused.refusal)).count()
    }

    /// The path of an operation that reads, needs a scope and takes no arguments, if there is one.
    pub fn path_without_arguments(&self) -> Option<&str> {
        let paths =
            self.operations.iter().filter(|operation| !operation.scopes.is_empty()).filter_map(|operation| {
                let is_required = operation.tool.input_schema.get("required").and_then(Value::as_array);
                let has_required = is_required.is_some_and(|names| !names.is_empty());
                operation.source.strip_prefix("GET ").filter(|path| !has_required && !path.contains('{'))
            });
        paths.min_by_key(|path| path.len())
    }
}
