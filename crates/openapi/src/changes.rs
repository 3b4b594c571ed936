//! The differences between two versions of a document, for its owner.

use std::collections::BTreeMap;

use crate::{catalog::Catalog, operation::Operation};

impl Catalog {
    /// The differences from an earlier version of the document that clients, users or the API notice, one sentence each.
    pub fn changes_since(&self, old: &Self) -> Vec<String> {
        let by_name = |catalog: &Self| -> BTreeMap<_, _> {
            let operations = catalog.operations.iter();
            operations.map(|operation| (operation.tool.name.to_string(), operation.clone())).collect()
        };
        let (before, after) = (by_name(old), by_name(self));
        let gone = before.keys().filter(|name| !after.contains_key(*name));
        let mut changes: Vec<_> =
            gone.map(|name| format!("- {name}: clients that use it get an error")).collect();
        for operation in &self.operations {
            if let Some(before) = before.get(&*operation.tool.name) {
                changes.extend(of_operation(before, operation));
            } else {
                let Operation { tool, scopes, .. } = operation;
                changes.push(format!("+ {} ({}): {NEW_APPROVAL}", tool.name, scopes.join(" ")));
            }
        }
        for scope in self.scopes() {
            let words = |catalog: &Self| catalog.scope_descriptions.get(&scope).cloned();
            if old.scopes().contains(&scope) && words(old) != words(self) {
                changes.push(format!("~ the scope {scope} has another description on the approval page"));
            }
        }
        if old.api != self.api {
            changes
                .push(format!("~ the API on the approval page is `{}` instead of `{}`", self.api, old.api));
        }
        if old.instructions != self.instructions {
            changes.push("~ models get other instructions about all tools".to_owned());
        }
        changes
    }
}

fn of_operation(before: &Operation, after: &Operation) -> Vec<String> {
    let name = &after.tool.name;
    let mut changes = Vec::new();
    let mut change = |text: String| changes.push(format!("~ {name} {text}"));
    if before.scopes != after.scopes {
        let (from, to) = (before.scopes.join(" "), after.scopes.join(" "));
        change(format!(
            "needs `{to}` instead of `{from}`: {}",
            effect_of_scopes(&before.scopes, &after.scopes)
        ));
    }
    if before.is_read_only() && !after.is_read_only() {
        change(format!("may change data now: {NEW_APPROVAL}"));
    }
    if !before.is_read_only() && after.is_read_only() {
        change("counts as read-only now".to_owned());
    }
    if before.is_destructive != after.is_destructive {
        change(
            if after.is_destructive { "asks the user first" } else { "no longer asks the user" }.to_owned(),
        );
    }
    if before.source != after.source {
        change(format!("is {} instead of {}", after.source, before.source));
    }
    if before.tool.title != after.tool.title || before.tool.description != after.tool.description {
        change("has another title or description".to_owned());
    }
    if before.tool.input_schema != after.tool.input_schema {
        change("has other arguments".to_owned());
    } else if before.source == after.source && before.plan != after.plan {
        change("sends the same arguments in another way, or other fixed values".to_owned());
    }
    if before.tool.output_schema != after.tool.output_schema
        || before.output.selection != after.output.selection
    {
        change("passes on other members of the response".to_owned());
    }
    changes
}

fn effect_of_scopes(before: &[String], after: &[String]) -> String {
    let added: Vec<_> = after.iter().filter(|scope| !before.contains(scope)).map(String::as_str).collect();
    let is_opened = before.iter().any(|scope| !after.contains(scope));
    let without = format!("applications without `{}`", added.join(" "));
    match (added.is_empty(), is_opened) {
        (true, _) => "applications that could not use it before need a new approval".to_owned(),
        (false, false) => format!("{without} need a new approval"),
        (false, true) => format!("{without}, and those that could not use it before, need a new approval"),
    }
}

const NEW_APPROVAL: &str = "applications that users approved before need a new approval to use it";

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn document() -> Value {
        let operation = json!({
            "operationId": "me", "summary": "Finds the user", "x-deputy-drop": ["ssn"], "x-deputy-fixed": { "tenant": "acme" },
            "security": [{ "oauth": ["read"] }],
            "parameters": [{ "name": "tenant", "in": "query" }, { "name": "q", "in": "query" }],
        });
        json!({
            "openapi": "3.0.0", "info": { "title": "People" }, "paths": { "/me": { "get": operation } },
            "components": { "securitySchemes": { "oauth": { "type": "oauth2", "flows": { "implicit": {
                "scopes": { "read": "See things", "write": "Change things" },
            } } } } },
        })
    }

    fn changes(change: impl FnOnce(&mut Value)) -> Vec<String> {
        let (old, mut new) = (document(), document());
        change(&mut new);
        let read = |document: &Value| Catalog::read(&document.to_string()).unwrap();
        read(&new).changes_since(&read(&old))
    }

    fn of_operation(change: impl FnOnce(&mut Value)) -> Vec<String> {
        changes(|document| change(&mut document["paths"]["/me"]["get"]))
    }

    #[test]
    fn change_that_clients_users_or_the_api_notice_is_named() {
        assert_eq!(changes(|_| {}), [""; 0]);
        let moved = changes(|document| {
            let operation = document["paths"]["/me"]["get"].take();
            document["paths"] = json!({ "/admin/all": { "get": operation } });
        });
        assert_eq!(moved, ["~ me is GET /admin/all instead of GET /me"]);
        let gone = of_operation(|operation| operation["operationId"] = "you".into());
        let new = format!("+ you (read): {NEW_APPROVAL}");
        assert_eq!(gone, ["- me: clients that use it get an error", &new]);
        for (member, value, expected) in [
            ("summary", json!("Finds all users"), "has another title or description"),
            ("x-deputy-drop", json!([]), "passes on other members of the response"),
            (
                "x-deputy-fixed",
                json!({ "tenant": "evil" }),
                "sends the same arguments in another way, or other fixed values",
            ),
            ("x-deputy-destructive", json!(true), "asks the user first"),
            (
                "parameters",
                json!([{ "name": "tenant", "in": "query" }, { "name": "q", "in": "header" }]),
                "sends the same arguments in another way, or other fixed values",
            ),
            ("parameters", json!([{ "name": "tenant", "in": "query" }]), "has other arguments"),
        ] {
            let changed = of_operation(|operation| operation[member] = value);
            assert!(changed.contains(&format!("~ me {expected}")), "{member} {changed:?}");
        }
    }

    #[test]
    fn further_scope_asks_for_approvals_of_those_without_it() {
        let scopes = |scopes: &str| {
            let scopes: Vec<_> = scopes.split_whitespace().collect();
            of_operation(|operation| operation["security"] = json!([{ "oauth": scopes }]))
        };
        assert_eq!(
            scopes("read write"),
            ["~ me needs `read write` instead of `read`: applications without `write` need a new approval"]
        );
        let replaced = "~ me needs `write` instead of `read`: applications without `write`, and those that could not use it before, need \
                        a new approval";
        assert_eq!(scopes("write"), [replaced]);
    }

    #[test]
    fn words_on_the_approval_page_and_for_models_are_compared() {
        let words = changes(|document| {
            document["x-deputy-scope-descriptions"] = json!({ "read": "See all" });
            document["x-deputy-api"] = "all people".into();
            document["x-deputy-instructions"] = "Obey.".into();
        });
        assert_eq!(
            words,
            [
                "~ the scope read has another description on the approval page",
                "~ the API on the approval page is `all people` instead of `People`",
                "~ models get other instructions about all tools",
            ]
        );
    }
}
