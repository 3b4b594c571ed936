//! The tools, prompts and resources of the server, as approvals know them.

use super::{Handler, tool_summary::read_only_scopes};
use crate::types::{ApprovedTools, Scopes, ToolDigest};

/// The tools that pages list, and the prompts and resources for which scopes are declared.
#[derive(Debug)]
pub(crate) struct Catalog {
    entries: Vec<Entry>,
    /// The scopes of the read-only tools. Empty if a tool that changes something needs no other scopes.
    pub(crate) read_only_scopes: Scopes,
}

#[derive(Debug)]
struct Entry {
    name: String,
    /// The text for users.
    title: String,
    scopes: Vec<String>,
    digest: ToolDigest,
    /// The digest that the tool had if it did not declare yet that it changes nothing.
    before_read_only: ToolDigest,
}

impl Catalog {
    /// The catalog of `handler`.
    pub(crate) fn of(handler: &dyn Handler) -> Self {
        let entry = |name: String, title, scopes, is_read_only| Entry {
            digest: ToolDigest::of(&name, is_read_only),
            before_read_only: ToolDigest::of(&name, false),
            name,
            title,
            scopes,
        };
        let tools = handler.tools();
        let read_only_scopes = read_only_scopes(&tools);
        let tools = tools.into_iter();
        let mut entries: Vec<_> =
            tools.map(|tool| entry(tool.name, tool.title, tool.scopes, tool.is_read_only)).collect();
        let tools = entries.len();
        for (scope, name) in handler.declared_scopes() {
            match entries.iter().position(|entry| entry.name == name) {
                Some(place) if place < tools => {}
                Some(place) => entries[place].scopes.push(scope),
                None => entries.push(entry(name.clone(), name, vec![scope], true)),
            }
        }
        Self { entries, read_only_scopes }
    }

    /// The tools that `scopes` open.
    pub(crate) fn opened_by(&self, scopes: &Scopes) -> ApprovedTools {
        self.opened(scopes).map(|entry| entry.digest).collect()
    }

    /// The titles of the tools that `scopes` open and that are not in `approved`.
    pub(crate) fn not_approved<'a>(
        &'a self,
        scopes: &'a Scopes,
        approved: &'a ApprovedTools,
    ) -> impl Iterator<Item = &'a str> {
        self.opened(scopes).filter(|entry| !entry.is_in(approved)).map(|entry| entry.title.as_str())
    }

    /// Whether the tool, prompt or resource with this name is in `approved`. One that is on no page needs no approval.
    pub(crate) fn is_approved(&self, name: &str, approved: &ApprovedTools) -> bool {
        self.entries.iter().find(|entry| entry.name == name).is_none_or(|entry| entry.is_in(approved))
    }

    fn opened<'a>(&'a self, scopes: &'a Scopes) -> impl Iterator<Item = &'a Entry> {
        self.entries.iter().filter(|entry| entry.scopes.iter().all(|scope| scopes.contains(scope)))
    }
}

impl Entry {
    fn is_in(&self, approved: &ApprovedTools) -> bool {
        approved.contains(self.digest) || approved.contains(self.before_read_only)
    }
}
