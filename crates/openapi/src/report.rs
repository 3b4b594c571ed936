//! The tools of a catalog for the operator's programs: as JSON, their problems, their differences from an earlier version.

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

    /// The differences from an earlier version of the document that clients and users notice, one sentence each.
    pub fn changes_since(&self, old: &Self) -> Vec<String> {
        let mut changes = Vec::new();
        for operation in &old.operations {
            let name = &operation.tool.name;
            if self.find(name).is_none() {
                changes.push(format!("- {name}: clients that use it get an error"));
            }
        }
        for operation in &self.operations {
            let name = &operation.tool.name;
            let asks = "applications that users approved before need a new approval to use it";
            let Some(before) = old.find(name) else {
                changes.push(format!("+ {name} ({}): {asks}", operation.scopes.join(" ")));
                continue;
            };
            if before.scopes != operation.scopes {
                let (from, to) = (before.scopes.join(" "), operation.scopes.join(" "));
                let is_opened = !before.scopes.iter().all(|scope| operation.scopes.contains(scope));
                let effect = if is_opened {
                    "applications that could not use it before need a new approval"
                } else {
                    "applications have to ask for the further scopes"
                };
                changes.push(format!("~ {name} needs `{to}` instead of `{from}`: {effect}"));
            }
            if before.is_read_only() && !operation.is_read_only() {
                changes.push(format!("~ {name} may change data now: {asks}"));
            }
            if before.is_destructive != operation.is_destructive {
                let now =
                    if operation.is_destructive { "asks the user first" } else { "no longer asks the user" };
                changes.push(format!("~ {name} {now}"));
            }
            if before.tool.input_schema != operation.tool.input_schema {
                changes.push(format!("~ {name} has other arguments"));
            }
        }
        changes
    }

    fn find(&self, name: &str) -> Option<&Operation> {
        self.operations.iter().find(|operation| operation.tool.name == name)
    }
}
