//! `deputy grants` and `deputy clients`.

use std::{
    io::{self, IsTerminal as _, Write as _},
    path::PathBuf,
};

use clap::{Args, Subcommand, builder::BoolishValueParser};
use reqwest::Url;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    remote::{AdminError, Remote},
    table::{printable, table, time},
};
use crate::{audit::Since, env_file::EnvFile, error::StartError, logging::Output};

/// Options of `deputy grants`.
#[derive(Args, Debug)]
pub(crate) struct GrantsOptions {
    #[command(subcommand)]
    action: GrantsAction,
    #[command(flatten)]
    admin: AdminOptions,
}

#[derive(Debug, Subcommand)]
enum GrantsAction {
    /// List grants, the oldest login first
    List(Selection),
    /// Show one grant and the use of its tools
    Show {
        /// Grant, as `list` and the log show it
        #[arg(value_name = "GRANT")]
        id: String,
    },
    /// End grants now: their tokens are refused, and running calls are cut
    End(EndOptions),
}

/// Options of `deputy clients`.
#[derive(Args, Debug)]
pub(crate) struct ClientsOptions {
    #[command(subcommand)]
    action: ClientsAction,
    #[command(flatten)]
    admin: AdminOptions,
}

#[derive(Debug, Subcommand)]
enum ClientsAction {
    /// Refuse new logins of a client, and end its grants
    Block {
        #[command(flatten)]
        subject: Subject,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// List the blocked clients and hosts
    Blocked,
    /// Admit a client again
    Unblock(Subject),
}

/// Options of each command that uses the admin interface.
#[derive(Args, Debug)]
struct AdminOptions {
    /// URL of the Deputy, as `https://deputy.example.com` [default: the address in `ADMIN_LISTEN`]
    #[arg(long, env = "ADMIN_URL", value_name = "URL", global = true)]
    url: Option<Url>,
    /// Print one JSON document
    #[arg(long, env = "ADMIN_JSON", value_parser = BoolishValueParser::new(), global = true)]
    json: bool,
    /// File of NAME=value lines, with `ADMIN_TOKEN` and `ADMIN_LISTEN` [default: .env if it exists]
    #[arg(long, env = "ENV_FILE", value_name = "FILE", global = true)]
    env_file: Option<PathBuf>,
}

/// The grants that a command is for. Each option narrows the selection.
#[derive(Args, Clone, Debug, Default)]
struct Selection {
    /// Grants of this client
    #[arg(long, value_name = "CLIENT_ID")]
    client: Option<String>,
    /// Grants of this user
    #[arg(long, value_name = "SUB")]
    user: Option<String>,
    /// Grants of every client with a redirect URI at this host
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// Grants whose login was before a time, as 2026-01-31T14:03:00Z, or longer ago than 90m, 24h or 7d
    #[arg(long, value_name = "TIME", value_parser = Since::parse)]
    older_than: Option<Since>,
}

#[derive(Args, Debug)]
struct EndOptions {
    /// Grants
    #[arg(value_name = "GRANT", conflicts_with_all = ["client", "user", "host", "older_than", "all"])]
    ids: Vec<String>,
    #[command(flatten)]
    selection: Selection,
    /// Every grant of every user
    #[arg(long, conflicts_with_all = ["client", "user", "host", "older_than"])]
    all: bool,
    /// Refuse new logins of the client or host, too
    #[arg(long, conflicts_with_all = ["ids", "user", "older_than", "all"])]
    block: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

/// A client, or every client of a host.
#[derive(Args, Debug)]
struct Subject {
    /// Its `client_id`
    #[arg(value_name = "CLIENT_ID", required_unless_present = "host", conflicts_with = "host")]
    client: Option<String>,
    /// Every client with a redirect URI, or a metadata document, at this host
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
}

impl Selection {
    fn params(&self) -> Vec<(&'static str, String)> {
        let before = self.older_than.map(|time| time.seconds().to_string());
        let all = [("client", self.client.clone()), ("user", self.user.clone()), ("host", self.host.clone())];
        all.into_iter().chain([("before", before)]).filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

impl Subject {
    fn selection(&self) -> Selection {
        Selection { client: self.client.clone(), host: self.host.clone(), ..Selection::default() }
    }
}

/// `deputy grants`.
pub(crate) async fn grants(options: GrantsOptions, file: EnvFile, output: Output) -> Result<(), StartError> {
    let GrantsOptions { action, admin } = options;
    let command = Command { remote: Remote::new(admin.url, &file)?, json: admin.json, output };
    match action {
        GrantsAction::List(selection) => command.list(&selection).await?,
        GrantsAction::Show { id } => command.show(&id).await?,
        GrantsAction::End(EndOptions { ids, selection, all, block, yes }) => {
            let mut params = selection.params();
            if ids.is_empty() && params.is_empty() && !all {
                return Err(AdminError::NothingSelected.into());
            }
            if all {
                params.push(("all", "true".to_owned()));
            }
            command.end(&ids, &params, block, yes).await?;
        }
    }
    Ok(())
}

/// `deputy clients`.
pub(crate) async fn clients(
    options: ClientsOptions,
    file: EnvFile,
    output: Output,
) -> Result<(), StartError> {
    let ClientsOptions { action, admin } = options;
    let command = Command { remote: Remote::new(admin.url, &file)?, json: admin.json, output };
    match action {
        ClientsAction::Block { subject, yes } => {
            command.end(&[], &subject.selection().params(), true, yes).await?;
        }
        ClientsAction::Blocked => command.blocked().await?,
        ClientsAction::Unblock(subject) => {
            let done: Value = command.remote.post("unblock", &subject.selection().params()).await?;
            command.print(&done, || vec!["Unblocked. The client can log in again.".to_owned()]);
        }
    }
    Ok(())
}

struct Command {
    remote: Remote,
    json: bool,
    output: Output,
}

#[derive(Deserialize, Serialize)]
struct Grant {
    id: String,
    user: User,
    client: Client,
    scopes: Vec<String>,
    declined: Vec<String>,
    created_at: u64,
    expires_at: u64,
    #[serde(rename = "use", default, skip_serializing_if = "Value::is_null")]
    activity: Value,
}

#[derive(Deserialize, Serialize)]
struct User {
    sub: String,
    name: Option<String>,
}

#[derive(Deserialize, Serialize)]
struct Client {
    id: String,
    name: Option<String>,
    host: Option<String>,
}

#[derive(Deserialize)]
struct Listed {
    grants: Vec<Grant>,
    next: Option<String>,
}

#[derive(Deserialize)]
struct Ended {
    ended: Vec<String>,
    #[serde(default)]
    next: Option<String>,
}

impl Command {
    fn print(&self, document: &impl Serialize, lines: impl FnOnce() -> Vec<String>) {
        if self.json {
            // Strings, numbers, lists and maps with string keys cannot fail.
            self.output.print(&serde_json::to_string(document).unwrap_or_default());
        } else {
            for line in lines() {
                self.output.print(&printable(&line));
            }
        }
    }

    async fn list(&self, selection: &Selection) -> Result<(), AdminError> {
        let grants = self.selected(selection.params()).await?;
        self.print(&json!({ "grants": grants }), || {
            let rows: Vec<_> = grants.iter().map(row).collect();
            let mut lines = table(["GRANT", "LOGIN (UTC)", "USER", "CLIENT", "CLIENT_ID", "SCOPES"], &rows);
            lines.push(counted(grants.len()));
            lines
        });
        Ok(())
    }

    /// The selected grants, the oldest login first.
    async fn selected(&self, params: Vec<(&'static str, String)>) -> Result<Vec<Grant>, AdminError> {
        let (mut grants, mut after) = (Vec::new(), None);
        loop {
            let page = params.iter().cloned().chain(after.map(|id| ("after", id)));
            let Listed { grants: more, next } = self.remote.get("grants", &page.collect::<Vec<_>>()).await?;
            grants.extend(more);
            if next.is_none() {
                break;
            }
            after = next;
        }
        grants.sort_by(|one, other| (one.created_at, &one.id).cmp(&(other.created_at, &other.id)));
        Ok(grants)
    }

    async fn show(&self, id: &str) -> Result<(), AdminError> {
        let grant: Grant = self.remote.get(&path_of(id)?, &[]).await?;
        self.print(&grant, || {
            let last = &grant.activity["last_call"];
            let last = match (last["at"].as_u64(), last["tool"].as_str()) {
                (Some(at), Some(tool)) => format!("{} {tool}", time(at)),
                _ => "none is known".to_owned(),
            };
            let calls = grant.activity["calls_in_a_day"].as_u64().unwrap_or_default().to_string();
            [
                ("grant", grant.id.clone()),
                ("user", format!("{} {}", grant.user.sub, grant.user.name.as_deref().unwrap_or_default())),
                ("client", format!("{} {}", grant.client.id, client(&grant))),
                ("scopes", grant.scopes.join(" ")),
                ("declined", grant.declined.join(" ")),
                ("login", time(grant.created_at)),
                ("expires", time(grant.expires_at)),
                ("last call", last),
                ("calls in 24 hours", calls),
            ]
            .map(|(name, value)| format!("{name:18} {value}").trim_end().to_owned())
            .to_vec()
        });
        Ok(())
    }

    /// Ends grants by their ids, or else those that `params` select. Blocks their client or host first, so that no login
    /// comes after the last end.
    async fn end(
        &self,
        ids: &[String],
        params: &[(&'static str, String)],
        block: bool,
        yes: bool,
    ) -> Result<(), AdminError> {
        if !yes {
            let selected = params.iter().filter(|(name, _)| *name != "all").cloned().collect();
            let count = if ids.is_empty() { self.selected(selected).await?.len() } else { ids.len() };
            if (count > 0 || block) && !confirmed(count, block) {
                return Err(AdminError::NotConfirmed);
            }
        }
        if block {
            let _: Value = self.remote.post("block", params).await?;
        }
        let mut all = Vec::new();
        for id in ids {
            let Ended { ended, .. } = self.remote.delete(&path_of(id)?).await?;
            all.extend(ended);
        }
        let mut after = ids.is_empty().then(String::new);
        while let Some(id) = after {
            let page = params.iter().cloned().chain([("after", id)]);
            let Ended { ended, next } = self.remote.post("grants/end", &page.collect::<Vec<_>>()).await?;
            all.extend(ended);
            after = next;
        }
        self.print(&json!({ "blocked": block, "ended": all }), || {
            let blocked = if block { "Blocked. " } else { "" };
            vec![format!("{blocked}{} ended.", counted(all.len()))]
        });
        Ok(())
    }

    async fn blocked(&self) -> Result<(), AdminError> {
        let document: Value = self.remote.get("blocked", &[]).await?;
        self.print(&document, || {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let row = |entry: &Value| {
                let since = time(entry["since"].as_u64().unwrap_or_default());
                [since, text(&entry["client"]), text(&entry["host"])]
            };
            let rows: Vec<_> = document["blocked"].as_array().into_iter().flatten().map(row).collect();
            table(["SINCE (UTC)", "CLIENT_ID", "HOST"], &rows)
        });
        Ok(())
    }
}

fn row(grant: &Grant) -> [String; 6] {
    let user = grant.user.name.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
    [
        grant.id.clone(),
        time(grant.created_at),
        format!("{}{user}", grant.user.sub),
        client(grant),
        grant.client.id.clone(),
        grant.scopes.join(" "),
    ]
}

/// The name that the client chose, and the host that its users were sent back to.
fn client(grant: &Grant) -> String {
    let Client { name, host, .. } = &grant.client;
    let host = host.as_ref().map(|host| format!("at {host}"));
    [name.clone(), host].into_iter().flatten().collect::<Vec<_>>().join(" ")
}

fn counted(grants: usize) -> String {
    if grants == 1 { "1 grant".to_owned() } else { format!("{grants} grants") }
}

/// The path of a grant. An id has hexadecimal digits only.
fn path_of(id: &str) -> Result<String, AdminError> {
    let is_id = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_id { Ok(format!("grants/{}", id.to_ascii_lowercase())) } else { Err(AdminError::NotAnId) }
}

/// Asks on the terminal. Without one, the command is not confirmed.
fn confirmed(grants: usize, block: bool) -> bool {
    if !io::stdin().is_terminal() {
        return false;
    }
    let block = if block { "Block the client, and end " } else { "End " };
    eprint!("{block}{}? [y/N] ", counted(grants));
    let mut line = String::new();
    let read = io::stderr().flush().and_then(|()| io::stdin().read_line(&mut line));
    read.is_ok() && matches!(line.trim(), "y" | "Y" | "yes")
}
