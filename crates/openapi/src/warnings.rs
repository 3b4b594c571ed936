//! Weaknesses of the tools of a document, for its owner.

use std::collections::BTreeMap;

use deputy::{testing::tool_problems, types::Scopes};

use crate::{
    catalog::Catalog,
    operation::{MAX_DESCRIPTION, Operation},
};

impl Catalog {
    /// Weaknesses of the tools for agents, for the users who approve them, and in safety: one sentence each.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let count = self.operations.len();
        if count > MANY_TOOLS {
            warnings.push(format!(
                "{count} tools: models choose worse among many, and some clients pass on {MANY_TOOLS} at most; x-deputy-hide leaves out \
                 those that agents do not need"
            ));
        }
        if self.scopes().len() > Scopes::MOST {
            warnings.push(format!(
                "{} scopes: API_SCOPES can have {} at most",
                self.scopes().len(),
                Scopes::MOST
            ));
        }
        if let Some(first) = self.keys_beside_overlay.first() {
            warnings.push(format!(
                "keys of Deputy in the document itself, {} of them, are nearer to operations than keys of the overlay can be; the first: {first}",
                self.keys_beside_overlay.len()
            ));
        }
        for scope in self.scopes().iter().filter(|scope| !self.scope_descriptions.contains_key(*scope)) {
            warnings.push(format!(
                "the scope {scope} has no description for the approval page; x-deputy-scope-descriptions can give it one"
            ));
        }
        warnings.extend(self.ambiguous_names());
        for operation in &self.operations {
            let name = &operation.tool.name;
            warnings.extend(of_operation(operation).into_iter().map(|warning| format!("{name}: {warning}")));
        }
        warnings
    }

    /// Tools with the same title, or with names that differ in case and separators only.
    fn ambiguous_names(&self) -> Vec<String> {
        let mut alike: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for operation in &self.operations {
            let name = &*operation.tool.name;
            let letters = |text: &str| {
                text.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase()
            };
            let title = operation.tool.title.as_deref().unwrap_or(name);
            for key in [format!("name {}", letters(name)), format!("title {}", letters(title))] {
                alike.entry(key).or_default().push(name);
            }
        }
        let ambiguous = alike.into_iter().filter(|(_, names)| names.len() > 1);
        ambiguous
            .map(|(key, names)| {
                let kind = key.split(' ').next().unwrap_or_default();
                format!("{}: a model can hardly tell them apart by their {kind}", names.join(", "))
            })
            .collect()
    }
}

fn of_operation(operation: &Operation) -> Vec<String> {
    let tool = &operation.tool;
    let mut warnings = Vec::new();
    let description = tool.description.as_deref().unwrap_or_default();
    if description.chars().count() < SHORT_DESCRIPTION {
        warnings.push("its description is too short for a model to know when to use it".to_owned());
    } else if description.chars().count() >= MAX_DESCRIPTION {
        warnings.push(format!("its description is cut after {MAX_DESCRIPTION} characters"));
    }
    let is_read_only = operation.is_read_only();
    if operation.scopes.is_empty() && !is_read_only {
        warnings.push("it changes something and needs no scope, so that every client may call it".to_owned());
    }
    if let Some(secret) = secret_in(&serde_json::to_string(tool).unwrap_or_default()) {
        warnings.push(format!("its description or a default contains what looks like a secret ({secret}…)"));
    }
    let problems = tool_problems(tool);
    if let Some(first) = problems.first() {
        let first = first.split_once(": ").map_or(first.as_str(), |(_, problem)| problem);
        warnings
            .push(format!("some models refuse its schema, in {} places; the first: {first}", problems.len()));
    }
    if operation.has_other_servers {
        warnings.push("the document has other servers for it, and Deputy sends it to API_URL".to_owned());
    }
    for name in &operation.undeclared {
        warnings.push(format!(
            "the document does not declare the parameter `{name}` of its path, which takes every text"
        ));
    }
    for field in &operation.output.unknown_fields {
        warnings.push(format!("{field} is no member of its response"));
    }
    if !operation.left_out.is_empty() {
        warnings.push(format!("it is called without {}", operation.left_out.join(", ")));
    }
    warnings
}

