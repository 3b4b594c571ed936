//! The tools of a catalog for the operator's programs: as JSON, and their problems.

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
}
