//! What the tools answer, as values and as text.

use std::fmt::Write as _;

use deputy::mcp::{ApiToken, Caller, Client, User};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use crate::inputs::{TEXT_CHARACTERS, TodoId};

/// A person's todos, read from the API and shown to a model.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct TodoList {
    /// All todos of the person, oldest first.
    #[serde(deserialize_with = "at_most_1000")]
    todos: Vec<Todo>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
struct Todo {
    /// What the other tools take.
    id: TodoId,
    /// What is to be done, in the person's words.
    #[serde(deserialize_with = "short")]
    text: String,
    /// Whether it is done.
    completed: bool,
}

impl TodoList {
    /// Whether it has a todo with this id.
    pub(crate) fn has(&self, id: &TodoId) -> bool {
        self.todos.iter().any(|todo| todo.id == *id)
    }

    /// The quoted text of one todo.
    pub(crate) fn quote(&self, id: &TodoId) -> Option<String> {
        self.todos.iter().find(|todo| todo.id == *id).map(|todo| quoted(&todo.text))
    }

    /// One line for each todo. Quoted, so that no text can pass for a line of ours.
    pub(crate) fn text(&self) -> String {
        let open = self.todos.iter().filter(|todo| !todo.completed).count();
        let mut text = match self.todos.len() {
            0 => "no todos.".to_owned(),
            1 => format!("1 todo, {open} open."),
            total => format!("{total} todos, {open} open."),
        };
        for Todo { id, text: what, completed } in &self.todos {
            let mark = if *completed { 'x' } else { ' ' };
            // Writing to a `String` cannot fail.
            let _ = write!(text, "\n[{mark}] {} (id {})", quoted(what), id.as_str());
        }
        text
    }
}

/// On whose behalf a tool acts.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WhoAmI {
    /// The person who signed in.
    user: Person,
    /// The MCP client that the person approved.
    client: McpClient,
    /// The scopes of the token with which this tool was called.
    scopes: Vec<String>,
    /// The `PingOne` access token that goes to the Todo API.
    access_token: AccessToken,
}

#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
struct Person {
    /// The person's identifier at `PingOne`.
    sub: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
struct McpClient {
    /// `client_id`.
    id: String,
    /// The name that the client gave itself.
    #[serde(skip_serializing_if = "Option::is_none")]
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
    /// What it allows there.
    scopes: Vec<String>,
    /// `exp`: seconds since 1970.
    // `uint64` is a format that strict validators do not know.
    #[schemars(with = "i64")]
    expires_at: u64,
    /// Seconds from now until it expires. Deputy gets another one before that, if PingOne lets it.
    #[schemars(with = "i64")]
    expires_in: u64,
    /// The token itself; only where the operator chose to show it.
    #[serde(skip_serializing_if = "Option::is_none")]
    raw: Option<String>,
}

impl WhoAmI {
    /// What `caller` and their token say.
    pub(crate) fn new(caller: &Caller, token: &ApiToken) -> Self {
        let User { sub, name, username, email } = caller.user();
        let Client { id, name: client_name } = caller.client();
        let ApiToken { issuer, subject, audience, scopes, expires_at, raw } = token;
        Self {
            user: Person {
                sub: cut(sub),
                name: name.as_deref().map(cut),
                username: username.as_deref().map(cut),
                email: email.as_deref().map(cut),
            },
            client: McpClient { id: cut(id), name: client_name.as_deref().map(cut) },
            scopes: caller.scopes().to_vec(),
            access_token: AccessToken {
                issuer: issuer.clone(),
                subject: cut(subject),
                audience: audience.clone(),
                scopes: scopes.clone(),
                expires_at: expires_at.0,
                expires_in: expires_at.since(caller.now()),
                raw: raw.as_ref().map(|raw| raw.expose().clone()),
            },
        }
    }

    /// A line for each thing that is known.
    pub(crate) fn text(&self) -> String {
        let Self { user, client, scopes, access_token } = self;
        let AccessToken { issuer, subject: _, audience, scopes: granted, expires_at: _, expires_in, raw } =
            access_token;
        let name = user.name.as_ref().or(user.username.as_ref()).or(user.email.as_ref()).unwrap_or(&user.sub);
        let client = client.name.as_ref().unwrap_or(&client.id);
        let mut text = format!(
            "You act for {} (sub {}) through the client {}.\nScopes of this connection: {}.\nPingOne access token: \
             issued by {issuer} for {}, scopes {}, expires in {} minutes.",
            quoted(name),
            quoted(&user.sub),
            quoted(client),
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

/// Refuses more than the API ever has, which would fill a model's context.
fn at_most_1000<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Todo>, D::Error> {
    let todos = Vec::<Todo>::deserialize(deserializer)?;
    if todos.len() <= 1000 { Ok(todos) } else { Err(serde::de::Error::custom("too many todos")) }
}

fn short<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    String::deserialize(deserializer).map(|text| cut(&text))
}

/// At most as much as a todo can have, in one line.
fn cut(text: &str) -> String {
    let mut characters = text.chars().map(|character| if character.is_control() { ' ' } else { character });
    let mut short: String = characters.by_ref().take(TEXT_CHARACTERS).collect();
    if characters.next().is_some() {
        short.push('…');
    }
    short
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
