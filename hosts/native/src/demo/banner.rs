//! The text that the demo prints when it is ready.

use std::{fmt, path::Path};

use deputy::config::short_name;

use super::pingone::User;

/// URLs, users, and how to connect a client.
pub(super) struct Banner<'a> {
    pub(super) mcp: &'a str,
    pub(super) api: &'a str,
    /// The words for the API of an OpenAPI document.
    pub(super) document: Option<&'a str>,
    /// The check of access tokens by an API that is not a part of the demo.
    pub(super) verification: Option<Verification<'a>>,
    pub(super) pingone: &'a str,
    pub(super) users: &'a [User],
    pub(super) data_dir: &'a Path,
}

/// The values with which an API verifies access tokens.
pub(super) struct Verification<'a> {
    pub(super) issuer: &'a str,
    pub(super) audience: &'a str,
}

impl fmt::Display for Banner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mcp, api, document, verification, pingone, users, data_dir } = self;
        let name = document.map_or("todos".to_owned(), short_name);
        writeln!(
            f,
            "\nDeputy's demo is ready. Everything runs on this computer, and PingOne is a simulator.\n"
        )?;
        writeln!(f, "  MCP server   {mcp}")?;
        writeln!(f, "  API          {api}")?;
        writeln!(f, "  PingOne      {pingone}\n")?;
        if let Some(Verification { issuer, audience }) = verification {
            writeln!(f, "Your API verifies access tokens, which are JWTs with RS256, with\n")?;
            writeln!(f, "  iss          {issuer}")?;
            writeln!(f, "  key set      {issuer}/jwks")?;
            writeln!(f, "  aud          {audience}\n")?;
        }
        writeln!(f, "Connect a client:\n")?;
        writeln!(
            f,
            "  MCP Inspector   npx @modelcontextprotocol/inspector --transport http --server-url {mcp}"
        )?;
        writeln!(f, "  Claude Code     claude mcp add --transport http {name} {mcp}")?;
        writeln!(f, "                  claude mcp login {name}")?;
        writeln!(f, "  Codex           codex mcp add {name} --url {mcp}")?;
        writeln!(
            f,
            "  VS Code         code --add-mcp '{{\"name\":\"{name}\",\"type\":\"http\",\"url\":\"{mcp}\"}}'"
        )?;
        writeln!(f, "  Cursor          put this into .cursor/mcp.json:")?;
        writeln!(f, "                  {{\"mcpServers\":{{\"{name}\":{{\"url\":\"{mcp}\"}}}}}}\n")?;
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
        let kept = match (verification, document) {
            (Some(_), _) => "Logins are",
            (None, Some(_)) => "Logins and the data of the API are",
            (None, None) => "Logins and todos are",
        };
        writeln!(f, "{kept} kept in {}; --reset deletes them. Control-C stops.", data_dir.display())
    }
}
