//! Deputy's client at PingOne.

use url::Url;

use super::{
    Webhook,
    client_key::{CLIENT_KEY, client_key},
    variable::{DefaultValue, Syntax, Variable},
    vars::{Vars, bare, on_or_off, secure, unpadded},
    webhook::{CHECK_INTERVAL, check_interval},
};
use crate::{jose::ClientKey, secret::Secret, types::is_uuid};

/// Deputy's client at PingOne, and what it asks for.
#[derive(Clone, Debug)]
pub struct PingOne {
    /// `PINGONE_ISSUER`, compared as text.
    pub issuer: String,
    /// `PINGONE_DV_POLICY_ID`: sent as `acr_values`, demanded as `acr`.
    pub policy_id: String,
    /// `PINGONE_CLIENT_ID`.
    pub client_id: String,
    /// `PINGONE_CLIENT_AUTH`, with the secret or the key.
    pub client_auth: ClientAuth,
    /// `PINGONE_PAR`: whether every authorization request is pushed (RFC 9126), even if `PingOne` does not require it.
    pub push_requests: bool,
    /// `PINGONE_SEND_RESOURCE`: whether authorization requests carry `resource` (RFC 8707).
    pub send_resource: bool,
    /// `PINGONE_WEBHOOK_SECRET`: the webhook, if there is one.
    pub webhook: Option<Webhook>,
    /// `PINGONE_CHECK_INTERVAL`: seconds after which a login in use is checked, if it is.
    pub check_interval: Option<u64>,
}

/// How Deputy authenticates at the token endpoint of PingOne (OpenID Connect Core §9).
#[derive(Clone, Debug)]
pub enum ClientAuth {
    /// `client_secret_basic`, with `PINGONE_CLIENT_SECRET`.
    Basic(Secret<String>),
    /// `client_secret_post`, with `PINGONE_CLIENT_SECRET`.
    Post(Secret<String>),
    /// `private_key_jwt`, with `PINGONE_CLIENT_KEY`.
    Key(Box<ClientKey>),
}

impl PingOne {
    pub(super) fn read(vars: &Vars<'_>) -> Option<Self> {
        let issuer = vars.read(&ISSUER, pingone_issuer);
        let policy_id = vars.read(&POLICY_ID, policy_id);
        let client_id = vars.read(&CLIENT_ID, unpadded);
        let client_auth = ClientAuth::read(vars);
        let push_requests = vars.choose(&PAR, push_requests);
        let send_resource = vars.choose(&SEND_RESOURCE, on_or_off);
        let webhook = Webhook::read(vars);
        let check_interval = vars.read(&CHECK_INTERVAL, check_interval);
        Some(Self {
            issuer: issuer?,
            policy_id: policy_id?,
            client_id: client_id?,
            client_auth: client_auth?,
            push_requests: push_requests?,
            send_resource: send_resource?,
            webhook: Some(webhook?).filter(Webhook::has_secret),
            check_interval: check_interval?,
        })
    }

    /// The id of the environment, if the issuer has it. The issuer of a custom domain has none.
    pub fn environment(&self) -> Option<&str> {
        environment(&self.issuer)
    }
}

/// The id of the environment in an issuer, if it has one.
pub fn environment(issuer: &str) -> Option<&str> {
    issuer.strip_suffix("/as")?.rsplit('/').next().filter(|id| is_uuid(id))
}

impl ClientAuth {
    fn read(vars: &Vars<'_>) -> Option<Self> {
        let method = vars.choose(&CLIENT_AUTH, method);
        let key = vars.read(&CLIENT_KEY, client_key);
        if method == Some(Method::Key) {
            let key = key?.map(Box::new).map(Self::Key);
            if key.is_none() {
                vars.report(
                    CLIENT_KEY.name,
                    "is not set, and PINGONE_CLIENT_AUTH is private_key_jwt; make a key with: deputy keys",
                );
            }
            return key;
        }
        let secret = Secret::new(vars.read(&CLIENT_SECRET, unpadded)?);
        Some(if method? == Method::Post { Self::Post(secret) } else { Self::Basic(secret) })
    }

    /// The name of the method in metadata (RFC 8414 §2).
    pub const fn method(&self) -> &'static str {
        match self {
            Self::Basic(_) => "client_secret_basic",
            Self::Post(_) => "client_secret_post",
            Self::Key(_) => "private_key_jwt",
        }
    }
}

/// A value of `PINGONE_CLIENT_AUTH`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Method {
    Basic,
    Post,
    Key,
}

pub(super) static ISSUER: Variable = Variable {
    name: "PINGONE_ISSUER",
    former_name: None,
    summary: "issuer of the PingOne environment",
    details: "It is the *Issuer ID* on the application's overview in PingOne: \
              `https://auth.pingone.<region>/<environment id>/as`, or the same on a custom domain. Deputy compares \
              it as text with what PingOne's metadata and tokens say.",
    syntax: Syntax::Text(
        "an `https` URL that ends with `/as`, without query, fragment or user name; `http` is accepted for this \
         computer only",
    ),
    default: DefaultValue::Required,
    example: Some("https://auth.pingone.eu/00000000-0000-4000-8000-000000000000/as"),
    on_workers: None,
    secret: false,
};

