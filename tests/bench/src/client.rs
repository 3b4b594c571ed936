//! An MCP client: its login, and the requests that are measured.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::rand::{SecureRandom as _, SystemRandom};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use url::{Url, form_urlencoded};

use crate::{
    Failure,
    forms::filled_form,
    http::{Connection, request},
    registration::Registration,
    scenario::Scenario,
};

/// A client that acts for one user, with a connection to each server.
pub(crate) struct Client {
    registration: Arc<Registration>,
    connections: Connections,
    refresh_token: String,
    health: Vec<u8>,
    unauthenticated: Vec<u8>,
    list: Vec<u8>,
    call: Vec<u8>,
}

impl Client {
    /// A client that has logged in, and opened a session if the server has sessions.
    pub(crate) async fn logged_in(
        registration: &Arc<Registration>,
        replica: Option<Replica>,
    ) -> Result<Self, Failure> {
        let mut client = Self::new(registration, replica);
        let (access_token, refresh_token) = client.log_in().await?;
        client.refresh_token = refresh_token;
        let session = client.initialize(&access_token).await?;
        client.prepare(&access_token, session.as_deref());
        Ok(client)
    }

    /// A client of a server without OAuth that accepts `access_token`.
    pub(crate) async fn with_token(
        registration: &Arc<Registration>,
        access_token: &str,
        session: Session,
    ) -> Result<Self, Failure> {
        let mut client = Self::new(registration, None);
        let session = match session {
            Session::Initialize => client.initialize(access_token).await?,
            Session::Named(name) => Some(name),
        };
        client.prepare(access_token, session.as_deref());
        Ok(client)
    }

    fn new(registration: &Arc<Registration>, replica: Option<Replica>) -> Self {
        Self {
            registration: Arc::clone(registration),
            connections: Connections { held: Vec::new(), replica },
            refresh_token: String::new(),
            health: Vec::new(),
            unauthenticated: Vec::new(),
            list: Vec::new(),
            call: Vec::new(),
        }
    }

    fn prepare(&mut self, access_token: &str, session: Option<&str>) {
        let Registration { mcp, health, .. } = &*self.registration;
        let call = json!({ "name": "get_my_todo_list", "arguments": {} });
        self.health = request("GET", health, &[], "");
        self.unauthenticated = rpc(mcp, "tools/list", json!({}), None, None);
        self.list = rpc(mcp, "tools/list", json!({}), Some(access_token), session);
        self.call = rpc(mcp, "tools/call", call, Some(access_token), session);
    }

    /// Sends the request of a scenario, and checks the response.
    pub(crate) async fn perform(&mut self, scenario: Scenario) -> Result<(), Failure> {
        let registration = Arc::clone(&self.registration);
        let bytes = match scenario {
            Scenario::Unauthenticated => &self.unauthenticated,
            Scenario::Health => &self.health,
            Scenario::List => &self.list,
            Scenario::Call => &self.call,
            Scenario::Refresh => return self.refresh().await,
            Scenario::Login => return self.log_in().await.map(drop),
        };
        let connection = self.connections.to(&registration.mcp);
        connection.send(bytes).await?;
        let as_expected = match scenario {
            Scenario::Unauthenticated => connection.status() == 401,
            Scenario::List => connection.status() == 200 && connection.contains("get_my_todo_list"),
            Scenario::Call => connection.status() == 200 && connection.contains("buy milk"),
            _ => connection.status() == 200,
        };
        if as_expected { Ok(()) } else { Err(connection.excerpt().into()) }
    }

    /// The list of tools: the result of the JSON-RPC response.
    pub(crate) async fn tools(&mut self) -> Result<Value, Failure> {
        self.perform(Scenario::List).await?;
        let mcp = self.registration.mcp.clone();
        let response: Value = serde_json::from_slice(self.connections.to(&mcp).body())?;
        Ok(response["result"].clone())
    }

    async fn initialize(&mut self, access_token: &str) -> Result<Option<String>, Failure> {
        let mcp = &self.registration.mcp;
        let parameters = json!({
            "protocolVersion": VERSION,
            "capabilities": {},
            "clientInfo": { "name": "bench", "version": "1" },
        });
        let connection = self.connections.to(mcp);
        connection.send(&rpc(mcp, "initialize", parameters, Some(access_token), None)).await?;
        if connection.status() != 200 {
            return Err(connection.excerpt().into());
        }
        let session = connection.header("mcp-session-id");
        let initialized =
            rpc(mcp, "notifications/initialized", json!({}), Some(access_token), session.as_deref());
        connection.send(&initialized).await?;
        if connection.status() != 202 {
            return Err(connection.excerpt().into());
        }
        Ok(session)
    }

