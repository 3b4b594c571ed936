//! The tools, as pages for users describe them.

use crate::types::Scopes;

/// A tool, as pages for users describe it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolSummary {
    /// `name`
    pub name: String,
    /// `title`, or `name` if there is no title.
    pub title: String,
    /// Whether the tool declares that it changes nothing (`readOnlyHint`).
    pub is_read_only: bool,
    /// The scopes that it needs.
    pub scopes: Vec<String>,
}

/// The scopes of the read-only tools. Empty if a tool that changes something needs no other scopes.
pub(crate) fn read_only_scopes(tools: &[ToolSummary]) -> Scopes {
    let of_readers = tools.iter().filter(|tool| tool.is_read_only).flat_map(|tool| &tool.scopes);
    let mut scopes: Vec<&str> = Vec::new();
    for scope in of_readers.map(String::as_str) {
        if !scopes.contains(&scope) {
            scopes.push(scope);
        }
    }
    let opens = |tool: &ToolSummary| tool.scopes.iter().all(|scope| scopes.contains(&scope.as_str()));
    if tools.iter().any(|tool| !tool.is_read_only && opens(tool)) {
        return Scopes::default();
    }
    Scopes::of(scopes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool(is_read_only: bool, scopes: &[&str]) -> ToolSummary {
        let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        ToolSummary { name: String::new(), title: String::new(), is_read_only, scopes }
    }

    #[test]
    fn read_only_scopes_open_no_tool_that_changes_something() {
        let scopes = |tools: &[ToolSummary]| read_only_scopes(tools).to_string();
        assert_eq!(
            scopes(&[tool(true, &["read"]), tool(true, &[]), tool(false, &["read", "write"])]),
            "read"
        );
        assert_eq!(scopes(&[tool(true, &["a"]), tool(true, &["b", "a"]), tool(false, &["c"])]), "a b");
        assert_eq!(scopes(&[tool(true, &["a"]), tool(false, &["a"])]), "");
        assert_eq!(scopes(&[tool(true, &["a"]), tool(false, &[])]), "");
        assert_eq!(scopes(&[]), "");
    }
}