fn pingone_issuer(value: &str) -> Result<String, &'static str> {
    let url = Url::parse(value)
        .map_err(|_| "is not a URL such as https://auth.pingone.<region>/<environment id>/as")?;
    secure(&url)?;
    bare(&url)?;
    if value.contains("/.well-known/") {
        return Err(
            "is the address of the discovery document; the issuer is what stands before /.well-known/",
        );
    }
    if value.ends_with('/') {
        return Err("must not end with a slash");
    }
    if !value.ends_with("/as") {
        return Err("must end with /as: https://auth.pingone.<region>/<environment id>/as");
    }
    Ok(value.to_owned())
}

pub(super) static POLICY_ID: Variable = Variable {
    name: "PINGONE_DV_POLICY_ID",
    former_name: None,
    summary: "id of the DaVinci flow policy that users log in with",
    details: "Deputy sends it to PingOne as `acr_values`, and refuses a login whose ID token has another `acr`. The \
              policy must be assigned to Deputy's application.",
    syntax: Syntax::Text("32 hexadecimal digits in lower case, without dashes"),
    default: DefaultValue::Required,
    example: Some("0123456789abcdef0123456789abcdef"),
    on_workers: None,
    secret: false,
};

fn policy_id(value: &str) -> Result<String, &'static str> {
    let hexadecimal = value.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if value.len() == 32 && hexadecimal {
        return Ok(value.to_owned());
    }
    if value.len() == 36 && value.contains('-') {
        return Err(
            "looks like the id of something else; a DaVinci flow policy id is 32 hexadecimal digits without dashes",
        );
    }
    Err("must be the id of a DaVinci flow policy: 32 hexadecimal digits in lower case")
}

pub(super) static CLIENT_ID: Variable = Variable {
    name: "PINGONE_CLIENT_ID",
    former_name: Some("MCP_SERVER_CLIENT_ID"),
    summary: "client id of Deputy's application at PingOne",
    details: "Other tools, such as the Terraform provider of PingOne, read variables of this name and of the client \
              secret's. Deputy needs an environment without theirs.",
    syntax: Syntax::Text("text without white space around it"),
    default: DefaultValue::Required,
    example: Some("00000000-0000-4000-8000-000000000001"),
    on_workers: None,
    secret: false,
};

pub(super) static CLIENT_SECRET: Variable = Variable {
    name: "PINGONE_CLIENT_SECRET",
    former_name: Some("MCP_SERVER_CLIENT_SECRET"),
    summary: "client secret of Deputy's application at PingOne",
    details: "[pingone.md](pingone.md#a-new-client-secret) says how to replace it. It is not needed if \
              `PINGONE_CLIENT_AUTH` is `private_key_jwt`.",
    syntax: Syntax::Text("text without white space around it"),
    default: DefaultValue::Required,
    example: None,
    on_workers: None,
    secret: true,
};

pub(super) static CLIENT_AUTH: Variable = Variable {
    name: "PINGONE_CLIENT_AUTH",
    former_name: Some("MCP_SERVER_CLIENT_AUTH"),
    summary: "way in which Deputy authenticates at PingOne's token endpoint",
    details: "It must be what the application in PingOne is set to.",
    syntax: Syntax::Choice(&[
        ("client_secret_basic", "with the client secret in the `Authorization` header"),
        ("client_secret_post", "with the client secret in the body"),
        ("private_key_jwt", "with an assertion that `PINGONE_CLIENT_KEY` signs"),
    ]),
    default: DefaultValue::Value("client_secret_basic"),
    example: Some("client_secret_post"),
    on_workers: None,
    secret: false,
};

fn method(value: &str) -> Option<Method> {
    match value {
        "client_secret_basic" => Some(Method::Basic),
        "client_secret_post" => Some(Method::Post),
        "private_key_jwt" => Some(Method::Key),
        _ => None,
    }
}

pub(super) static PAR: Variable = Variable {
    name: "PINGONE_PAR",
    former_name: None,
    summary: "pushed authorization requests (RFC 9126) to PingOne",
    details: "With a pushed request, the browser gets a reference, and neither the user nor an extension can read or change \
              the parameters. An application at PingOne can require it; the metadata of the environment does not say so.",
    syntax: Syntax::Choice(&[
        ("auto", "requests are pushed if PingOne's metadata has `require_pushed_authorization_requests`"),
        ("on", "every request is pushed"),
    ]),
    default: DefaultValue::Value("auto"),
    example: Some("on"),
    on_workers: None,
    secret: false,
};

fn push_requests(value: &str) -> Option<bool> {
    match value {
        "auto" => Some(false),
        "on" => Some(true),
        _ => None,
    }
}

pub(super) static SEND_RESOURCE: Variable = Variable {
    name: "PINGONE_SEND_RESOURCE",
    former_name: None,
    summary: "switch for the parameter `resource` (RFC 8707) in authorization requests to PingOne",
    details: "",
    syntax: Syntax::Choice(&[
        ("on", "requests name the API by `API_IDENTIFIER`"),
        ("off", "requests name no resource, for an environment that refuses them with `invalid_target`"),
    ]),
    default: DefaultValue::Value("on"),
    example: Some("off"),
    on_workers: None,
    secret: false,
};