/// The beginning of a credential in a text.
fn secret_in(text: &str) -> Option<&'static str> {
    SECRETS.into_iter().find(|secret| {
        text.match_indices(secret).any(|(at, _)| {
            let rest = &text[at + secret.len()..];
            let length = rest
                .find(|c: char| !(c.is_ascii_alphanumeric() || "_-.+/=".contains(c)))
                .unwrap_or(rest.len());
            length >= 12
        })
    })
}

/// Tools that some clients pass on at most.
const MANY_TOOLS: usize = 40;
const SHORT_DESCRIPTION: usize = 20;
/// Beginnings of credentials: of Stripe, GitHub, Slack, Amazon, and JSON web tokens.
const SECRETS: [&str; 8] =
    ["sk_live_", "rk_live_", "ghp_", "github_pat_", "xoxb-", "xoxp-", "AKIA", "eyJhbGci"];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn weaknesses_of_tools_are_named() {
        let long = "word ".repeat(300);
        let document = json!({
            "openapi": "3.0.0", "x-deputy-scopes": ["a"],
            "paths": {
                "/1": { "get": { "operationId": "find_it", "description": "Finds the thing that is asked for.", "x-deputy-scopes": [] } },
                "/2": { "get": { "operationId": "findIt", "description": long } },
                "/3": { "post": { "operationId": "make", "x-deputy-scopes": [], "description": "Makes a thing with sk_live_0123456789abcdef." } },
                "/4/{id}": { "get": {
                    "operationId": "x", "summary": "Get", "parameters": [{ "name": "s", "in": "cookie" }], "servers": [{ "url": "https://files.example" }],
                } },
            },
        });
        let warnings = Catalog::read(&document.to_string()).unwrap().warnings();
        assert_eq!(
            warnings,
            [
                "the scope a has no description for the approval page; x-deputy-scope-descriptions can give it one",
                "find_it, findIt: a model can hardly tell them apart by their name",
                "find_it, findIt: a model can hardly tell them apart by their title",
                "findIt: its description is cut after 1024 characters",
                "make: it changes something and needs no scope, so that every client may call it",
                "make: its description or a default contains what looks like a secret (sk_live_…)",
                "x: its description is too short for a model to know when to use it",
                "x: the document has other servers for it, and Deputy sends it to API_URL",
                "x: the document does not declare the parameter `id` of its path, which takes every text",
                "x: it is called without the cookie `s`",
            ]
        );
        assert_eq!(secret_in("the prefix ghp_ of tokens"), None);
    }

    #[test]
    fn keys_of_the_document_beside_an_overlay_are_a_warning() {
        let operation = json!({ "summary": "Finds the thing that is asked for", "x-deputy-hide": false });
        let document =
            json!({ "openapi": "3.0.0", "x-deputy-scopes": [], "paths": { "/a": { "get": operation } } });
        let overlay =
            r#"{ "overlay": "1.0.0", "actions": [{ "target": "$", "update": { "x-deputy-hide": true } }] }"#;
        let warnings = Catalog::curated(&document.to_string(), overlay).unwrap().warnings();
        let expected = "keys of Deputy in the document itself, 1 of them, are nearer to operations than keys of the overlay can be; the \
                        first: x-deputy-hide at get /a";
        assert_eq!(warnings, [expected]);
        assert_eq!(Catalog::read(&document.to_string()).unwrap().warnings(), [""; 0]);
    }

    #[test]
    fn many_tools_are_a_warning() {
        let paths: serde_json::Map<_, _> = (0..50)
            .map(|n| (format!("/{n}"), json!({ "get": { "summary": format!("Gets the thing number {n}") } })))
            .collect();
        let document = json!({ "openapi": "3.0.0", "x-deputy-scopes": [], "paths": paths });
        let warnings = Catalog::read(&document.to_string()).unwrap().warnings();
        assert!(warnings.len() == 1 && warnings[0].starts_with("50 tools: "), "{warnings:?}");
    }
}
