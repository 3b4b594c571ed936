//! The results of the tools, as values and as text.

use std::fmt::Write as _;

use deputy::mcp::{ApiToken, Caller, Client, User};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use crate::inputs::{TEXT_CHARACTERS, TodoId};

/// A user's todos, as the API returns them and as the model sees them.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct TodoList {
    /// All todos of the user, oldest first.
    #[serde(deserialize_with = "at_most_1000")]
    todos: Vec<Todo>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
struct Todo {
    /// The id, for the other tools.
    id: TodoId,
    /// The text that the user wrote.
    #[serde(deserialize_with = "short")]
    text: String,
    /// Whether the todo is done.
    completed: bool,
}

impl TodoList {
    /// Whether the list has a todo with this id.
    pub(crate) fn has(&self, id: &TodoId) -> bool {
        self.todos.iter().any(|todo| todo.id == *id)
    }

    /// The text of the todo with this id, in quotes.
    pub(crate) fn quoted_text(&self, id: &TodoId) -> Option<String> {
        self.todos.iter().find(|todo| todo.id == *id).map(|todo| quote(&todo.text))
    }

    /// A summary and a line for each todo. Texts are in quotes, so that they cannot imitate a line.
    pub(crate) fn text(&self) -> String {
        let open = self.todos.iter().filter(|todo| !todo.completed).count();
        let mut text = match self.todos.len() {
            0 => "no todos.".to_owned(),
            1 => format!("1 todo, {open} open."),
            total => format!("{total} todos, {open} open."),
        };
        for Todo { id, text: todo_text, completed } in &self.todos {
            let mark = if *completed { 'x' } else { ' ' };
            // Writing to a `String` cannot fail.
            let _ = write!(text, "\n[{mark}] {} (id {})", quote(todo_text), id.as_str());
        }
        text
    }
}

/// The user and the client of a tool call, and the access token for the API.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WhoAmI {
    /// The user who signed in.
    user: SignedInUser,
    /// The MCP client that the user approved.
    client: McpClient,
    /// The scopes of the token that this tool was called with.
    scopes: Vec<String>,
    /// The PingOne access token for the Todo API.
    access_token: AccessToken,
}

#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
struct SignedInUser {
    /// The user's identifier at PingOne.
    sub: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    email: Option<String>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
struct McpClient {
    /// `client_id`.
    id: String,
    /// The name that the client chose.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    name: Option<String>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
struct AccessToken {
    /// `iss`.
    issuer: String,
    /// `sub`.
    subject: String,
    /// `aud`: the APIs that accept it.
    audience: Vec<String>,
    /// The scopes of this token at the API.
    scopes: Vec<String>,
    /// `exp`: seconds since 1970.
    // Strict validators do not know the format `uint64`.
    #[schemars(with = "i64")]
    expires_at: u64,
    /// Seconds until it expires. Deputy refreshes it before that, if PingOne allows.
    #[schemars(with = "i64")]
    expires_in: u64,
    /// The token itself; only if the operator has turned this on.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    raw: Option<String>,
}

impl WhoAmI {
    /// The result for a caller and the token.
    pub(crate) fn new(caller: &Caller, token: &ApiToken) -> Self {
        let User { sub, name, username, email } = caller.user();
        let Client { id, name: client_name } = caller.client();
        let ApiToken { issuer, subject, audience, scopes, expires_at, raw } = token;
        Self {
            user: SignedInUser {
                sub: shorten(sub),
                name: name.as_deref().map(shorten),
                username: username.as_deref().map(shorten),
                email: email.as_deref().map(shorten),
            },
            client: McpClient { id: shorten(id), name: client_name.as_deref().map(shorten) },
            scopes: caller.scopes().to_vec(),
            access_token: AccessToken {
                issuer: issuer.clone(),
                subject: shorten(subject),
                audience: audience.clone(),
                scopes: scopes.clone(),
                expires_at: expires_at.0,
                expires_in: expires_at.since(caller.now()),
                raw: raw.as_ref().map(|raw| raw.expose().clone()),
            },
        }
    }

    /// This result as text, in a few lines.
    pub(crate) fn text(&self) -> String {
        let Self { user, client, scopes, access_token } = self;
        let AccessToken { issuer, subject: _, audience, scopes: granted, expires_at: _, expires_in, raw } =
            access_token;
        let name = user.name.as_ref().or(user.username.as_ref()).or(user.email.as_ref()).unwrap_or(&user.sub);
        let client = client.name.as_ref().unwrap_or(&client.id);
        let mut text = format!(
            "You act for {} (sub {}) through the client {}.\nScopes of this connection: {}.\nPingOne access token: \
             issued by {issuer} for {}, scopes {}, expires in {} minutes.",
            quote(name),
            quote(&user.sub),
            quote(client),
            scopes.join(" "),
            audience.join(", "),
            granted.join(" "),
            expires_in / 60,
        );
        if let Some(raw) = raw {
            let _ =
                write!(text, "\nThe token itself, shown because this server has WHO_AM_I_TOKEN=full: {raw}");
        }
        text
    }
}

/// Refuses a list that is longer than the API allows, since it would fill the model's context.
fn at_most_1000<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Todo>, D::Error> {
    let todos = Vec::<Todo>::deserialize(deserializer)?;
    if todos.len() <= 1000 { Ok(todos) } else { Err(serde::de::Error::custom("too many todos")) }
}

fn short<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    String::deserialize(deserializer).map(|text| shorten(&text))
}

/// One line of at most the length of a todo's text.
fn shorten(text: &str) -> String {
    let mut characters = text.chars().map(|character| if character.is_control() { ' ' } else { character });
    let mut short: String = characters.by_ref().take(TEXT_CHARACTERS).collect();
    if characters.next().is_some() {
        short.push('…');
    }
    short
}

fn quote(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