    /// Walks through a login as a browser does, without keeping its cookies for the next one. Returns access token and
    /// refresh token.
    async fn log_in(&mut self) -> Result<(String, String), Failure> {
        let registration = Arc::clone(&self.registration);
        let (verifier, state) = (random(), random());
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&verifier));
        let mut url = registration.authorization_endpoint.clone();
        let parameters = [
            ("response_type", "code"),
            ("client_id", &registration.client_id),
            ("redirect_uri", REDIRECT_URI),
            ("state", &state),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
            ("resource", &registration.resource),
            ("scope", &registration.scope),
        ];
        url.query_pairs_mut().extend_pairs(parameters.iter().filter(|(_, value)| !value.is_empty()));
        let code = self.browse(url, &state).await?;
        let parameters = [
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", REDIRECT_URI),
            ("code_verifier", &verifier),
        ];
        self.token(&parameters).await
    }

    /// Follows redirects and submits forms until the redirect URI comes with a code.
    async fn browse(&mut self, mut url: Url, state: &str) -> Result<String, Failure> {
        let mut cookies: Vec<(String, String, String)> = Vec::new();
        let mut form: Option<String> = None;
        for _ in 0..MAX_PAGES {
            let origin = url.authority().to_owned();
            let sent = cookies.iter().filter(|(of, ..)| *of == origin);
            let sent: Vec<_> = sent.map(|(_, name, value)| format!("{name}={value}")).collect();
            let sent = sent.join("; ");
            let mut headers = Vec::new();
            if !sent.is_empty() {
                headers.push(("cookie", sent.as_str()));
            }
            let bytes = match &form {
                Some(body) => {
                    headers.push(("content-type", FORM));
                    request("POST", &url, &headers, body)
                }
                None => request("GET", &url, &headers, ""),
            };
            form = None;
            let connection = self.connections.to(&url);
            connection.send(&bytes).await?;
            for cookie in connection.headers("set-cookie") {
                let pair = cookie.split(';').next().and_then(|pair| pair.split_once('='));
                let (name, value) = pair.ok_or("a cookie without a name")?;
                cookies.retain(|(of, held, _)| *of != origin || held != name);
                if !value.is_empty() {
                    cookies.push((origin.clone(), name.to_owned(), value.to_owned()));
                }
            }
            if let Some(location) = connection.header("location") {
                url = url.join(&location)?;
                if url.as_str().starts_with(REDIRECT_URI) {
                    let query = |name: &str| {
                        let mut pairs = url.query_pairs();
                        pairs.find(|(found, _)| found == name).map(|(_, value)| value.into_owned())
                    };
                    if query("state").as_deref() != Some(state) {
                        return Err(format!("the wrong state: {url}").into());
                    }
                    return query("code").ok_or_else(|| format!("no code: {url}").into());
                }
            } else {
                let page = String::from_utf8_lossy(connection.body());
                let (action, body) = filled_form(&page)
                    .ok_or_else(|| format!("no form at {url}: {}", connection.excerpt()))?;
                url = url.join(&action)?;
                form = Some(body);
            }
        }
        Err("too many pages".into())
    }

    async fn refresh(&mut self) -> Result<(), Failure> {
        let refresh_token = self.refresh_token.clone();
        let (_, next) =
            self.token(&[("grant_type", "refresh_token"), ("refresh_token", &refresh_token)]).await?;
        self.refresh_token = next;
        Ok(())
    }

    async fn token(&mut self, parameters: &[(&str, &str)]) -> Result<(String, String), Failure> {
        let Registration { token_endpoint, client_id, resource, .. } = &*self.registration;
        let own = [("client_id", client_id.as_str()), ("resource", resource)];
        let own = own.iter().filter(|(_, value)| !value.is_empty());
        let body =
            form_urlencoded::Serializer::new(String::new()).extend_pairs(own.chain(parameters)).finish();
        let connection = self.connections.to(token_endpoint);
        connection.send(&request("POST", token_endpoint, &[("content-type", FORM)], &body)).await?;
        let response: TokenResponse =
            serde_json::from_slice(connection.body()).map_err(|_| connection.excerpt())?;
        Ok((response.access_token, response.refresh_token))
    }
}

#[derive(serde::Deserialize)]
struct TokenResponse {
    access_token: String,
    refresh_token: String,
}

/// The origin of a client's session.
pub(crate) enum Session {
    /// The server creates it at `initialize`, if it has sessions.
    Initialize,
    /// The client chooses the name.
    Named(String),
}

/// The connections of a client, one to each server.
struct Connections {
    held: Vec<Connection>,
    replica: Option<Replica>,
}

/// The replica that responds to a client, at another address than the URLs of its server have.
#[derive(Clone)]
pub(crate) struct Replica {
    pub(crate) authority: String,
    pub(crate) address: String,
}

impl Connections {
    fn to(&mut self, url: &Url) -> &mut Connection {
        let held = self.held.iter().position(|connection| connection.authority == url.authority());
        let index = held.unwrap_or_else(|| {
            let replica = self.replica.as_ref().filter(|replica| replica.authority == url.authority());
            let address = replica.map_or(url.authority(), |replica| &replica.address);
            self.held.push(Connection::to(url.authority(), address));
            self.held.len() - 1
        });
        &mut self.held[index]
    }
}

/// One message to the MCP endpoint, as clients of the revision 2025-11-25 send it.
pub(crate) fn rpc(
    mcp: &Url,
    method: &str,
    params: Value,
    access_token: Option<&str>,
    session: Option<&str>,
) -> Vec<u8> {
    let mut message = json!({ "jsonrpc": "2.0", "method": method, "params": params });
    if !method.starts_with("notifications/") {
        message["id"] = json!(1);
    }
    let authorization = access_token.map(|token| format!("Bearer {token}"));
    let mut headers = vec![("accept", "application/json, text/event-stream"), ("content-type", JSON)];
    headers.extend(authorization.as_deref().map(|value| ("authorization", value)));
    headers.extend(session.map(|session| ("mcp-session-id", session)));
    if method != "initialize" {
        headers.push(("mcp-protocol-version", VERSION));
    }
    request("POST", mcp, &headers, &message.to_string())
}

/// 256 random bits, in base64url.
pub(crate) fn random() -> String {
    let mut bytes = [0; 32];
    SystemRandom::new().fill(&mut bytes).expect("the system has random bytes");
    URL_SAFE_NO_PAD.encode(bytes)
}

const VERSION: &str = "2025-11-25";

/// No server listens there.
pub(crate) const REDIRECT_URI: &str = "http://127.0.0.1:33418/callback";

const MAX_PAGES: usize = 12;

const FORM: &str = "application/x-www-form-urlencoded";
pub(crate) const JSON: &str = "application/json";
