//! Discovery of an authorization server, and the registration of a client there.

use serde_json::{Value, json};
use url::Url;

use crate::{
    Failure,
    client::{JSON, REDIRECT_URI, rpc},
    http::{Connection, request},
};

/// A server, and the registration of a client there.
pub(crate) struct Registration {
    pub(crate) mcp: Url,
    pub(crate) health: Url,
    pub(crate) authorization_endpoint: Url,
    pub(crate) token_endpoint: Url,
    pub(crate) client_id: String,
    pub(crate) resource: String,
    pub(crate) scope: String,
}

impl Registration {
    /// Finds the authorization server of an MCP endpoint, as its challenge says, and registers a public client.
    pub(crate) async fn new(mcp: &Url) -> Result<Self, Failure> {
        let mut connection = Connection::new(mcp.authority());
        connection.send(&rpc(mcp, "tools/list", json!({}), None, None)).await?;
        let challenge = connection.header("www-authenticate").ok_or("401 without a challenge")?;
        let metadata =
            parameter(&challenge, "resource_metadata").map_or_else(|| well_known(mcp), Url::parse)?;
        let resource = get(&mut connection, &metadata).await?;
        let issuer = resource["authorization_servers"][0].as_str().ok_or("no authorization server")?;
        let mut server = Url::parse(issuer)?;
        let path = server.path().trim_end_matches('/').to_owned();
        server.set_path(&format!("/.well-known/oauth-authorization-server{path}"));
        let server = get(&mut connection, &server).await?;
        let endpoint = |name: &str| {
            let text = server[name].as_str().ok_or_else(|| format!("the metadata lacks {name}"))?;
            Ok::<_, Failure>(Url::parse(text)?)
        };
        let scopes: Vec<_> =
            resource["scopes_supported"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let client = json!({
            "client_name": "bench",
            "redirect_uris": [REDIRECT_URI],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": "none",
        });
        let registration = request(
            "POST",
            &endpoint("registration_endpoint")?,
            &[("content-type", JSON)],
            &client.to_string(),
        );
        connection.send(&registration).await?;
        let registered: Value = serde_json::from_slice(connection.body())?;
        let client_id = registered["client_id"].as_str().ok_or_else(|| connection.excerpt())?;
        Ok(Self {
            mcp: mcp.clone(),
            health: mcp.join("/health")?,
            authorization_endpoint: endpoint("authorization_endpoint")?,
            token_endpoint: endpoint("token_endpoint")?,
            client_id: client_id.to_owned(),
            resource: resource["resource"].as_str().unwrap_or_default().to_owned(),
            scope: scopes.join(" "),
        })
    }

    /// A server without OAuth.
    pub(crate) fn without_login(mcp: &Url) -> Result<Self, Failure> {
        Ok(Self {
            mcp: mcp.clone(),
            health: mcp.join("/health")?,
            authorization_endpoint: mcp.clone(),
            token_endpoint: mcp.clone(),
            client_id: String::new(),
            resource: String::new(),
            scope: String::new(),
        })
    }
}

async fn get(connection: &mut Connection, url: &Url) -> Result<Value, Failure> {
    connection.send(&request("GET", url, &[], "")).await?;
    serde_json::from_slice(connection.body()).map_err(|_| format!("{url}: {}", connection.excerpt()).into())
}

/// The default metadata URL of a resource, for a challenge without the URL (RFC 9728 §3.1).
fn well_known(mcp: &Url) -> Result<Url, url::ParseError> {
    mcp.join(&format!("/.well-known/oauth-protected-resource{}", mcp.path()))
}

/// A quoted parameter of a challenge.
fn parameter<'a>(challenge: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = challenge.split_once(&format!("{name}=\""))?;
    rest.split('"').next()
}
