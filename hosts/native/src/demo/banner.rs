//! The text that the demo prints when it is ready.

use std::{fmt, path::Path};

use super::pingone::User;

/// URLs, users, and how to connect a client.
pub(super) struct Banner<'a> {
    pub(super) mcp: &'a str,
    pub(super) api: &'a str,
    /// The words for the API of an OpenAPI document.
    pub(super) document: Option<&'a str>,
    pub(super) pingone: &'a str,
    pub(super) users: &'a [User],
    pub(super) data_dir: &'a Path,
}

impl fmt::Display for Banner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mcp, api, document, pingone, users, data_dir } = self;
        writeln!(
            f,
            "\nDeputy's demo is ready. Everything runs on this computer, and PingOne is a simulator.\n"
        )?;
        writeln!(f, "  MCP server   {mcp}")?;
        writeln!(f, "  API          {api}")?;
        writeln!(f, "  PingOne      {pingone}\n")?;
        writeln!(f, "Connect a client:\n")?;
        writeln!(
            f,
            "  MCP Inspector   npx @modelcontextprotocol/inspector --transport http --server-url {mcp}"
        )?;
        writeln!(f, "  Claude Code     claude mcp add --transport http todos {mcp}")?;
        writeln!(f, "                  claude mcp login todos")?;
        writeln!(f, "  Codex           codex mcp add todos --url {mcp}")?;
        writeln!(
            f,
            "  VS Code         code --add-mcp '{{\"name\":\"todos\",\"type\":\"http\",\"url\":\"{mcp}\"}}'"
        )?;
        writeln!(f, "  Cursor          put this into .cursor/mcp.json:")?;
        writeln!(f, "                  {{\"mcpServers\":{{\"todos\":{{\"url\":\"{mcp}\"}}}}}}\n")?;
        writeln!(f, "A browser opens. Approve the client, and log in as\n")?;
        for User { username, password, .. } in *users {
            writeln!(f, "  {username:<12} password {password}")?;
        }
        if let Some(words) = document {
            writeln!(f, "\nor register a new user. Then ask for something of {words}.\n")?;
        } else {
            writeln!(
                f,
                "\nor register a new user. Then ask for your todos, and who you are: the demo shows the PingOne access"
            )?;
            writeln!(f, "token (WHO_AM_I_TOKEN=full), which deputy serve does not show by default.\n")?;
        }
        writeln!(
            f,
            "Logins and todos are kept in {}; --reset deletes them. Control-C stops.",
            data_dir.display()
        )
    }
}
